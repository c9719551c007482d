"""Bugs on purpose: what the simulation must catch if it is worth anything (docs/simulation.md).

Each takes a piece out of the project's own code for the length of a run.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from flagfall.emv import recovery
from flagfall.emv.transaction import Transaction
from flagfall.journal import medium, ring, schema
from flagfall.journal.record import Record
from flagfall.journal.recovery import Start
from flagfall.link import messages
from flagfall.meter.taximeter import Taximeter
from flagfall.meter.totals import Totals

from flagfall_host.acquirer.lines import Lines
from flagfall_host.acquirer.talk import Talk
from flagfall_host.acquirer.terminal_state import TerminalState
from flagfall_host.depot.pull import _Pull
from flagfall_host.errors import FlagfallError
from flagfall_host.ledger import money
from flagfall_host.ledger.tables import MONEY
from flagfall_host.simulation import firmware_modules

Patch = contextlib.AbstractContextManager[Any]
_BUGS: dict[str, tuple[str, Callable[[], Patch]]] = {}


class NoSuchBug(FlagfallError):
    """The list has no bug of that name."""


def described() -> list[tuple[str, str]]:
    """(name, what is wrong) of each."""
    return [(name, what) for name, (what, _) in _BUGS.items()]


@contextlib.contextmanager
def switched_on(name: str | None) -> Iterator[None]:
    """Run with this bug; None: without any. Raises NoSuchBug."""
    if name is None:
        yield
        return
    if name not in _BUGS:
        raise NoSuchBug(f"no bug {name}; `flagfall simulate --bug list` names them")
    firmware_modules.load()
    with _BUGS[name][1]():
        yield


def _bug(name: str, what: str) -> Callable[[Callable[[], Patch]], Callable[[], Patch]]:
    def keep(make: Callable[[], Patch]) -> Callable[[], Patch]:
        _BUGS[name] = (what, make)
        return make

    return keep


def _app(module: str) -> Any:
    return sys.modules[f"app.{module}"]


def _replaced(owner: Any, name: str, make: Callable[[Any], Any]) -> Patch:
    """`owner.name` becomes what `make` makes of it."""
    return mock.patch.object(owner, name, make(getattr(owner, name)))


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _both(*patches: Patch) -> Patch:
    """Several patches as one."""

    @contextlib.contextmanager
    def both() -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for patch in patches:
                stack.enter_context(patch)
            yield

    return both()


# --- payment -------------------------------------------------------------------------------------


@_bug("beep-before-flash", "the unit says Paid before the payment is in flash")
def _beep_before_flash() -> Patch:
    def make(conclude: Any) -> Any:
        def early(self: Any, tx: Any) -> Any:
            if tx.outcome.code == _app("payment").oc.APPROVED:
                self._screen.tone("approved")
            return conclude(self, tx)

        return early

    return _replaced(_app("payment").Payment, "_conclude", make)


@_bug("no-intent", "a debit that is about to happen is not made durable first")
def _no_intent() -> Patch:
    return mock.patch.object(_app("payment").Payment, "_intend", _nothing)


@_bug("intent-not-recovered", "after a power cut nobody looks whether a debit was on its way")
def _intent_not_recovered() -> Patch:
    return mock.patch.object(_app("payment").Payment, "_recover_intent", _nothing)


@_bug("torn-taken-for-paid", "a card that left too early counts as having paid")
def _torn_taken_for_paid() -> Patch:
    def make(record_outcome: Any) -> Any:
        def paid(self: Any) -> int:
            outcome = record_outcome(self)
            return schema.APPROVED if outcome == schema.TORN else int(outcome)

        return paid

    return _replaced(_app("payment").oc.Outcome, "record_outcome", make)


@_bug("torn-taken-for-unpaid", "a torn payment counts as not debited, whatever its card says")
def _torn_taken_for_unpaid() -> Patch:
    def make(step: Any) -> Any:
        def unproven(self: Any, body: bytes, status: int) -> Any:
            command = step(self, body, status)
            self.proven = None
            return command

        return unproven

    return _both(
        _replaced(recovery.Recovery, "step", make),
        mock.patch.object(recovery.Recovery, "judge", lambda *_: recovery.NOT_DEBITED),
    )


@_bug("forget-torn", "a torn payment is not kept for its card's return, and its record neither")
def _forget_torn() -> Patch:
    def make(payment: Any) -> Any:
        def without_torn(self: Any, **fields: Any) -> int:
            if fields["outcome"] == schema.TORN:
                return int(self.journal.last_seq)
            return int(payment(self, **fields))

        return without_torn

    return _replaced(sys.modules["unit"].Booking, "payment", make)


@_bug("four-torn", "what a power cut tore is kept though three are kept already")
def _four_torn() -> Patch:
    return mock.patch.object(_app("payment").Payment, "_give_up_oldest", _nothing)


@_bug("intent-gone-early", "an earlier payment's record also closes the note of a new debit")
def _intent_gone_early() -> Patch:
    def make(close: Any) -> Any:
        return lambda self, entry, kind, _concluded: close(self, entry, kind, True)

    return _replaced(_app("payment").Payment, "_close_torn", make)


@_bug("digits-forgotten", "a resolved payment's record has no last digits after a power cut")
def _digits_forgotten() -> Patch:
    return mock.patch.object(_app("payment").Payment, "_digits_of", lambda *_: "0000")


@_bug("approve-early", "the kernel approves before the record that debits was read")
def _approve_early() -> Patch:
    def make(card_lost: Any) -> Any:
        def approved(self: Any) -> Any:
            if self._purchase is not None and self._purchase.next_is_last():
                self._finish(_app("payment").oc.APPROVED, "approved")
                return
            card_lost(self)

        return approved

    return _replaced(Transaction, "card_lost", make)


@_bug("number-in-an-event", "a reader's error names the whole card number")
def _number_in_an_event() -> Patch:
    def make(conclude: Any) -> Any:
        def loud(self: Any, tx: Any) -> Any:
            done = conclude(self, tx)
            data = dict(tx.outcome.data)
            if 0x5A in data:
                self._booking.event(schema.READER_FAULT, "card %s" % data[0x5A].hex())
            return done

        return loud

    return _replaced(_app("payment").Payment, "_conclude", make)


# --- meter and totals ----------------------------------------------------------------------------


@_bug("count-twice", "a card payment goes into the totals twice")
def _count_twice() -> Patch:
    def make(paid: Any) -> Any:
        def twice(self: Any, amount: int) -> None:
            paid(self, amount)
            self.totals.add_card_payment(amount)

        return twice

    return _replaced(_app("duty").Duty, "card_paid", make)


@_bug("replay-nothing", "after a power cut the journal's news are not applied to the checkpoint")
def _replay_nothing() -> Patch:
    return mock.patch.object(_app("duty").Duty, "replay", _nothing)


@_bug("no-checkpoints", "the running trip is not kept once a second")
def _no_checkpoints() -> Patch:
    return mock.patch.multiple(_app("meter"), _CHECKPOINT_MS=10**9, _STILL_CHECKPOINT_MS=10**9)


@_bug("trip-lost", "a trip is not taken up after a power cut")
def _trip_lost() -> Patch:
    return mock.patch.object(Taximeter, "restore", _nothing)


@_bug("trip-recorded-again", "a trip that was recorded is paid and recorded once more")
def _trip_recorded_again() -> Patch:
    return mock.patch.object(Taximeter, "interrupt", _nothing)


@_bug("totals-first", "totals with the fare are in flash before the trip counts as cleared")
def _totals_first() -> Patch:
    def clear(self: Any) -> None:
        self.taximeter.clear(self._board.ticks_ms())
        self._booking.totals(self._duty.totals.pack())
        self.checkpoint()
        if self._next_tariff is not None:
            self._activate()

    return mock.patch.object(_app("meter").Meter, "_clear", clear)


@_bug("totals-begin-anew", "the totals are not taken up after a power cut")
def _totals_begin_anew() -> Patch:
    return mock.patch.object(Totals, "raise_to", _nothing)


# --- journal -------------------------------------------------------------------------------------


@_bug("erase-without-receipt", "a full journal overwrites what no receipt covers")
def _erase_without_receipt() -> Patch:
    def make(init: Any) -> Any:
        def careless(self: Any, flash: Any, key: bytes, keep_unacked: bool = True) -> None:
            init(self, flash, key, False)

        return careless

    return _replaced(ring.Journal, "__init__", make)


@_bug("epoch-stands-still", "a start does not begin a new epoch")
def _epoch_stands_still() -> Patch:
    def make(mount: Any) -> Any:
        def same(self: Any, first_epoch: int) -> int:
            self.epoch = max(int(mount(self, first_epoch)) - 1, first_epoch)
            return int(self.epoch)

        return same

    return _replaced(ring.Journal, "mount", make)


@_bug("seq-used-again", "after a start the newest record's seq is used again")
def _seq_used_again() -> Patch:
    def make(mount: Any) -> Any:
        def again(self: Any, first_epoch: int) -> int:
            epoch = int(mount(self, first_epoch))
            if self._keep and self.last_seq > self.acked_seq:
                self.last_seq -= 1
            return epoch

        return again

    return _replaced(ring.Journal, "mount", make)


@_bug("no-verify", "what was programmed is not read back")
def _no_verify() -> Patch:
    def program(self: Any, place: int, offset: int, buf: Any) -> bool:
        with contextlib.suppress(OSError):
            self._flash.writeblocks(place, buf, offset)
        return True

    return mock.patch.object(medium.Medium, "program", program)


@_bug("newest-forgotten", "at a start the newest record is taken for a torn one")
def _newest_forgotten() -> Patch:
    def make(init: Any) -> Any:
        def shorter(self: Any, *arguments: Any) -> None:
            init(self, *arguments)
            if self.last_seq > 1:
                self.last_seq -= 1

        return shorter

    return _replaced(Start, "__init__", make)


# --- link and depot ------------------------------------------------------------------------------


@_bug("receipt-before-commit", "the unit gets its receipt before its records are booked")
def _receipt_before_commit() -> Patch:
    def make(book: Any) -> Any:
        async def early(self: Any) -> None:
            if self._batch:
                newest = Record(self._batch[-1])
                receipt = messages.pack_receipt(newest.epoch, newest.seq, newest.mac[:4])
                await self._link.ask(messages.RECEIPT, receipt)
            await book(self)

        return early

    return _replaced(_Pull, "_book", make)


@_bug("record-skipped", "now and then a record is left out of what is booked")
def _record_skipped() -> Patch:
    def make(take: Any) -> Any:
        async def skipping(self: Any, record: Any) -> None:
            if record.type == schema.PAYMENT and record.seq % 7 == 0:
                self._advance(record.seq)
                return
            await take(self, record)

        return skipping

    return _replaced(_Pull, "_take_record", make)


# --- acquirer and money --------------------------------------------------------------------------


@_bug("new-number-on-repeat", "a question that is repeated gets a new STAN")
def _new_number_on_repeat() -> Patch:
    def make(once: Any) -> Any:
        async def renumbered(self: Any, question: Any, frame: bytes, mac: Any) -> Any:
            from flagfall_host.acquirer.codec import encode, signed, with_length

            if question.mti == "0200" and self.counters.unanswered % 2:
                question.fields["11"] = f"{(int(question.fields['11']) + 500) % 10**6:06d}"
                frame = encode(self._profile, question)
                if mac is not None:
                    frame = signed(self._profile, frame, mac)
                frame = with_length(self._profile, frame)
            return await once(self, question, frame, mac)

        return renumbered

    return _replaced(Lines, "_once", make)


def _on_no_answer(state: str) -> Patch:
    """After a time-out the payment is taken to be in `state`."""

    def make(real: Any) -> Any:
        def move(key: Any, was: str, to: str, why: str, *rest: Any) -> Any:
            return real(key, was, state if why == "no answer" else to, why, *rest)

        return move

    return _replaced(money, "Move", make)


@_bug("time-out-is-success", "a question without an answer counts as accepted")
def _time_out_is_success() -> Patch:
    return _on_no_answer(money.ACCEPTED)


@_bug("time-out-is-refusal", "a question without an answer counts as refused")
def _time_out_is_refusal() -> Patch:
    return _on_no_answer(money.REFUSED)


@_bug("sent-is-forgotten", "what was on its way when a program died is never asked again")
def _sent_is_forgotten() -> Patch:
    def without_sent(self: Any) -> Any:
        m = MONEY.c
        wanted = m.state.in_((money.QUEUED, money.UNKNOWN))
        return self._uploads(m.terminal_id == self._id, wanted)

    return mock.patch.object(TerminalState, "open_uploads", without_sent)


@_bug("joins-a-told-batch", "payments join a batch whose totals were told")
def _joins_a_told_batch() -> Patch:
    return mock.patch.object(TerminalState, "begun_batches", lambda self: [])


@_bug("repeated-is-refused", "the answer that a payment is there already counts as a refusal")
def _repeated_is_refused() -> Patch:
    def make(code: Any) -> Any:
        async def refused(self: Any, *arguments: Any) -> str:
            answer = await code(self, *arguments)
            return "12" if answer == "94" else str(answer)

        return refused

    return _replaced(Talk, "_code", make)


@_bug("resolved-is-no-money", "a torn payment that was debited after all brings no money")
def _resolved_is_no_money() -> Patch:
    return mock.patch.object(money, "APPROVED_OUTCOMES", (schema.APPROVED,))


# The others add themselves to the list.
from flagfall_host.simulation import air_bugs  # noqa: E402, F401
