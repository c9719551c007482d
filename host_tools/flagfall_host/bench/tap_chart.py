"""The waterfall of a tap: what the air, the card, the wire and the unit did, when."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from flagfall_host.bench.rf_time import CARD, LINK, RF, TERMINAL
from flagfall_host.bench.tap import TapResult

_LANES = (
    (RF, "air", "#1f77b4"),
    (CARD, "card", "#2ca02c"),
    (LINK, "wire and chip", "#9467bd"),
    (TERMINAL, "unit", "#d62728"),
)


def draw(result: TapResult, path: Path) -> None:
    """Draw `result` into the PNG `path`. Raises OSError, ValueError (no such kind of file)."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for row, (kind, name, colour) in enumerate(_LANES):
        spans = [
            (s.start / 1000, (s.end - s.start) / 1000) for s in result.segments if s.kind == kind
        ]
        axes.broken_barh(spans, (row - 0.38, 0.76), color=colour)
        axes.text(
            result.total_us / 1000 * 1.01, row, f"{result.sum_us(kind) / 1000:.0f} ms", va="center"
        )
        axes.text(-result.total_us / 1000 * 0.01, row, name, va="center", ha="right")
    total, floor = result.total_us / 1000, result.floor_us / 1000
    held = result.card_us / 1000
    axes.axvline(total, color="black", linewidth=0.8)
    axes.axvline(held, color="black", linewidth=0.8, linestyle="--")
    axes.set_xlim(0, total * 1.08)
    axes.set_ylim(len(_LANES) - 0.5, -0.5)
    axes.set_yticks([])
    axes.set_xlabel("ms from field on (modelled)")
    axes.set_title(
        f"{result.card}, {result.chip}, {result.profile}: {result.outcome}, {result.apdus} APDUs,"
        f" card may go at {held:.0f} ms (dashed), verdict {total:.0f} ms, floor {floor:.0f} ms",
        fontsize=11,
    )
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    figure.savefig(path, dpi=110)
