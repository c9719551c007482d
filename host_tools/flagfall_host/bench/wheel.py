"""The wheel: where the taxi is after so many milliseconds, and how many pulses that makes.

Positions are exact rational numbers, so that a pulse comes at the same millisecond on every
machine. Source of the speed trace: WLTC class 3b, UN GTR 15, 1 Hz, km/h.
"""

import csv
from pathlib import Path

WLTC = Path(__file__).parent / "traces" / "wltc-class3b.csv"

# One unit of position: 0.1 km/h for 1 ms, halved so that a trapezoid stays whole, and once more
# divided by 1,000 for the square of a fraction of a second. 1 km = 0.1 km/h * 36,000 s.
_UNITS_PER_KM = 36_000 * 1_000 * 2 * 1_000


def read_trace(path: Path = WLTC) -> list[int]:
    """Speeds in 0.1 km/h, one a second, from a CSV with the columns t_s and speed_kmh."""
    with path.open(newline="", encoding="utf-8") as f:
        return [round(float(row["speed_kmh"]) * 10) for row in csv.DictReader(f)]


class Wheel:
    """A distance generator of `k` pulses a kilometre, driven along speeds given by the second."""

    def __init__(self, k: int) -> None:
        if not 100 <= k <= 65_535:
            raise ValueError("k must be 100 to 65535 pulses per kilometre")
        self.k = k
        self._units = 0  # position at the start of the stretch
        self._speeds: list[int] = [0]
        self._stretch_ms = 0

    def drive(self, speeds: list[int]) -> None:
        """Begin a stretch: `speeds` in 0.1 km/h at 0, 1, 2, ... s, straight lines between."""
        self._units += self._along(self._stretch_ms)
        self._speeds = speeds or [0]
        self._stretch_ms = 0

    def move(self, ms: int) -> None:
        """Let `ms` milliseconds pass. After the last speed the taxi keeps that speed."""
        self._stretch_ms += ms

    @property
    def pulses(self) -> int:
        return self.units * self.k // _UNITS_PER_KM

    @property
    def speed(self) -> int:
        """The speed now, 0.1 km/h."""
        second, rest = divmod(self._stretch_ms, 1_000)
        a, b = self._pair(second)
        return a + (b - a) * rest // 1_000

    @property
    def units(self) -> int:
        return self._units + self._along(self._stretch_ms)

    def _pair(self, second: int) -> tuple[int, int]:
        last = len(self._speeds) - 1
        return self._speeds[min(second, last)], self._speeds[min(second + 1, last)]

    def _along(self, ms: int) -> int:
        whole, rest = divmod(ms, 1_000)
        units = 0
        for second in range(whole):
            a, b = self._pair(second)
            units += (a + b) * 1_000_000
        a, b = self._pair(whole)
        return units + 2 * a * rest * 1_000 + (b - a) * rest * rest
