"""The host's side of the talk: greeting, proof, questions that are repeated until answered.

docs/formats.md sections 5, 6 and 10. One `Conversation` talks to one unit over one `Carrier`. It
is written once, for a cable (depot/link.py runs it in a thread that may wait) and for the many TLS
connections of a gateway (which runs it in an event loop).
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

from flagfall.hmac_sha256 import equal
from flagfall.link import messages
from flagfall.link.frame import HEADER, MAX_FRAME, MAX_PAYLOAD, FrameReader, seal
from flagfall.link.proof import (
    FROM_HOST,
    FROM_UNIT,
    TAG,
    Tagger,
    host_proof,
    link_key,
    session_key,
    unit_proof,
)

from flagfall_host.depot.carrier import BYE_S, ON_CABLE, POLL_S, Carrier, Patience
from flagfall_host.depot.line_state import LineState
from flagfall_host.depot.link_errors import (
    FactoryState,
    LinkError,
    NoAnswer,
    SessionLost,
    UnitFault,
    UnitRefused,
    UnknownUnit,
    WrongKey,
)

GREETINGS = 3  # fresh handshakes in one go, before it counts as failed
BUSY_S = 1.0  # between tries while the unit says that it is busy
BUSY_TRIES = 15
_LAST_SEQ = 0xFFFF
_BUFFER = 1 << 16


@dataclass(frozen=True)
class Frame:
    """A frame from the unit, its tag checked and taken off where there is one."""

    type: int
    seq: int
    payload: bytes


@dataclass(frozen=True)
class UnitName:
    """What a unit says of itself to anyone: state, id (empty in factory state), model, version."""

    provisioned: bool
    unit_id: str
    model: str
    version: str


@dataclass
class LinkCounters:
    """What the line did to the talk."""

    repeats: int = 0  # questions sent again
    bad_tag: int = 0  # frames with a wrong tag
    greetings: int = 0  # handshakes
    stray: int = 0  # answers to no open question


class Conversation:
    """Talks to the unit on `wire`. `key_of(unit_id)` gives its 32-byte unit key, or None.

    `unit_key` is set once the unit has proved that it holds it.
    """

    def __init__(
        self,
        wire: Carrier,
        key_of: Callable[[str], bytes | None],
        *,
        nonce: Callable[[int], bytes] = os.urandom,
        patience: Patience = ON_CABLE,
        buffer: int = _BUFFER,
    ) -> None:
        self.wire = wire
        self.patience = patience
        self.unit: UnitName | None = None
        self.unit_key: bytes | None = None
        self.counters = LinkCounters()
        self._key_of = key_of
        self._nonce = nonce
        self.newest = 0  # the newest seq that the unit named in a PING
        self.quiet_at: int | None = None  # the seq up to which all is done for the unit
        self.receipted: tuple[int, int, bytes] | None = None  # what the unit has taken of us
        self._reader = FrameReader(buffer)
        self._chunk = buffer - MAX_FRAME  # with what is left of a frame it finds room
        self._pending = b""
        self._state = LineState()
        self._tagger: Tagger | None = None
        self._host_nonce = self._unit_nonce = b""
        self._proof = b""
        # A random start keeps late answers to a former host from looking like ours.
        self._seq = int.from_bytes(nonce(2), "little") & 0x3FFF
        self._out = bytearray(MAX_FRAME)

    async def close(self) -> None:
        """Give the port back. The unit is told if it still listens (BYE)."""
        try:
            if self._tagger is not None:
                await self.send(messages.BYE)
                wait = min(self.patience.answer_s, BYE_S)
                await self._await_answer(self._seq, self.wire.now() + wait)
        except LinkError:
            pass  # nobody listens any more, which is no fault of what was done before
        finally:
            self._tagger = None
            self.wire.close()

    # --- frames -----------------------------------------------------------------------------

    async def send(self, type: int, payload: bytes = b"", seq: int | None = None) -> int:
        """Send one frame and return its sequence: the next one, or the one given."""
        if seq is None:
            self._seq += 1
            seq = self._seq
        n = len(payload)
        self._out[HEADER : HEADER + n] = payload
        if self._tagger is not None:
            head = bytes((type, seq & 0xFF, seq >> 8))
            self._out[HEADER + n : HEADER + n + TAG] = self._tagger.tag(FROM_HOST, head, payload)
            n += TAG
        await self.wire.write(bytes(self._out[: seal(self._out, type, seq, n)]))
        return seq

    async def receive(self, deadline: float, heed_pings: bool = False) -> Frame | None:
        """The next frame from the unit; None when `deadline` (of `wire.now`) has passed.

        PINGs are answered here, and given out only to who heeds them. Raises SessionLost when the
        unit says that it knows no session, UnitFault when bytes come that TLS cannot have harmed
        and that are no frames.
        """
        silence = self.patience.silence_s
        while True:
            while self._reader.next():
                frame = self._checked()
                if frame is None:
                    continue
                if frame.type != messages.PING:
                    return frame
                await self._pong(frame)
                if heed_pings:
                    return frame
            if silence is None and self._harmed():
                raise UnitFault(f"{self.wire.name}: the client sends what no unit sends")
            if self._pending:
                self._reader.feed(self._pending[: self._chunk])
                self._pending = self._pending[self._chunk :]
                continue
            left = deadline - self.wire.now()
            if left <= 0:
                return None
            data = await self.wire.read(min(left, POLL_S if silence is None else silence))
            if data:
                self._state.add(data)
                self._pending = data
            elif silence is not None and left >= silence:
                self._reader.silence()

    def _harmed(self) -> bool:
        reader = self._reader
        return bool(reader.bad_crc or reader.skipped or reader.dropped or self.counters.bad_tag)

    async def wait_for_news(self, idle_s: float) -> bool:
        """Wait for a PING that names a record above `quiet_at`; False: silence for `idle_s`."""
        while True:
            frame = await self.receive(self.wire.now() + idle_s, heed_pings=True)
            if frame is None:
                return False
            if frame.type != messages.PING:
                self.counters.stray += 1
            elif self.quiet_at is None or self.newest > self.quiet_at:
                return True

    async def _pong(self, ping: Frame) -> None:
        try:
            self.newest = messages.parse_u32(ping.payload)
        except messages.Malformed as e:
            raise UnitFault(f"{self.wire.name}: the unit's PING is malformed: {e}") from e
        more = self.quiet_at is None or self.newest > self.quiet_at
        await self.send(messages.PONG, messages.pack_pong(more), ping.seq)

    def _checked(self) -> Frame | None:
        reader = self._reader
        if reader.type < 0x80:
            return None  # our own words, from an echoing line
        if reader.type == messages.PING and self._tagger is None:
            return None  # of a session that is over
        if self._tagger is None or reader.type == messages.CHALLENGE:
            return Frame(reader.type, reader.seq, bytes(reader.payload))
        if self._tagger.good(FROM_UNIT, reader.head, reader.payload):
            return Frame(reader.type, reader.seq, bytes(reader.payload[:-TAG]))
        if reader.type == messages.ERROR and reader.seq == self._seq:
            # The one thing that is believed without a tag, since it only costs a new greeting.
            try:
                code, text = messages.parse_error(reader.payload)
            except messages.Malformed:
                code, text = 0, ""
            if code == messages.NOT_AUTHENTICATED:
                raise SessionLost(f"{self.wire.name}: the unit asks for a new greeting: {text}")
        self.counters.bad_tag += 1
        return None

    async def _await_answer(
        self, seq: int, deadline: float, wanted: int = messages.OK
    ) -> Frame | None:
        while True:
            frame = await self.receive(deadline)
            if frame is None:
                return None
            if frame.seq == seq and frame.type in (wanted, messages.ERROR):
                return frame
            self.counters.stray += 1

    def frame_s(self) -> float:
        """Seconds that the longest frame takes on this wire; 0 where it has no speed."""
        return MAX_FRAME * 10 / self.wire.baud if self.wire.baud else 0.0

    def no_answer(self) -> NoAnswer:
        """The error for a unit that does not answer (any more), with what the line showed."""
        if not self.wire.baud:
            return NoAnswer(f"{self.wire.name}: the unit does not answer any more")
        reader = self._reader
        words = self._state.words(self.wire.baud, reader.frames, reader.bad_crc)
        return NoAnswer(
            f"{self.wire.name}: no answer from a unit at {self.wire.baud} baud: {words}"
        )

    # --- greeting ---------------------------------------------------------------------------

    async def greet(self, tries: int = 0) -> UnitName:
        """Ask who is there: no key needed; 0 tries: as the carrier's patience has it.

        Raises NoAnswer.
        """
        self._tagger = None
        host_nonce = self._nonce(16)
        self.counters.greetings += 1
        frame = await self._repeat(
            messages.HELLO, host_nonce, tries or self.patience.tries, messages.CHALLENGE
        )
        if frame.type == messages.ERROR:
            raise self._refused(frame)
        try:
            parts = messages.parse_challenge(frame.payload)
        except messages.Malformed as e:
            raise UnitFault(f"{self.wire.name}: the unit's CHALLENGE is malformed: {e}") from e
        self._unit_nonce, state, self._proof, model, version, unit_id = parts
        self._host_nonce = host_nonce
        self.unit = UnitName(state != messages.FACTORY, unit_id, model, version)
        return self.unit

    async def open(self) -> UnitName:
        """Greet the unit and prove to each other that both hold its key.

        Raises FactoryState, UnknownUnit, WrongKey, UnitRefused or NoAnswer.
        """
        failures = busy = 0
        while failures < GREETINGS:
            unit = await self.greet()
            if not unit.provisioned:
                raise FactoryState(
                    f"{self.wire.name}: this {unit.model} is in factory state and has no key yet: "
                    "run `flagfall unit provision` first"
                )
            key = self._key_of(unit.unit_id)
            if key is None:
                raise UnknownUnit(
                    f"{self.wire.name}: unit {unit.unit_id} answers, but no key is at hand for "
                    "it: name its fleet folder with `--fleet DIR`"
                )
            link = link_key(key)
            name = unit.unit_id.encode()
            expected = unit_proof(link, self._host_nonce, self._unit_nonce, name)
            if not equal(self._proof, expected):
                failures += 1  # perhaps a late answer to another greeting
                if failures == GREETINGS:
                    raise WrongKey(self._wrong_key())
                continue
            try:
                if await self._prove(
                    host_proof(link, self._host_nonce, self._unit_nonce, name), link
                ):
                    self.unit_key = key
                    return unit
                failures += 1
            except UnitRefused as e:
                busy += 1
                if e.code != messages.BUSY or busy > BUSY_TRIES:
                    raise
                await self.pause(BUSY_S)
        raise self.no_answer()

    async def pause(self, seconds: float) -> None:
        """Let time pass; what comes meanwhile is dropped."""
        deadline = self.wire.now() + seconds
        while await self.receive(deadline) is not None:
            self.counters.stray += 1

    async def _prove(self, proof: bytes, link: bytes) -> bool:
        tagger = Tagger(session_key(link, self._host_nonce, self._unit_nonce))
        self._seq += 1
        seq = self._seq
        for wait in self.patience.waits(self.patience.tries):
            self._tagger = None
            await self.send(messages.PROOF, proof, seq)
            deadline = self.wire.now() + wait + self.frame_s()
            while True:
                frame = await self.receive(deadline)  # not believed before its tag is checked here
                if frame is None:
                    break
                if frame.seq != seq:
                    continue
                if frame.type == messages.OK:
                    head = bytes((frame.type, seq & 0xFF, seq >> 8))
                    if tagger.good(FROM_UNIT, head, frame.payload):
                        self._tagger = tagger
                        return True
                    self.counters.bad_tag += 1
                elif frame.type == messages.ERROR:
                    if self._error(frame)[0] == messages.WRONG_KEY:
                        raise WrongKey(self._wrong_key())
                    if self._error(frame)[0] == messages.NOT_AUTHENTICATED:
                        return False  # the challenge was lost to a restart
                    raise self._refused(frame)
            self.counters.repeats += 1
        return False

    def _wrong_key(self) -> str:
        unit_id = self.unit.unit_id if self.unit else "?"
        return (
            f"{self.wire.name}: unit {unit_id} does not hold the key that this fleet folder "
            "gives it: name the folder it was provisioned from with `--fleet DIR`"
        )

    # --- questions --------------------------------------------------------------------------

    async def ask(self, type: int, payload: bytes = b"") -> dict[str, object]:
        """Send a question, repeat it while no answer comes, return the OK's object.

        A unit that has forgotten the session is greeted again and asked anew: all questions may
        be asked twice. Raises UnitRefused, NoAnswer.
        """
        if len(payload) > MAX_PAYLOAD - TAG:
            raise ValueError(f"a question of {len(payload)} bytes; {MAX_PAYLOAD - TAG} fit")
        for _ in range(GREETINGS):
            if self._tagger is None or self._seq >= _LAST_SEQ - self.patience.tries:
                await self.reopen()
            try:
                return self._object(await self._repeat(type, payload, self.patience.tries))
            except SessionLost:
                self._tagger = None
        raise self.no_answer()

    async def ask_once(
        self, type: int, payload: bytes, seconds: float
    ) -> dict[str, object] | None:
        """Send a question once; the OK's object, or None if none came within `seconds`."""
        seq = await self.send(type, payload)
        deadline = self.wire.now() + seconds + 2 * self.frame_s()
        frame = await self._await_answer(seq, deadline)
        return None if frame is None else self._object(frame)

    async def reopen(self) -> None:
        """Begin a new session with the same unit."""
        self.receipted = None
        before = self.unit_key
        if self._seq >= _LAST_SEQ - 4 * self.patience.tries:
            self._seq = int.from_bytes(self._nonce(2), "little") & 0x3FFF
        await self.open()
        if before is not None and self.unit_key != before:
            raise UnitFault(
                f"{self.wire.name}: another unit answers than before: was the cable moved? "
                "Run the command again"
            )

    async def ask_bare(self, type: int, payload: bytes) -> dict[str, object]:
        """A question to a unit in factory state (PROVISION)."""
        self._tagger = None
        return self._object(await self._repeat(type, payload, self.patience.tries))

    async def _repeat(
        self, type: int, payload: bytes, tries: int, wanted: int = messages.OK
    ) -> Frame:
        """Send a question with one sequence until its answer comes."""
        self._seq += 1
        seq = self._seq
        for wait in self.patience.waits(tries):
            await self.send(type, payload, seq)
            deadline = self.wire.now() + wait + 2 * self.frame_s()
            frame = await self._await_answer(seq, deadline, wanted)
            if frame is not None:
                return frame
            self.counters.repeats += 1
        raise self.no_answer()

    def _object(self, frame: Frame) -> dict[str, object]:
        if frame.type == messages.ERROR:
            raise self._refused(frame)
        try:
            return messages.parse_json(frame.payload)
        except messages.Malformed as e:
            raise UnitFault(f"{self.wire.name}: the unit's answer is malformed: {e}") from e

    def _error(self, frame: Frame) -> tuple[int, str]:
        try:
            return messages.parse_error(frame.payload)
        except messages.Malformed as e:
            raise UnitFault(f"{self.wire.name}: the unit's ERROR is malformed: {e}") from e

    def _refused(self, frame: Frame) -> UnitRefused:
        code, text = self._error(frame)
        return UnitRefused(f"{self.wire.name}: the unit refuses: {text}", code, text)
