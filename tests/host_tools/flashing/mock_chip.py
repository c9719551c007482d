"""esp32-mock-bootloader with the flash of the reference module: 16 MiB instead of its 4.

Run as a program it serves one chip: `python mock_chip.py CHIP TCP_PORT_FILE FLASH_MIB IMAGE_FILE
CUT_AT`. IMAGE_FILE keeps the flash when the process ends, as a chip does when the power goes,
which it does when the byte at CUT_AT is to be programmed (-1: never).
"""

import atexit
import contextlib
import mmap
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_START_S = 20


class MortalCells(mmap.mmap):
    """The cells of a chip that loses its power when the one at `cut_at` is programmed."""

    cut_at = -1

    def __setitem__(self, at, value) -> None:  # type: ignore[no-untyped-def]
        if at == self.cut_at:
            os._exit(0)
        super().__setitem__(at, value)


def serve(chip: str, port_file: str, mib: int, image: str, cut_at: int) -> None:
    from esp32_mock_bootloader import protocol, server

    protocol.FLASH_MOCK_SIZE = mib << 20
    # JEDEC id: the third byte is the capacity as a power of two.
    protocol.MOCK_FLASH_ID = ((mib << 20).bit_length() - 1) << 16 | 0x4020
    path = Path(image)
    if not path.exists():
        path.write_bytes(b"\xff" * (mib << 20))
    flash = server.get_flash_image()
    file = path.open("r+b")
    # What is written is in the file at once: killing the process loses nothing of it.
    cells = mmap.mmap if cut_at < 0 else MortalCells
    flash.data = cells(file.fileno(), mib << 20)
    if cut_at >= 0:
        flash.data.cut_at = cut_at
    atexit.register(file.close)
    from esp32_mock_bootloader.cli import main

    sys.argv = ["mock", "run", "--port", "0", "--chip", chip, "--port-file", port_file]
    main()


class MockChip:
    """A chip in its boot loader: `url` for esptool, `flash()` what its flash holds."""

    def __init__(
        self, folder: Path, chip: str = "esp32s3", mib: int = 16, cut_at: int = -1
    ) -> None:
        self._image = folder / "flash.bin"
        self._port_file = folder / "port"
        self._command = [
            sys.executable,
            __file__,
            chip,
            str(self._port_file),
            str(mib),
            str(self._image),
        ]
        self._cut_at = cut_at  # of the first time that it has power
        self._process: subprocess.Popen[bytes] | None = None

    def power_on(self) -> None:
        self._port_file.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [*self._command, str(self._cut_at)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._cut_at = -1
        give_up = time.monotonic() + _START_S
        while not (self._port_file.exists() and self._port_file.read_text().strip()):
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError("the mock boot loader did not start")
            time.sleep(0.02)

    def power_off(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    @property
    def url(self) -> str:
        return f"socket://127.0.0.1:{self._port_file.read_text().strip()}"

    def flash(self) -> bytes:
        return self._image.read_bytes()


@contextlib.contextmanager
def powered(
    folder: Path, chip: str = "esp32s3", mib: int = 16, cut_at: int = -1
) -> Iterator[MockChip]:
    mock = MockChip(folder, chip, mib, cut_at)
    mock.power_on()
    try:
        yield mock
    finally:
        mock.power_off()


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
