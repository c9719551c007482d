"""What goes wrong on the wire between a reader chip and its host, on demand.

Each knob is the number of times that its fault still happens; 0 is a good wire.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Faults:
    """Knobs of a simulated reader chip."""

    deaf: int = 0  # whole commands that the chip does not hear
    drop_acks: int = 0  # ACK frames that do not arrive
    garbage_before_ack: int = 0
    garbage: bytes = bytes.fromhex("00FF5A00FFA5")
    bad_checksums: int = 0  # answers whose last data byte is damaged
    silences: int = 0  # ACK, then no answer; NACK brings it
    zombies: int = 0  # ACK, then nothing, and no answer is ever made
    truncations: int = 0  # answers that end after `truncate_to` bytes
    truncate_to: int = 5
    late: int = 0  # answers that come only when the host has waited `late_looks` times in vain
    late_looks: int = 1
    # Sees every frame that leaves the chip, last of all; may return other bytes.
    line: Callable[[bytes], bytes] | None = None

    def take(self, knob: str) -> bool:
        """True if the fault `knob` happens now; counts it down."""
        left = getattr(self, knob)
        if left <= 0:
            return False
        setattr(self, knob, left - 1)
        return True

    def ack(self, frame: bytes) -> bytes:
        """What arrives of an ACK."""
        if self.take("drop_acks"):
            frame = b""
        if self.take("garbage_before_ack"):
            frame = self.garbage + frame
        return self._send(frame)

    def answer(self, frame: bytes) -> bytes:
        """What arrives of an answer."""
        if self.take("silences"):
            return b""
        if self.take("bad_checksums"):
            frame = frame[:-3] + bytes((frame[-3] ^ 0x40,)) + frame[-2:]
        if self.take("truncations"):
            frame = frame[: self.truncate_to]
        return self._send(frame)

    def _send(self, frame: bytes) -> bytes:
        return self.line(frame) if self.line is not None and frame else frame
