"""The terminal's side of the acquirer: sign in, upload what was taken offline, settle.

A question without an answer is an unknown: the same message, with the same STAN and batch, is
asked again, now or at the next run, and nothing is guessed. What must not be forgotten is in the
ledger's database before the question that depends on it leaves.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import rsa

from flagfall_host.acquirer import message
from flagfall_host.acquirer.batches import (
    BALANCED,
    BEGUN,
    NOT_BALANCED,
    UNBALANCED,
    Settled,
    Upload,
)
from flagfall_host.acquirer.codec import Message, encode
from flagfall_host.acquirer.errors import (
    AcquirerError,
    FrameError,
    KeyRecordMissing,
    KeysError,
    NoAnswer,
    Refused,
    SealedError,
)
from flagfall_host.acquirer.exchange import Exchange
from flagfall_host.acquirer.message import Terminal
from flagfall_host.acquirer.profile import Profile
from flagfall_host.acquirer.sealed import Opener
from flagfall_host.acquirer.terminal_state import TerminalState
from flagfall_host.acquirer.working_keys import load_master_key, unwrap
from flagfall_host.ledger import money
from flagfall_host.ledger.ledger import Ledger

_REPEATED = "94"
_APPROVED = "00"
_VERDICT = 30  # place of the domestic verdict in DE48 of 0510
_NO_SIGN_IN = "not signed in: run `flagfall acquirer sign-in` first"


@dataclass
class UploadResult:
    """What one run of `upload` did. Payments are named (unit, epoch, seq)."""

    accepted: int = 0
    amount: int = 0
    repeated: int = 0  # of these, how many the acquirer already had
    refused: list[tuple[str, int, int, str]] = field(default_factory=list)  # ..., DE39
    unreadable: list[str] = field(default_factory=list)  # sealed data that do not open


class Acquirer:
    """A terminal's talk with the host at `host`:`port`, its state in `ledger`."""

    def __init__(
        self,
        ledger: Ledger,
        private_key: rsa.RSAPrivateKey,
        terminal: Terminal,
        host: str,
        port: int,
        *,
        profile: Profile | None = None,
        master_key: bytes | None = None,
    ) -> None:
        self.profile = profile or Profile.load()
        self._terminal = terminal
        self._state = TerminalState(ledger, terminal.terminal_id, terminal.merchant_id)
        self._opener = Opener(ledger, private_key)
        self._tmk = master_key or load_master_key()
        self._exchange = Exchange(self.profile, host, port)
        self.counters = self._exchange.counters

    def close(self) -> None:
        """Give up the connection."""
        self._exchange.close()

    def __enter__(self) -> "Acquirer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- what a person asks for ------------------------------------------------------------

    def sign_in(self) -> int:
        """0800: fetch working keys and the batch number, which is returned."""
        stan = self._state.next_stan()
        question = message.sign_in(self.profile, self._terminal, stan, self._state.batch)
        answer = self._exchange.ask(question)
        self._must_be_approved(answer, "the sign-in", "Is the terminal known there?")
        try:
            wrapped = bytes.fromhex(answer.fields.get("62", ""))
        except ValueError:
            raise FrameError("the sign-in answer's DE62 holds no keys") from None
        unwrap(self.profile, self._tmk, wrapped)
        digits = answer.fields.get("60", "")[2:8]
        if not digits.isdigit() or int(digits) == 0:
            raise FrameError("the sign-in answer names no batch in DE60")
        self._state.signed_in(int(digits), wrapped)
        return int(digits)

    def echo(self) -> None:
        """0820: is the host there, and does it know this terminal?"""
        stan = self._state.next_stan()
        question = message.echo(self.profile, self._terminal, stan, self._state.batch)
        self._must_be_approved(self._exchange.ask(question), "the echo", "Is it signed in?")

    def _must_be_approved(self, answer: Message, what: str, hint: str) -> None:
        code = answer.fields.get("39", "")
        if code != _APPROVED:
            raise Refused(
                f"the acquirer refuses {what} of terminal {self._terminal.terminal_id}: "
                f"response {code or 'missing'}. {hint}"
            )

    def upload(
        self,
        progress: Callable[[int, int], None] | None = None,
        units: Sequence[str] | None = None,
    ) -> UploadResult:
        """0200 for every payment that was taken offline and is not yet with the acquirer.

        `units` limits it to the payments of these units. Raises NoAnswer when the host stops
        answering; what was asked stays unknown and is asked again by the next call.
        """
        self._mak()
        self._state.queue(int(self.profile.currency), units)
        todo = self._state.open_uploads()
        result = UploadResult()
        for number, upload in enumerate(todo):
            if progress:
                progress(number, len(todo))
            self._upload(upload, result)
        if progress:
            progress(len(todo), len(todo))
        return result

    def settle(self) -> Settled:
        """Settle every batch that is open, oldest first; return the last one.

        Upload first: what is captured or queued and was never sent waits for the next batch.

        0500 compares the totals; where they do not balance, 0320 tells the acquirer each payment
        of the batch, and the batch then stands as the acquirer was told (`Settled.balanced` says
        which it was). With nothing to settle, returns the newest batch that was, or an empty one.
        """
        done = self.settle_all()
        if done:
            return done[-1]
        return self._state.newest_settled() or Settled(self._state.batch, 0, 0, 0, True)

    def settle_all(self) -> list[Settled]:
        """As `settle`, but returns every batch that was settled now."""
        unknown = [u for u in self._state.open_uploads() if u.state == money.UNKNOWN]
        if unknown:
            raise AcquirerError(
                f"of {len(unknown)} payments it is not known whether the acquirer has them: run "
                "`flagfall acquirer upload`, then settle"
            )
        return [self._settle(batch) for batch in self._state.open_batches()]

    # --- one payment -----------------------------------------------------------------------

    def _upload(self, upload: Upload, result: UploadResult) -> None:
        try:
            question = self._sale(upload, message.SALE)
            plain = encode(self.profile, question)
        except (SealedError, FrameError) as e:
            result.unreadable.append(str(e))
            if upload.state == money.QUEUED and not isinstance(e, KeyRecordMissing):
                self._state.move(upload, money.QUEUED, money.DISPUTED, str(e))
            return
        state = self._state.asking(upload, hashlib.sha256(plain).hexdigest())
        try:
            code = self._code(question)
        except (NoAnswer, FrameError):
            if state == money.SENT:
                self._state.move(upload, state, money.UNKNOWN, "no answer")
            raise
        except KeysError:
            if state == money.SENT:  # the host has said that it took nothing
                self._state.move(upload, state, money.QUEUED, "MAC refused")
            raise
        if code in self.profile.done:
            self._state.move(upload, state, money.ACCEPTED, f"response {code}")
            result.accepted += 1
            result.amount += upload.amount
            result.repeated += code == _REPEATED
        else:
            self._state.move(upload, state, money.REFUSED, f"response {code}")
            result.refused.append((*upload.key, code))

    def _sale(self, upload: Upload, mti: str) -> Message:
        card = self._opener.open(upload.unit_id, upload.epoch, upload.seq)
        return message.offline_sale(
            self.profile,
            self._terminal,
            upload.stan,
            upload.batch,
            upload.amount,
            card,
            upload.profile,
            mti,
        )

    def _code(self, question: Message) -> str:
        """DE39 of the answer: done or refused. Signs in again, once, if the host wants it."""
        with_mac = self.profile.sale["mac"]
        for _ in range(2):
            answer = self._exchange.ask(question, self._mak() if with_mac else None)
            code = answer.fields.get("39", "")
            if not code or code in self.profile.try_later:
                raise NoAnswer(
                    f"the acquirer cannot say now (response {code or 'missing'}); what was asked "
                    "stays unknown and is asked again: run the same command later"
                )
            if code not in self.profile.sign_in_again:
                return code
            self.sign_in()
        raise KeysError(
            f"the acquirer refuses the MAC (response {code}) even after a new sign-in: is the "
            f"MAC of profile {self.profile.name} ({self.profile.mac}) the acquirer's?"
        )

    def _mak(self) -> bytes:
        wrapped = self._state.wrapped_keys
        if not wrapped:
            raise KeysError(_NO_SIGN_IN)
        return unwrap(self.profile, self._tmk, wrapped)["mak"]

    # --- one batch -------------------------------------------------------------------------

    def _settle(self, batch: int) -> Settled:
        currency = int(self.profile.currency)
        row = self._state.settlement(batch, currency)
        if row.state == BEGUN:
            verdict = self._verdict(row)
            self._state.verdict(batch, verdict)
            if verdict not in (BALANCED, NOT_BALANCED):
                raise Refused(
                    f"batch {batch}: the acquirer answers {verdict} to {row.count} payments of "
                    f"{row.amount} minor units. Nothing is settled: ask the acquirer"
                )
            row = self._state.settlement(batch, currency)
        if row.state == UNBALANCED:
            self._tell_all(row)
            row = self._state.settlement(batch, currency)
        return row

    def _verdict(self, row: Settled) -> int:
        answer = self._exchange.ask(
            message.settlement(
                self.profile, self._terminal, row.stan, row.batch, row.count, row.amount
            )
        )
        totals = answer.fields.get("48", "")
        if len(totals) <= _VERDICT or not totals[_VERDICT].isdigit():
            raise FrameError(
                f"the settlement answer has no verdict in DE48 (response "
                f"{answer.fields.get('39', 'missing')})"
            )
        return int(totals[_VERDICT])

    def _tell_all(self, row: Settled) -> None:
        """0320 for each payment of the batch from where it stopped, then the end of the batch."""
        payments = self._state.in_batch(row.batch)
        for number, upload in enumerate(payments[row.uploaded :], row.uploaded + 1):
            code = self._code(self._sale(upload, message.BATCH_UPLOAD))
            if code not in self.profile.done:
                raise Refused(
                    f"batch {row.batch}: the acquirer refuses payment {upload.seq} of unit "
                    f"{upload.unit_id} in the batch upload (response {code}): ask the acquirer"
                )
            self._state.told(row.batch, number)
        stan = self._state.end_stan(row.batch)
        end = message.batch_end(self.profile, self._terminal, stan, row.batch, len(payments))
        answer = self._exchange.ask(end)
        if answer.fields.get("39") not in self.profile.done:
            raise Refused(
                f"batch {row.batch}: the acquirer refuses the end of the batch upload (response "
                f"{answer.fields.get('39', 'missing')}): ask the acquirer"
            )
        self._state.ended(row.batch)
