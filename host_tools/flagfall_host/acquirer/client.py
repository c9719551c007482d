"""The terminal's side of the acquirer: sign in, upload what was approved offline, settle.

One question in flight. A question without an answer is an unknown: the same message, with the
same STAN and batch, is asked again, now or at the next run. DE39 00 and 94 (already there) both
mean that the acquirer has it.
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import rsa

from flagfall_host.acquirer import message
from flagfall_host.acquirer.codec import MAX_FRAME, Message, decode, encode, mac_good, with_length
from flagfall_host.acquirer.errors import (
    AcquirerError,
    FrameError,
    KeysError,
    NoAnswer,
    Refused,
    SealedError,
)
from flagfall_host.acquirer.message import Terminal
from flagfall_host.acquirer.profile import Profile
from flagfall_host.acquirer.sealed import Opener
from flagfall_host.acquirer.terminal_state import BALANCED, Settled, TerminalState
from flagfall_host.acquirer.working_keys import load_master_key, unwrap
from flagfall_host.ledger import money
from flagfall_host.ledger.ledger import Ledger

DONE = ("00", "94")
_MAC_ERROR = "A0"
_CONNECT_S = 10.0
_STRAY = 16  # late answers to earlier questions that are passed over
_ASKS = 3  # times that one run asks the same question
_VERDICT = 30  # place of the domestic verdict in DE48 of 0510


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
        self._address = (host, port)
        self._state = TerminalState(ledger, terminal.terminal_id, terminal.merchant_id)
        self._opener = Opener(ledger, private_key)
        self._tmk = master_key or load_master_key()
        self._socket: socket.socket | None = None

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> "Acquirer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- what a person asks for ------------------------------------------------------------

    def sign_in(self) -> int:
        """0800: fetch working keys and the batch number, which is returned."""
        stan = self._state.next_stan()
        question = message.sign_in(self.profile, self._terminal, stan, self._state.batch)
        answer = self._ask(question, None)
        code = answer.fields.get("39", "")
        if code != "00":
            raise Refused(
                f"the acquirer refuses the sign-in of terminal {self._terminal.terminal_id}: "
                f"response {code or 'missing'}. Is the terminal known there?"
            )
        wrapped = bytes.fromhex(answer.fields.get("62", ""))
        unwrap(self.profile, self._tmk, wrapped)
        digits = answer.fields.get("60", "")[2:8]
        if not digits.isdigit() or int(digits) == 0:
            raise FrameError("the sign-in answer names no batch in DE60")
        self._state.signed_in(int(digits), wrapped)
        return int(digits)

    def upload(
        self,
        progress: Callable[[int, int], None] | None = None,
        units: Sequence[str] | None = None,
    ) -> UploadResult:
        """0200 for every payment that was approved offline and is not yet with the acquirer.

        Raises NoAnswer when the host stops answering; what was asked stays unknown and is asked
        again by the next call.
        """
        self._mak()
        self._state.queue(units)
        todo = self._state.open_uploads()
        result = UploadResult()
        for number, upload in enumerate(todo):
            if progress:
                progress(number, len(todo))
            try:
                card = self._opener.open(upload.unit_id, upload.epoch, upload.seq)
                question = message.offline_sale(
                    self.profile, self._terminal, upload.stan, upload.batch, upload.amount, card
                )
                encode(self.profile, question)
            except (SealedError, FrameError) as e:
                result.unreadable.append(str(e))
                if upload.state == money.QUEUED:
                    self._state.move(upload, money.QUEUED, money.DISPUTED, str(e))
                continue
            state = self._state.asking(upload)
            try:
                answer = self._sale(question)
            except (NoAnswer, FrameError):
                if state == money.SENT:
                    self._state.move(upload, state, money.UNKNOWN, "no answer")
                raise
            code = answer.fields.get("39", "")
            if code in DONE:
                self._state.move(upload, state, money.ACCEPTED, f"response {code}")
                result.accepted += 1
                result.amount += upload.amount
                result.repeated += code == "94"
            else:
                self._state.move(upload, state, money.REFUSED, f"response {code}")
                result.refused.append((*upload.key, code))
        if progress:
            progress(len(todo), len(todo))
        return result

    def settle(self) -> Settled:
        """0500: compare the batch's totals with the acquirer's. Open uploads come first.

        Raises Refused if the totals do not balance.
        """
        left = self._state.open_uploads()
        if left:
            raise AcquirerError(
                f"{len(left)} payments are not uploaded yet: run `flagfall acquirer upload`, "
                "then settle"
            )
        batch = self._state.batch
        if batch == 0:
            raise KeysError("not signed in: run `flagfall acquirer sign-in` first")
        question = self._state.settlement(batch, int(self.profile.currency))
        if question.balanced:
            return question
        answer = self._ask(
            message.settlement(
                self.profile,
                self._terminal,
                question.stan,
                batch,
                question.count,
                question.amount,
            ),
            None,
        )
        totals = answer.fields.get("48", "")
        if len(totals) <= _VERDICT or not totals[_VERDICT].isdigit():
            raise FrameError("the settlement answer has no verdict in DE48")
        verdict = int(totals[_VERDICT])
        self._state.settled(batch, verdict)
        if verdict != BALANCED:
            raise Refused(
                f"batch {batch} does not balance: {question.count} payments, "
                f"{question.amount} minor units here; the acquirer answers {verdict}. "
                "Nothing is marked settled: compare `flagfall ledger list` with the acquirer"
            )
        return Settled(batch, question.stan, question.count, question.amount, True)

    # --- questions and answers -------------------------------------------------------------

    def _mak(self) -> bytes:
        wrapped = self._state.wrapped_keys
        if not wrapped:
            raise KeysError("not signed in: run `flagfall acquirer sign-in` first")
        return unwrap(self.profile, self._tmk, wrapped)["mak"]

    def _sale(self, question: Message) -> Message:
        answer = self._ask(question, self._mak() if self.profile.sale["mac"] else None)
        if answer.fields.get("39") == _MAC_ERROR:
            self.sign_in()  # the host has other keys: fetch them, ask the same again
            answer = self._ask(question, self._mak())
        return answer

    def _ask(self, question: Message, mak: bytes | None) -> Message:
        """Ask until there is an answer to this very question. Raises NoAnswer."""
        frame = with_length(self.profile, encode(self.profile, question, mak))
        problem = ""
        for _ in range(_ASKS):
            try:
                connection = self._connected()
                connection.sendall(frame)
                return self._answer_to(question, connection, mak)
            except (OSError, EOFError) as e:
                problem = str(e) or type(e).__name__
                self.close()
        host, port = self._address
        raise NoAnswer(
            f"no answer from the acquirer at {host}:{port} ({problem}); what was asked stays "
            "unknown and is asked again: run the same command later"
        )

    def _connected(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.create_connection(self._address, _CONNECT_S)
            self._socket.settimeout(self.profile.answer_s)
        return self._socket

    def _answer_to(
        self, question: Message, connection: socket.socket, mak: bytes | None
    ) -> Message:
        expected = f"{int(question.mti) + 10:04d}"
        for _ in range(_STRAY):
            size = int.from_bytes(_exactly(connection, self.profile.length_bytes), "big")
            if not 1 <= size <= MAX_FRAME:
                raise EOFError(f"a frame of {size} bytes")
            try:
                answer = decode(self.profile, _exactly(connection, size))
            except FrameError as e:
                raise EOFError(f"a frame that cannot be read: {e}") from None
            if answer.mti != expected or answer.fields.get("11") != question.fields["11"]:
                continue  # a late answer to an earlier question
            if answer.fields.get("41") != question.fields["41"]:
                continue
            if mak is not None and "64" in answer.fields and not mac_good(
                self.profile, answer, mak
            ):
                raise EOFError("an answer with a wrong MAC")
            return answer
        raise EOFError("only answers to other questions")


def _exactly(connection: socket.socket, n: int) -> bytes:
    data = b""
    while len(data) < n:
        part = connection.recv(n - len(data))
        if not part:
            raise EOFError("the connection was closed")
        data += part
    return data
