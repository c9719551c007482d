"""A wire in memory between a real Link and a real Session, with faults and a clock of its own.

Nothing here waits: time passes only when the host waits for it, and by what bytes cost.
"""

import os
import random
import sys
from pathlib import Path

from flagfall.link.session import Session

sys.path.insert(0, str(Path(__file__).parents[2] / "firmware/lib/flagfall/link"))

from fake_unit import FakeUnit  # noqa: E402

SOAK = 40 if os.environ.get("FLAGFALL_SOAK") else 1  # times as many seeds
_UNIT_SILENCE_S = 0.1


class PowerGone(Exception):
    """The test pulled the plug of the host."""


class LossyWire:
    """Carries whole frames, each of which may be lost, damaged, doubled or cut, both ways.

    `faults` is the chance of each of these for one frame. `die_after` frames, the host dies.
    """

    name = "memory"
    baud = 921_600

    def __init__(
        self, unit: FakeUnit, seed: float = 0, faults: float = 0.0, die_after: int | None = None
    ) -> None:
        self.unit = unit
        self.random = random.Random(seed)
        self.session = self.new_session()
        self.faults = faults
        self.die_after = die_after
        self.time = 0.0
        self.to_host = b""
        self.frames = 0
        self.dead = False
        self._heard_at = 0.0

    def new_session(self) -> Session:
        """What a restart of the unit leaves."""
        self.session = Session(self.unit, self.random.randbytes)
        return self.session

    def now(self) -> float:
        return self.time

    def set_baud(self, baud: int) -> None:
        raise AssertionError("not on this wire")

    def close(self) -> None:
        pass

    def _harm(self, frame: bytes) -> bytes:
        self.frames += 1
        if self.die_after is not None and self.frames > self.die_after:
            self.dead = True
            raise PowerGone
        if self.random.random() >= self.faults:
            return frame
        kind = self.random.randrange(6)
        if kind == 0:
            return b""
        if kind == 1:
            at = self.random.randrange(len(frame) * 8)
            harmed = bytearray(frame)
            harmed[at // 8] ^= 1 << at % 8
            return bytes(harmed)
        if kind == 2:
            return frame + frame
        if kind == 3:
            return frame[: self.random.randrange(len(frame))]
        if kind == 4:
            at = self.random.randrange(len(frame))
            return frame[:at] + frame[at + 1 + self.random.randrange(20) :]
        return self.random.randbytes(self.random.randrange(60)) + frame

    def write(self, data: bytes) -> None:
        self.time += len(data) * 10 / self.baud
        self.session.feed(self._harm(data))
        self._heard_at = self.time

    def read(self, timeout_s: float) -> bytes:
        if self.to_host:
            data, self.to_host = self.to_host, b""
            return data
        out = self.session.next_output()
        if out is not None:
            self.time += len(out) * 10 / self.baud
            return self._harm(bytes(out))
        self.time += timeout_s
        if self.time - self._heard_at >= _UNIT_SILENCE_S:
            self.session.feed(b"")
        return b""
