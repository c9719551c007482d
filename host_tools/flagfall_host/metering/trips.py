"""Trips for the bench, and running them on the firmware's own engine.

    trip = Trip(tariff_blob, k=1000, utc_s=...)
    trip.drive(metres, kmh); trip.wait(seconds); trip.trace([(t_s, kmh), ...])
    results = run_trips([trip, ...], runtime="micropython")     # or "cpython": in this process

Results are the dictionaries of `trip_runner.run_trip`.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from flagfall_host.metering import trip_runner
from flagfall_host.metering.errors import RuntimeFailed, TripError

RUNTIMES = ("micropython", "cpython")
LONGEST_S = 86_400
FASTEST_KMH = 250
_ROOT = Path(__file__).parents[3]
_TIME_LIMIT_S = 600

Segment = tuple[int, int, int]


@dataclass
class Trip:
    """One hire. Segments are (ms, um at the first speed, um at the last speed)."""

    tariff: bytes
    k: int = 1000
    utc_s: int = 0
    options: int = 0
    supplements: int = 0
    calls: list[int] = field(default_factory=lambda: [100])
    segments: list[Segment] = field(default_factory=list)
    phase_um: int = 0

    def drive(self, metres: Fraction | float, kmh: Fraction | float = 50) -> "Trip":
        """Drive at an even speed, over whole pulses: the last pulse comes as the drive ends."""
        if metres < 0 or not 0 < kmh <= FASTEST_KMH:
            raise TripError("the distance must not be negative, the speed 0 to 250 km/h")
        pulses = int(Fraction(metres) * self.k / 1000)
        if not pulses:
            return self
        exact_um = Fraction(pulses * 10**9, self.k)
        ms = round(exact_um / 10**6 / Fraction(kmh) * 3600)
        # The next whole um, so that the pulse of a distance that is not whole um is counted.
        um = -(-exact_um.numerator // exact_um.denominator)
        return self._add(max(ms, 1), um, um)

    def wait(self, seconds: Fraction | float) -> "Trip":
        """Stand still."""
        if seconds < 0:
            raise TripError("the waiting time must not be negative")
        return self._add(round(Fraction(seconds) * 1000), 0, 0)

    def ramp(self, seconds: Fraction | float, first_kmh: float, last_kmh: float) -> "Trip":
        """Change speed evenly."""
        ms = round(Fraction(seconds) * 1000)
        a, b = (round(Fraction(v) * ms * 10**6 / 3600) for v in (first_kmh, last_kmh))
        return self._add(ms, a, b + (a + b) % 2)

    def trace(self, points: list[tuple[Fraction, Fraction]]) -> "Trip":
        """Drive a speed trace: (seconds, km/h), the speed changing evenly between points."""
        for (t0, v0), (t1, v1) in zip(points, points[1:], strict=False):
            self.ramp(t1 - t0, v0, v1)  # type: ignore[arg-type]
        return self

    def _add(self, ms: int, first: int, last: int) -> "Trip":
        if ms:
            self.segments.append((ms, first, last))
        if sum(s[0] for s in self.segments) > LONGEST_S * 1000:
            raise TripError("the trip is longer than 24 h")
        return self

    def job(self) -> dict[str, Any]:
        return {
            "tariff": self.tariff.hex(),
            "k": self.k,
            "utc_s": self.utc_s,
            "options": self.options,
            "supplements": self.supplements,
            "phase": self.phase_um,
            "calls": self.calls,
            "segments": self.segments,
        }


def read_trace(path: Path) -> list[tuple[Fraction, Fraction]]:
    """A CSV with the columns t_s and speed_kmh. Raises TripError, naming the line."""
    points: list[tuple[Fraction, Fraction]] = []
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise TripError(f"cannot read the trace {path}: {e}") from e
    rows = csv.DictReader(text.splitlines())
    if not {"t_s", "speed_kmh"} <= set(rows.fieldnames or ()):
        raise TripError(f"{path}: the first line must name the columns t_s and speed_kmh")
    for row in rows:
        where = f"{path} line {rows.line_num}"
        try:
            t, v = Fraction(row["t_s"]), Fraction(row["speed_kmh"])
        except (TypeError, ValueError, ZeroDivisionError) as e:
            raise TripError(f"{where}: t_s and speed_kmh must be numbers") from e
        if not 0 <= v <= FASTEST_KMH or not 0 <= t <= LONGEST_S:
            raise TripError(f"{where}: at most 250 km/h and 24 h, nothing negative")
        if points and t <= points[-1][0]:
            raise TripError(f"{where}: t_s must grow from line to line")
        points.append((t, v))
    if len(points) < 2:
        raise TripError(f"{path}: a trace needs two points or more")
    return points


def run_trips(trips: list[Trip], runtime: str = "micropython") -> list[dict[str, Any]]:
    """Run trips through the firmware's engine. Raises TripError or RuntimeFailed."""
    if runtime not in RUNTIMES:
        raise TripError(f"the runtime must be micropython or cpython, not {runtime!r}")
    jobs = [trip.job() for trip in trips]
    for job in jobs:
        if not 100 <= job["k"] <= 65535:
            raise TripError(f"k must be 100 to 65535 pulses/km, not {job['k']}")
    if runtime == "cpython":
        return [trip_runner.run_trip(job) for job in jobs]
    return [json.loads(line) for line in _micropython(json.dumps(jobs)).splitlines()]


def micropython_program() -> str:
    """The MicroPython beside this Python, or the one on the path. Raises RuntimeFailed."""
    beside = Path(sys.executable).with_name("micropython")
    program = str(beside) if beside.exists() else shutil.which("micropython")
    if not program:
        raise RuntimeFailed("micropython was not found: run `make setup`, or --runtime cpython")
    return program


def micropython_environment() -> dict[str, str]:
    return {**os.environ, "MICROPYPATH": f".frozen:{_ROOT / 'firmware' / 'lib'}"}


def _micropython(jobs: str) -> str:
    script = trip_runner.__file__
    try:
        run = subprocess.run(
            [micropython_program(), "-X", "heapsize=8M", script],
            input=jobs,
            env=micropython_environment(),
            capture_output=True,
            text=True,
            timeout=_TIME_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as e:
        raise RuntimeFailed(f"micropython was not done within {_TIME_LIMIT_S} s") from e
    if run.returncode:
        last = (run.stdout + run.stderr).strip().splitlines()[-1:]
        raise RuntimeFailed(f"micropython stopped: {last[0] if last else run.returncode}")
    return run.stdout
