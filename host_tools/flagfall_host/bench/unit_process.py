"""The bench unit: the firmware in the real MicroPython, a process whose power is a switch."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from flagfall_host.bench.firmware_build import build
from flagfall_host.bench.world import BenchError, World

MICROPYTHON = Path(sys.executable).with_name("micropython")
HEAP = "640K"  # of 64-bit objects: what 320 kB are on an ESP32, which has PSRAM of 4 to 8 MB
JOURNAL_BYTES = 256 * 1024
TRIPS_BYTES = 64 * 1024
SECTOR = 4_096
RESTART_CODE = 75  # of firmware/boot/chooser.py
RESTART_S = 30.0


def environment(*folders: Path) -> dict[str, str]:
    """The environment in which MicroPython finds its own modules and those in `folders`."""
    return {**os.environ, "MICROPYPATH": ":".join([".frozen", *map(str, folders)])}


class UnitProcess:
    """One unit in `folder`: its flash and files stay there when the power goes.

    With `slots` it has a program of its own, in two slots, that can be updated; else it runs what
    was built last.
    """

    def __init__(
        self,
        folder: Path,
        world: World,
        *,
        reader: str,
        cable: str,
        isu: str | None = None,
        modem: str | None = None,
        relay: str | None = None,
        seed: str | None = None,
        heap: str = HEAP,
        slots: bool = False,
        patience: int = 1,
    ) -> None:
        self.folder = folder = folder.resolve()  # the unit has a working folder of its own
        self.world = world
        self.heap = heap
        self._setup = {
            "world": str(world.path),
            "reader": reader,
            "cable": cable,
            "isu": isu,
            "modem": modem,
            "relay": relay,
            "journal": str(folder / "journal.flash"),
            "trips": str(folder / "trips.flash"),
            "files": str(folder / "files"),
            "seed": seed,
            "power_ons": 0,
            "seal_open": False,
            "patience": patience,
        }
        (folder / "files").mkdir(parents=True, exist_ok=True)
        for name, size in (("journal", JOURNAL_BYTES), ("trips", TRIPS_BYTES)):
            path = folder / f"{name}.flash"
            if not path.exists():
                path.write_bytes(b"\xff" * size)  # as a flash chip leaves the factory
        self._process: subprocess.Popen[bytes] | None = None
        self._program = folder / "program" if slots else None
        if self._program is not None and not self._program.exists():
            self._install(self._program)

    def _install(self, program: Path) -> None:
        """Lay down what a unit is flashed with: the chooser, and the program in slot a."""
        from flagfall_host.flashing.program_files import BENCH, unit_files

        for name, content in unit_files(BENCH).items():
            path = program / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    @property
    def journal(self) -> Path:
        return self.folder / "journal.flash"

    def power_on(self, cut: tuple[str, int, str] | None = None) -> None:
        """Start the unit and wait until it has heard the time. `cut`: as for `plan_cut`, and
        counted from the first operation that it does."""
        if not MICROPYTHON.exists():
            raise BenchError(f"no MicroPython at {MICROPYTHON}: run `make setup`")
        self._setup["power_ons"] = int(self._setup["power_ons"] or 0) + 1  # type: ignore[call-overload]
        setup = self.folder / "bench.json"
        setup.write_text(json.dumps(self._setup), encoding="utf-8")
        log = (self.folder / "unit.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [MICROPYTHON, "-X", f"heapsize={self.heap}", "-m", "main"],
                env={**environment(self._program or build()), "FLAGFALL_BENCH": str(setup)},
                cwd=self._program or self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.world.connect(cut)

    def plan_cut(self, flash: str, operations: int, mode: str) -> None:
        """Cut the power at the program or erase of `flash` (journal, trips) that follows
        `operations` more of them; `mode` says what is left of it (boards/bench/nor_flash.py).

        The operation is done as far as the mode says, then the unit stands still: `power_off`.
        """
        self.world.plan_cut(flash, operations, mode)

    def restarted(self, seconds: float = RESTART_S) -> None:
        """Wait until the unit starts anew by itself, as a chip does when it is reset.

        Raises BenchError if it does not within `seconds`, or ends in any other way.
        """
        if self._process is None:
            raise BenchError("the unit has no power")
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired as e:
            raise BenchError(f"waited {seconds:.0f} s in vain for the unit's restart") from e
        self.power_off()
        if code != RESTART_CODE:
            raise BenchError(f"the unit ended with {code}: see unit.log in the bench folder")
        self.power_on()

    def power_off(self) -> None:
        """Cut the power: nothing in the unit gets to know."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None
        self.world.power_gone()

    def log(self) -> str:
        """What the unit printed: errors, if any."""
        path = self.folder / "unit.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
