# How a tap ends, why, and what the driver is told (EMV Book A, section 6.4; Book C-7, outcomes).
# MIT licence, (c) 2026 The Flagfall contributors.

from flagfall.language import english

# Codes 1 to 4 are those of a PAYMENT record (docs/formats.md, section 3).
APPROVED = 1  # offline approved; with FLAG_RESOLVED: a torn payment that proved to be debited
DECLINED = 2  # this card does not pay; nothing was debited
TORN = 3  # the card left before its last record was read: not yet known whether it debited
DISPUTED = (
    7  # the card may have debited, but what it answered fails a check: refuse, keep as evidence
)
TRY_AGAIN = 8  # nothing was debited; the same tap may be repeated
OTHER_INTERFACE = 9  # this payment cannot be contactless; pay otherwise
END = 10  # the card cannot be used here at all
ANOTHER_CARD = 11  # a torn payment waits for its own card, and this is not it
ASK_DRIVER = 12  # the same card paid a short while ago: did the passenger mean it?

FLAG_RESOLVED = 1  # the outcome is that of the torn payment, not of a new one
FLAG_SIGNATURE = 2  # the passenger must sign
FLAG_CDCVM = 4  # the phone has checked its owner
FLAG_TEST_KEYS = 8  # the certificates were checked against a store of test keys
FLAG_STILL_TORN = 16  # TORN, and its record already exists: nothing new to store
FLAG_BY_BALANCE = 32  # resolved by balance and counter, the card being of fDDA version 00

# reason -> what the driver reads. Reasons go into records; keep them short and stable.
_MESSAGES = {
    "approved": "Paid. Take your card.",
    "resolved": "The earlier tap was paid. Take your card.",
    "torn": "Card left too early. Hold the same card again.",
    "torn-last": "Card stopped answering. Hold the same card again.",
    "torn-still": "Card left again. Hold the same card again.",
    "torn-check": "The earlier tap could not be checked. Hold the same card again.",
    "torn-unproven": "Cannot tell whether the card has paid. Do not charge it again; take cash "
    "only if the passenger agrees, the office will settle it.",
    "another-card": "This is not the card of the first tap. Hold the first card.",
    "left": "Card left too early, nothing was charged. Hold it again.",
    "two-cards": "More than one card. Present one card.",
    "phone": "Unlock the phone, then hold it again.",
    "repeat": "This card paid a short while ago. Charge it again?",
    "amount": "Amount not possible by tap. Take another way to pay.",
    "limit": "Amount above the limit for taps. Take another way to pay.",
    "no-limit": "No contactless limits loaded. Ask the office for card parameters.",
    "stored-count": "Too many payments wait for upload. Connect the unit, take cash.",
    "stored-amount": "Too much money waits for upload. Connect the unit, take cash.",
    "stored-age": "Payments wait for upload too long. Connect the unit, take cash.",
    "no-application": "This card is not accepted here. Take another card or cash.",
    "blocked": "Card is blocked by its bank. Take another card or cash.",
    "card-ends": "Card ended the payment. Take another card or cash.",
    "card-refuses": "Card refused. Take another card or cash.",
    "online": "Card wants its bank online (often: balance too low). Take another way to pay.",
    "other-interface": "Card cannot pay by tap. Take another way to pay.",
    "pin": "Card asks for a PIN. Take another way to pay.",
    "expired": "Card has expired or is not valid yet. Take another card or cash.",
    "denied": "Card is on the deny list. Take another card or cash.",
    "pan": "Card data contradict each other. Take another card or cash.",
    "counter": "Card has no valid counter. Take another card or cash.",
    "no-key": "No key for this card's issuer. Take another card or cash.",
    "key-expired": "The key for this card's issuer has expired. Take another card or cash.",
    "issuer-cert": "Card's issuer certificate is not valid. Take another card or cash.",
    "card-cert": "Card's certificate is not valid. Take another card or cash.",
    "revoked": "Card's issuer certificate is revoked. Take another card or cash.",
    "cert-expired": "Card's certificate has expired. Take another card or cash.",
    "no-oda": "Card cannot prove that it is genuine. Take another card or cash.",
    "fdda": "Card's signature is not valid. Take another card or cash.",
    "fdda-version": "Card's signature is of a version not accepted. Take another card or cash.",
    "malformed": "Card sent data that make no sense. Take another card or cash.",
    "missing": "Card left out required data. Take another card or cash.",
    "protocol": "Card did not follow the rules. Take another card or cash.",
    "too-long": "Card takes too many steps. Take another card or cash.",
}
_DISPUTED = (
    "Card may have been debited, but its answer failed a check (%s). Do not charge it again."
)


class Outcome:
    """The end of one tap.

    `code` is one of the constants above, `reason` a short stable word, `said` what the driver
    reads: a text, and what is to be filled into it. `data` is a list of (tag, value) to be
    sealed, in the order of docs/formats.md section 4; it holds card data, so it is never shown or
    logged. `last_four` (text), `psn` (0 if the card gave none), `atc`, `currency` (ISO 4217
    numeric), `amount` and `balance_after` (minor units; None if unknown) may be shown. `profile`
    is 1 for an e-cash TC, 2 for transit ODA, 0 while neither is known. `wait_ms` is how long to
    wait with the field off before the next tap.
    """

    def __init__(self, code, reason, flags=0):
        self.code = code
        self.reason = reason
        self.said = (_DISPUTED, reason) if code == DISPUTED else (_MESSAGES[reason],)
        self.flags = flags
        self.data = []
        self.last_four = None
        self.psn = 0
        self.atc = 0
        self.amount = 0
        self.currency = 0
        self.balance_after = None
        self.profile = 0
        self.wait_ms = 1200 if reason == "phone" else 0

    @property
    def message(self):
        """What the driver reads, in English."""
        return english(*self.said)

    def record_outcome(self):
        """The outcome byte of the PAYMENT record to write, or 0 if there is none to write.

        A disputed payment is kept as 2 (declined) with its reason "disputed: ..." and its
        sealed data; only an approval counts as money.
        """
        if self.code == APPROVED:
            return 4 if self.flags & FLAG_RESOLVED else 1
        if self.code == TORN:
            return 0 if self.flags & FLAG_STILL_TORN else 3
        if self.code in (DECLINED, DISPUTED):
            return 2
        return 0

    def record_reason(self):
        """The reason text of the PAYMENT record; an approval's is its outcome, which says it."""
        if self.record_outcome() == 1:
            return ""
        return "disputed: " + self.reason if self.code == DISPUTED else self.reason

    def __repr__(self):
        return "Outcome(%d, %r, %r)" % (self.code, self.reason, self.flags)


class Stop(Exception):
    """Ends the transaction with `code` and `reason` from wherever a rule is broken."""

    def __init__(self, code, reason):
        super().__init__(reason)
        self.code = code
        self.reason = reason


def messages():
    """All reasons with their message, for manuals and translations."""
    return dict(_MESSAGES)
