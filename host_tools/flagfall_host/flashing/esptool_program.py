"""esptool, run as a program: its progress read line by line, its errors in our words.

esptool is never imported: it has a licence of its own, and a fault in it ends its process only.
"""

import contextlib
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from flagfall_host.flashing.errors import (
    FlashError,
    InputError,
    NoAnswer,
    NotVerified,
    WrongChip,
)

ESPTOOL = Path(sys.executable).with_name("esptool")
BAUD = 460_800
_CONNECT_ATTEMPTS = 3
_SILENCE_S = 180  # longest time without a word: erasing all of 16 MiB takes up to 120 s
_WRITING = re.compile(r"Writing at (0x[0-9a-f]+).*?([0-9.]+)%")
_MAC = re.compile(r"MAC:\s+([0-9a-f:]{17})")
_VERIFIED = "Hash of data verified."

Progress = Callable[[int, float], None]  # (flash address, percent of the region it is in)


class EsptoolRun:
    """What a successful run has said."""

    def __init__(self) -> None:
        self.mac = ""
        self.verified = 0


def write_flash(
    port: str,
    chip: str,
    regions: list[tuple[int, Path]],
    *,
    baud: int = BAUD,
    erase: bool = False,
    progress: Progress | None = None,
) -> EsptoolRun:
    """Write (address, file) pairs to the chip on `port`; each is read back and compared.

    `erase` erases all of the flash first, which takes up to two minutes.
    Raises NoAnswer, WrongChip, NotVerified, FlashError.
    """
    if not ESPTOOL.exists():
        raise InputError(f"no esptool at {ESPTOOL}: run `make setup`")
    command = [str(ESPTOOL), "--chip", chip, "--port", port, "--baud", str(baud)]
    command += ["--connect-attempts", str(_CONNECT_ATTEMPTS)]
    command += ["write-flash", "--flash-size", "detect"]
    if erase:
        command.append("--erase-all")
    for address, path in regions:
        command += [hex(address), str(path)]
    run = EsptoolRun()
    writing = False
    said: list[str] = []
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        for line in _lines(process, port):
            said.append(line)
            if match := _WRITING.search(line):
                writing = True
                if progress is not None:
                    progress(int(match[1], 16), float(match[2]))
            elif match := _MAC.search(line):
                run.mac = match[1]
            elif _VERIFIED in line:
                run.verified += 1
        code = process.wait(_SILENCE_S)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if code:
        raise _error("\n".join(said), port, chip, writing)
    if run.verified != len(regions):
        raise NotVerified(
            f"only {run.verified} of {len(regions)} parts were verified on {port}: run again"
        )
    return run


def _lines(process: "subprocess.Popen[bytes]", port: str) -> Iterator[str]:
    """The program's lines as they come. Raises FlashError when it falls silent."""
    arrived: queue.Queue[bytes | None] = queue.Queue()

    def pump() -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in process.stdout or ():
                arrived.put(line)
        arrived.put(None)

    threading.Thread(target=pump, daemon=True).start()
    while True:
        try:
            line = arrived.get(timeout=_SILENCE_S)
        except queue.Empty:
            raise FlashError(
                f"the unit on {port} fell silent: check its supply and cable, run again"
            ) from None
        if line is None:
            return
        yield line.decode("utf-8", "replace").strip()


def _error(said: str, port: str, chip: str, writing: bool) -> FlashError:
    if match := re.search(r"This chip is ([\w-]+), not", said):
        return WrongChip(
            f"the chip on {port} is an {match[1]}, this board has an {chip}: "
            "name the right board with --board"
        )
    if "Unexpected chip" in said:
        return WrongChip(f"the firmware is not made for the chip on {port}: take another file")
    if "will not fit in" in said:
        return WrongChip(f"the module on {port} has too little flash for this board")
    if "does not match" in said or "Verify failed" in said:
        return NotVerified(f"what {port} holds is not what was written: run again")
    if writing:
        return FlashError(f"flashing {port} broke off halfway: check supply and cable, run again")
    if "No such file or directory" in said and "Could not open" in said:
        return NoAnswer(f"no such port: {port}; `flagfall unit ports` lists what there is")
    if "Could not open" in said:
        return NoAnswer(f"cannot open {port}: close the program that uses it, or plug it in")
    silent = ("Failed to connect", "No serial data", "Wrong boot mode", "Invalid head of packet")
    if any(text in said for text in silent):
        return NoAnswer(f"no answer at {port}: hold BOOT, press RESET, let go, run again")
    reason = re.search(r"(?:ERROR: )?A (?:fatal|serial)[\w ]* error occurred:\s*(.+)", said)
    text = reason[1].strip() if reason else "it gave no reason"
    return FlashError(f"flashing {port} broke off ({text}): check the cable, run again")
