"""One terminal's talk with its acquirer: sign in, upload what was taken offline, settle.

A question without an answer is an unknown: the same message, with the same STAN and batch, is
asked again, now or at the next run, and nothing is guessed. What must not be forgotten is in the
ledger's database before the question that depends on it leaves.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from flagfall.journal.schema import TRANSIT

from flagfall_host.acquirer import message, response_codes
from flagfall_host.acquirer.batches import (
    BALANCED,
    BEGUN,
    NOT_BALANCED,
    UNBALANCED,
    Settled,
    Upload,
)
from flagfall_host.acquirer.codec import Message, encode
from flagfall_host.acquirer.commits import Commits
from flagfall_host.acquirer.errors import (
    AcquirerError,
    FrameError,
    KeyRecordMissing,
    KeysError,
    NoAnswer,
    Refused,
    SealedError,
)
from flagfall_host.acquirer.keys import TerminalKeys
from flagfall_host.acquirer.lines import Lines
from flagfall_host.acquirer.mac import Mac
from flagfall_host.acquirer.message import Terminal
from flagfall_host.acquirer.profile import Profile
from flagfall_host.acquirer.sealed import CardData, Opener
from flagfall_host.acquirer.terminal_state import TerminalState
from flagfall_host.ledger import money

_REPEATED = "94"
_APPROVED = "00"
_VERDICT = 30  # place of the domestic verdict in DE48 of 0510
_PAGE = 100  # payments whose card data are opened at once
_NO_SIGN_IN = "not signed in: run `flagfall acquirer sign-in` first"

Progress = Callable[[int, int], None]  # (done, of)


class RefusedPayment(NamedTuple):
    """A payment that the acquirer does not take. `code` is DE39, `amount` in minor units.

    `deferred`: its authorisation was asked for only now; the passenger has ridden.
    """

    unit_id: str
    epoch: int
    seq: int
    code: str
    amount: int
    deferred: bool


@dataclass
class UploadResult:
    """What one run of `upload` did."""

    accepted: int = 0
    amount: int = 0
    repeated: int = 0  # of these, how many the acquirer already had
    refused: list[RefusedPayment] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)  # sealed data that do not open

    def add(self, other: "UploadResult") -> None:
        """Take in what another terminal's run did."""
        self.accepted += other.accepted
        self.amount += other.amount
        self.repeated += other.repeated
        self.refused += other.refused
        self.unreadable += other.unreadable


class Talk:
    """What one terminal asks, one question after the other. Shares lines and commits."""

    def __init__(
        self,
        state: TerminalState,
        terminal: Terminal,
        profile: Profile,
        lines: Lines,
        commits: Commits,
        opener: Opener,
        keys: TerminalKeys,
    ) -> None:
        self.profile = profile
        self._state = state
        self._terminal = terminal
        self._lines = lines
        self._commits = commits
        self._opener = opener
        self._keys = keys
        self._made: Mac | None = None

    async def sign_in(self) -> int:
        """0800: fetch working keys and the batch number, which is returned."""
        stan = await self._next_stan()
        batch = await self._commits.run(lambda: self._state.batch)
        question = message.sign_in(self.profile, self._terminal, stan, batch)
        answer = await self._lines.ask(question)
        self.must_be_approved(answer, "the sign-in", "Is the terminal known there?")
        try:
            wrapped = bytes.fromhex(answer.fields.get("62", ""))
        except ValueError:
            raise FrameError("the sign-in answer's DE62 holds no keys") from None
        made = self._keys.mac(self.profile, self._terminal.terminal_id, wrapped)
        digits = answer.fields.get("60", "")[2:8]
        if not digits.isdigit() or int(digits) == 0:
            raise FrameError("the sign-in answer names no batch in DE60")
        await self._commits.run(lambda: self._state.signed_in(int(digits), wrapped))
        self._made = made
        return int(digits)

    async def echo(self) -> None:
        """0820: is the host there, and does it know this terminal?"""
        stan = await self._next_stan()
        batch = await self._commits.run(lambda: self._state.batch)
        question = message.echo(self.profile, self._terminal, stan, batch)
        self.must_be_approved(await self._lines.ask(question), "the echo", "Is it signed in?")

    async def ask_download(self, make: message.DownloadQuestion, what: str) -> Message:
        """The approved answer to a download's question; signs in once if the host wants it.

        Raises Refused, NoAnswer.
        """
        for signed_in_again in (False, True):
            stan = await self._next_stan()
            batch = await self._commits.run(lambda: self._state.batch)
            answer = await self._lines.ask(make(self.profile, self._terminal, stan, batch))
            code = answer.fields.get("39", "")
            if code in self.profile.try_later:
                raise NoAnswer(
                    f"the acquirer cannot give {what} now (response "
                    f"{response_codes.words(code)}): run the same command later, it goes on "
                    "where it stopped"
                )
            if code not in self.profile.sign_in_again or signed_in_again:
                break
            await self.sign_in()
        self.must_be_approved(answer, what, "Is the terminal signed in, and does it serve that?")
        return answer

    def must_be_approved(self, answer: Message, what: str, hint: str) -> None:
        """Raises Refused unless DE39 is 00."""
        code = answer.fields.get("39", "")
        if code != _APPROVED:
            raise Refused(
                f"the acquirer refuses {what} of terminal {self._terminal.terminal_id}: "
                f"response {response_codes.words(code)}. {hint}"
            )

    async def _next_stan(self) -> int:
        return await self._commits.run(self._state.next_stan)

    async def is_signed_in(self) -> bool:
        """Whether there are working keys from an earlier sign-in."""
        return bool(await self._commits.run(lambda: self._state.wrapped_keys))

    async def batch_full(self) -> bool:
        """Whether the open batch takes no more payments: it is to be settled then."""
        return await self._commits.run(lambda: self._state.room == 0)

    async def upload(
        self,
        progress: Progress | None = None,
        units: Sequence[str] | None = None,
        not_units: Sequence[str] = (),
    ) -> UploadResult:
        """0200 for every payment that was taken offline and is not yet with the acquirer.

        `units` limits it to the payments of these units, `not_units` leaves these out. Raises
        NoAnswer when the host stops answering; what was asked stays unknown and is asked again
        by the next call.
        """
        await self._learn_keys()
        # A batch whose totals are asked for may be closed at the acquirer already: that comes to
        # its end first, so that no payment joins it after its totals were told.
        for batch in await self._commits.run(self._state.begun_batches):
            await self._settle(batch)
        currency = int(self.profile.currency)
        await self._commits.run(lambda: self._state.queue(currency, units, not_units))
        todo = await self._commits.run(self._state.open_uploads)
        result = UploadResult()
        outcomes: list[money.Move] = []  # of answers that came, not durable yet
        try:
            for number, upload in enumerate(todo):
                if progress:
                    progress(number, len(todo))
                if number % _PAGE == 0:
                    page = [u.key for u in todo[number : number + _PAGE]]
                    cards = await self._commits.run(lambda p=page: self._opener.open_all(p))  # type: ignore[misc]
                await self._upload(upload, cards[upload.key], outcomes, result)
        finally:
            await self._commits.make(outcomes)
        if progress:
            progress(len(todo), len(todo))
        return result

    async def _upload(
        self,
        upload: Upload,
        card: CardData | SealedError,
        outcomes: list[money.Move],
        result: UploadResult,
    ) -> None:
        """Ask about one payment. The commit before its question also holds what came before."""
        try:
            question = self.sale(upload, card, message.SALE)
            plain = encode(self.profile, question)
        except (SealedError, FrameError) as e:
            result.unreadable.append(str(e))
            if upload.state == money.QUEUED and not isinstance(e, KeyRecordMissing):
                outcomes.append(money.Move(upload.key, money.QUEUED, money.DISPUTED, str(e)))
            return
        asking = self._state.asking(upload, hashlib.sha256(plain).hexdigest())
        before, outcomes[:] = outcomes + asking, []
        await self._commits.make(before)
        was = money.SENT if asking else upload.state
        try:
            code = await self._code(question, plain)
        except (NoAnswer, FrameError):
            if was == money.SENT:
                outcomes.append(money.Move(upload.key, was, money.UNKNOWN, "no answer"))
            raise
        except KeysError:
            if was == money.SENT:  # the host has said that it took nothing
                outcomes.append(money.Move(upload.key, was, money.QUEUED, "MAC refused"))
            raise
        deferred = upload.profile == TRANSIT
        why = f"response {response_codes.words(code)}"
        if code in self.profile.done:
            outcomes.append(money.Move(upload.key, was, money.ACCEPTED, why))
            result.accepted += 1
            result.amount += upload.amount
            result.repeated += code == _REPEATED
        else:
            if deferred:
                why += ", asked after the ride"
            outcomes.append(money.Move(upload.key, was, money.REFUSED, why))
            result.refused.append(RefusedPayment(*upload.key, code, upload.amount, deferred))

    def sale(self, upload: Upload, card: CardData | SealedError, mti: str) -> Message:
        """The message that tells the acquirer of a payment. Raises SealedError, FrameError."""
        if isinstance(card, SealedError):
            raise card
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

    async def _code(self, question: Message, plain: bytes | None = None) -> str:
        """DE39 of the answer: done or refused. Signs in again, once, if the host wants it."""
        with_mac = self.profile.sale["mac"]
        for _ in range(2):
            answer = await self._lines.ask(question, self._mac() if with_mac else None, plain)
            code = answer.fields.get("39", "")
            if not code or code in self.profile.try_later:
                raise NoAnswer(
                    f"the acquirer cannot say now (response {response_codes.words(code)}); what "
                    "was asked stays unknown and is asked again: run the same command later"
                )
            if code not in self.profile.sign_in_again:
                return code
            await self.sign_in()
        raise KeysError(
            f"the acquirer refuses the MAC (response {code}) even after a new sign-in: is the "
            f"MAC of profile {self.profile.name} ({self.profile.mac}) the acquirer's?"
        )

    async def _learn_keys(self) -> None:
        wrapped = await self._commits.run(lambda: self._state.wrapped_keys)
        if not wrapped:
            raise KeysError(_NO_SIGN_IN)
        self._made = self._keys.mac(self.profile, self._terminal.terminal_id, wrapped)

    def _mac(self) -> Mac:
        if self._made is None:
            raise KeysError(_NO_SIGN_IN)
        return self._made

    async def settle_all(self) -> list[Settled]:
        """Settle every batch that is open, oldest first; see `Acquirer.settle`."""
        todo = await self._commits.run(self._state.open_uploads)
        unknown = [u for u in todo if u.state == money.UNKNOWN]
        if unknown:
            raise AcquirerError(
                f"of {len(unknown)} payments it is not known whether the acquirer has them: run "
                "`flagfall acquirer upload`, then settle"
            )
        batches = await self._commits.run(self._state.open_batches)
        return [await self._settle(batch) for batch in batches]

    async def _settle(self, batch: int) -> Settled:
        row = await self._row(batch)
        if row.state == BEGUN:
            verdict = await self._verdict(row)
            await self._commits.run(lambda: self._state.verdict(batch, verdict))
            if verdict not in (BALANCED, NOT_BALANCED):
                raise Refused(
                    f"batch {batch}: the acquirer answers {verdict} to {row.count} payments of "
                    f"{row.amount} minor units. Nothing is settled: ask the acquirer"
                )
            row = await self._row(batch)
        if row.state == UNBALANCED:
            await self._tell_all(row)
            row = await self._row(batch)
        return row

    async def _row(self, batch: int) -> Settled:
        currency = int(self.profile.currency)
        return await self._commits.run(lambda: self._state.settlement(batch, currency))

    async def _verdict(self, row: Settled) -> int:
        question = message.settlement(
            self.profile, self._terminal, row.stan, row.batch, row.count, row.amount
        )
        answer = await self._lines.ask(question)
        totals = answer.fields.get("48", "")
        if len(totals) <= _VERDICT or not totals[_VERDICT].isdigit():
            raise FrameError(
                f"the settlement answer has no verdict in DE48 (response "
                f"{answer.fields.get('39', 'missing')})"
            )
        return int(totals[_VERDICT])

    async def _tell_all(self, row: Settled) -> None:
        """0320 for each payment of the batch from where it stopped, then the end of the batch."""
        await self._learn_keys()
        payments = await self._commits.run(lambda: self._state.in_batch(row.batch))
        left = payments[row.uploaded :]
        for at, upload in enumerate(left):
            if at % _PAGE == 0:
                page = [u.key for u in left[at : at + _PAGE]]
                cards = await self._commits.run(lambda p=page: self._opener.open_all(p))  # type: ignore[misc]
            code = await self._code(self.sale(upload, cards[upload.key], message.BATCH_UPLOAD))
            if code not in self.profile.done:
                raise Refused(
                    f"batch {row.batch}: the acquirer refuses payment {upload.seq} of unit "
                    f"{upload.unit_id} in the batch upload (response "
                    f"{response_codes.words(code)}): ask the acquirer"
                )
            number = row.uploaded + at + 1
            await self._commits.run(lambda n=number: self._state.told(row.batch, n))  # type: ignore[misc]
        stan = await self._commits.run(lambda: self._state.end_stan(row.batch))
        end = message.batch_end(self.profile, self._terminal, stan, row.batch, len(payments))
        answer = await self._lines.ask(end)
        if answer.fields.get("39") not in self.profile.done:
            raise Refused(
                f"batch {row.batch}: the acquirer refuses the end of the batch upload (response "
                f"{answer.fields.get('39', 'missing')}): ask the acquirer"
            )
        await self._commits.run(lambda: self._state.ended(row.batch))
