"""The chart of a tariff: fare over distance by day and night, and over waiting time.

Every point is what the firmware's engine says, not a formula.
"""

import datetime
from pathlib import Path
from typing import Any

from flagfall_host.metering import trip_runner
from flagfall_host.metering.trips import Trip
from flagfall_host.tariffs.errors import TariffFileError
from flagfall_host.tariffs.tariff_file import TariffFile

_FARTHEST_M = 25_000
_LONGEST_S = 1_800
_WEDNESDAY = datetime.datetime(2026, 6, 3)

Line = tuple[list[float], list[float]]


def curve(file: TariffFile, trip: Trip, over_time: bool) -> Line:
    """(x, fare) at each change of the fare shown; x in km, or in minutes standing still."""
    scale = 10**file.minor_digits
    xs: list[float] = []
    fares: list[float] = []

    def watch(meter: Any, ms: int) -> None:
        x = ms / 60_000 if over_time else meter.distance_mm / 1e6
        xs.append(x)
        fares.append(meter.fare / scale)

    trip_runner.run_trip(trip.job(), watch)
    return xs, fares


def starts(file: TariffFile) -> dict[str, int]:
    """A label and a UTC second for each distinct set of windows over a Wednesday."""
    midnight = int((_WEDNESDAY - datetime.datetime(2000, 1, 1)).total_seconds())
    offset = file.local_time().offset_s(midnight)
    found: dict[frozenset[str], tuple[str, int]] = {}
    for minute in range(12 * 60, 36 * 60, 30):
        at = minute % 1440
        holding = frozenset(
            name
            for name, (start, end, days, first, last) in zip(
                file.window_names, file.windows, strict=True
            )
            if days >> 2 & 1
            and first <= midnight // 86400 <= last
            and (start <= at < end if start < end else at >= start or at < end)
        )
        if holding not in found:
            label = ", ".join(sorted(holding)) or "day"
            found[holding] = (label, midnight + at * 60 - offset)
    return dict(found.values())


def draw_chart(file: TariffFile, blob: bytes, output: Path) -> None:
    """Write the chart as a PNG. Raises TariffFileError if the file cannot be written."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    for label, utc_s in starts(file).items():
        trip = Trip(blob, 1000, utc_s, calls=[500]).drive(_FARTHEST_M, 60)
        left.step(*curve(file, trip, False), where="post", label=label)
        trip = Trip(blob, 1000, utc_s, calls=[1000]).wait(_LONGEST_S)
        right.step(*curve(file, trip, True), where="post", label=label)
    left.set(xlabel="distance driven, km", ylabel=f"fare, {file.currency}", title="driving")
    right.set(xlabel="time stood still, min", title="waiting")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.set_ylim(bottom=0)
    left.legend(fontsize=8)
    version = f"version {file.version}"
    figure.suptitle(f"{file.title} ({file.name}, {version})")
    try:
        figure.savefig(output, dpi=120, format="png")
    except OSError as e:
        from flagfall_host.tariffs.errors import Problem

        raise TariffFileError(file.name, [Problem(0, "T21", f"cannot write {output}: {e}")]) from e
    finally:
        pyplot.close(figure)
