# The torn payments that a tap must settle before it may charge anything new.
# MIT licence, (c) 2026 The Flagfall contributors.

from flagfall.emv import outcome
from flagfall.emv.outcome import ANOTHER_CARD, TORN, Outcome
from flagfall.emv.recovery import DEBITED, OTHER_CARD, UNPROVEN, Recovery


class TornPayments:
    """Goes before a Transaction's own flow: first by commands of its own, then at its GPO.

    `unresolved` holds the contexts not yet settled, `results` what was found out of each, `kept`
    the one to keep when the tap has ended, `recovery` the commands and their evidence.
    """

    def __init__(self, contexts, insist):
        self.unresolved = list(contexts)
        self.insist = insist
        self.results = []
        self.kept = None
        self.recovery = Recovery(self.unresolved)

    def start(self):
        """The first command."""
        return self.recovery.start()

    def step(self, body, status):
        """(next command, None), or (None, Outcome), or (None, None): go on with a fresh tap."""
        command = self.recovery.step(body, status)
        if command is not None:
            return command, None
        context = self.recovery.proven
        if context is not None:
            if not self.recovery.contradicted():
                return None, self._resolve(context, False)
            if self.insist:
                return None, self.keep("torn-unproven", context)
        if not self.recovery.present and self.insist:
            return None, self._another_card()
        return None, None

    def lost(self):
        """The Outcome if the card leaves while its own commands are under way."""
        if self.recovery.proven is not None:
            return self._resolve(self.recovery.proven, False)  # only the balance is missing
        return self.keep("torn-still")

    def gpo_sent(self):
        """A GPO goes out: it moves the card's counter."""
        for context in self.unresolved:
            context.gpos += 1

    def judge(self, purchase, amount):
        """Compare a fresh GPO answer with what is torn: an Outcome if that ends the tap."""
        others = []
        for context in self.unresolved:
            result = self.recovery.judge(context, purchase, amount)
            if result == OTHER_CARD:
                others.append(context)
                continue
            if result == DEBITED:
                return self._resolve(context, True)
            self.results.append((context, result))
            if result == UNPROVEN and self.insist:
                return self.keep("torn-unproven", context)
        if others and len(others) == len(self.unresolved) and self.insist:
            return self._another_card()
        self.unresolved = []  # the others wait for their own cards
        return None

    def keep(self, reason, context=None):
        """The Outcome that leaves a torn payment as it is."""
        context = self.unresolved[0] if context is None else context
        self.kept = context
        result = Outcome(TORN, reason, outcome.FLAG_STILL_TORN)
        result.amount = context.amount
        result.currency = context.currency
        result.atc = context.atc
        result.profile = context.profile
        return result

    def _resolve(self, context, by_balance):
        self.results.append((context, DEBITED))
        self.unresolved = []
        return context.approve(self.recovery.balance, by_balance)

    def _another_card(self):
        for context in self.unresolved:
            self.results.append((context, OTHER_CARD))
        self.kept = self.unresolved[0]
        return Outcome(ANOTHER_CARD, "another-card")
