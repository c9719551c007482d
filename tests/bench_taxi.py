"""Bench taxis for tests: provisioned once, then copied, so that a test begins at For Hire."""

import json
import shutil
import zlib
from pathlib import Path

from flagfall.clock import seconds_from_civil
from flagfall_host.bench.install import install
from flagfall_host.bench.shift import DRIVER
from flagfall_host.bench.taxi import Taxi
from flagfall_host.bench.wheel import read_trace
from flagfall_host.depot.fleet import Fleet

K = 1_000  # pulses a kilometre
START = seconds_from_civil(2026, 3, 2, 2, 0, 0)  # 10:00 in Hefei: no peak, no night
_KEPT = ("journal.flash", "trips.flash", "files")


class Garage:
    """One provisioned unit, and as many taxis with a copy of it as wanted."""

    def __init__(self, folder: Path) -> None:
        self._template = folder / "template"
        self.fleet_folder = folder / "fleet"
        self.fleet = Fleet.create(self.fleet_folder, "test")
        with Taxi(self._template, k=K, utc_s=START) as taxi:
            taxi.unit.power_on()
            install(taxi, self.fleet, K)
            taxi.press("SIGN", DRIVER, what="the sign-in", driver=DRIVER)
            taxi.stand(2)

    def taxi(self, folder: Path, **settings: object) -> Taxi:
        """A taxi in `folder`, its unit provisioned, a driver signed in, the power still off."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in _KEPT:
            source = self._template / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
        return Taxi(folder, **{"k": K, "utc_s": START + 600, **settings})  # type: ignore[arg-type]


def ride(taxi: Taxi, begin: int = 1_023, seconds: int = 90) -> int:
    """Hire, drive a stretch of the WLTC, stop; return what the passenger owes."""
    taxi.press("HIRED", what="the hire", position="HIRED")
    taxi.drive(read_trace()[begin : begin + seconds])
    taxi.press("STOP", what="the stop", position="STOPPED")
    taxi.world.run(200)
    return int(taxi.face["fare"])


def offer(folder: Path, *profiles: str) -> None:
    """Let the unit in `folder` offer these kinds of payment, the preferred first."""
    file = folder / "files" / "settings.json"
    settings = json.loads(file.read_bytes()[:-8])
    blob = json.dumps({**settings, "profiles": profiles}).encode()
    file.write_bytes(blob + f"{zlib.crc32(blob):08x}".encode())
