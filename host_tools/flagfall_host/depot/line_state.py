"""What stands on a line that does not answer: told from the bytes that came."""

from dataclasses import dataclass

_REPL = (b">>> ", b"MicroPython v", b"raw REPL", b"Traceback (most recent call last)")
_BOOT = (b"ESP-ROM:", b"rst:0x", b"ets Jun", b"boot: ", b"waiting for download", b"load:0x")
_KEPT = 4_096


@dataclass
class LineState:
    """Remembers the newest bytes of a line, and says in words what they look like."""

    seen: bytes = b""
    total: int = 0

    def add(self, data: bytes) -> None:
        self.total += len(data)
        self.seen = (self.seen + data)[-_KEPT:]

    def words(self, baud: int, good_frames: int, bad_frames: int) -> str:
        """What was seen, then what to do next."""
        if any(mark in self.seen for mark in _BOOT):
            return (
                "its boot log came instead of an answer: the unit is starting or in download "
                "mode. Wait five seconds and try again; if it stays so, flash the firmware "
                "(`flagfall flash`)"
            )
        if any(mark in self.seen for mark in _REPL):
            return (
                "a MicroPython prompt answered instead of the meter: the firmware is not running. "
                "Press the unit's reset, or flash the firmware (`flagfall flash`)"
            )
        if good_frames:
            return (
                f"frames came ({good_frames} good, {bad_frames} damaged) but not the answer: "
                "the line is poor or the unit is busy. Check the plug and try again"
            )
        if bad_frames:
            return (
                f"only damaged frames came ({bad_frames}): the line is poor. Try a shorter cable "
                "or `--baud 115200`"
            )
        if self.total:
            return (
                f"{self.total} bytes came that are no frames: wrong speed, or another device. "
                f"Check that the unit's cable port runs at {baud} baud (`--baud`)"
            )
        return (
            "no bytes came: is the unit powered, and is this its port? "
            "`flagfall unit ports` lists the others"
        )
