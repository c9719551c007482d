"""The talk with a unit on a cable: every question waits, in this thread, for its answer.

What is said, and how, is in depot/conversation.py.
"""

import os
from collections.abc import Callable

from flagfall_host.closing import Closing
from flagfall_host.depot.at_once import at_once
from flagfall_host.depot.carrier import ON_CABLE
from flagfall_host.depot.conversation import Conversation, Frame, LinkCounters, UnitName
from flagfall_host.depot.link_errors import NoAnswer
from flagfall_host.depot.serial_wire import Wire

ANSWER_S = ON_CABLE.answer_s

__all__ = ["ANSWER_S", "Frame", "Link", "LinkCounters", "UnitName"]


class _Cable:
    """A wire as a carrier."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.name = wire.name
        self.now = wire.now
        self.close = wire.close

    @property
    def baud(self) -> int:
        return self._wire.baud

    async def write(self, data: bytes) -> None:
        self._wire.write(data)

    async def read(self, timeout_s: float) -> bytes:
        return self._wire.read(timeout_s)


class Link(Closing):
    """Talks to the unit on `wire`. `key_of(unit_id)` gives its 32-byte unit key, or None.

    The methods are those of Conversation, which is `talk`.
    """

    def __init__(
        self,
        wire: Wire,
        key_of: Callable[[str], bytes | None],
        *,
        nonce: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.wire = wire
        self.base_baud = wire.baud  # where the unit is looked for first
        self.talk = Conversation(_Cable(wire), key_of, nonce=nonce)

    @property
    def unit(self) -> UnitName | None:
        return self.talk.unit

    @property
    def unit_key(self) -> bytes | None:
        return self.talk.unit_key

    @property
    def counters(self) -> LinkCounters:
        return self.talk.counters

    def close(self) -> None:
        at_once(self.talk.close())

    def send(self, type: int, payload: bytes = b"", seq: int | None = None) -> int:
        return at_once(self.talk.send(type, payload, seq))

    def receive(self, deadline: float) -> Frame | None:
        return at_once(self.talk.receive(deadline))

    def frame_s(self) -> float:
        return self.talk.frame_s()

    def no_answer(self) -> NoAnswer:
        return self.talk.no_answer()

    def greet(self, tries: int = 0) -> UnitName:
        return at_once(self.talk.greet(tries))

    def open(self) -> UnitName:
        return at_once(self.talk.open())

    def pause(self, seconds: float) -> None:
        at_once(self.talk.pause(seconds))

    def ask(self, type: int, payload: bytes = b"") -> dict[str, object]:
        return at_once(self.talk.ask(type, payload))

    def ask_once(self, type: int, payload: bytes, seconds: float) -> dict[str, object] | None:
        return at_once(self.talk.ask_once(type, payload, seconds))

    def reopen(self) -> None:
        at_once(self.talk.reopen())

    def ask_bare(self, type: int, payload: bytes) -> dict[str, object]:
        return at_once(self.talk.ask_bare(type, payload))
