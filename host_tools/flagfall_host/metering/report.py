"""The inspector's report: one HTML file with the tables and plots of a verification."""

import base64
import html
import io
from pathlib import Path
from typing import Any

from flagfall_host.metering.errors import TripError

_STYLE = """
body { font: 15px/1.45 sans-serif; max-width: 62em; margin: 2em auto; color: #222 }
table { border-collapse: collapse; margin: 1em 0 } td, th { padding: .25em .7em; text-align: left;
border-bottom: 1px solid #ccc } td.n { text-align: right; font-variant-numeric: tabular-nums }
.yes { color: #176b2c } .no { color: #a11 } img { max-width: 100% }
"""


def write_report(outcome: dict[str, Any], output: Path) -> None:
    """Write the report. Raises TripError if the file cannot be written."""
    parts = [
        f"<!doctype html><meta charset=utf-8><title>Flagfall: verification</title><style>{_STYLE}",
        "</style><h1>Verification of the taximeter</h1>",
        "<p>Uncertified reference design. Readings are those of the firmware's own engine on ",
        html.escape(outcome["runtime"]),
        "; limits are the maximum permissible errors of MID Annex IX: distance 0.2 % or 4 m, time "
        "0.1 % or 0.2 s, fare 0.1 % or one digit.</p>",
        _table(
            ("test", "number", "largest error", "limit", "part of the limit", "goal met", "where"),
            [
                (
                    s["section"],
                    s["tests"],
                    f"{s['largest_error']:.4g} {s['unit']}",
                    f"{s['limit']:.4g} {s['unit']}",
                    f"{s['share_of_limit']:.3f}",
                    _yes(s["goal_met"]),
                    s["worst"],
                )
                for s in outcome["sections"]
            ],
        ),
        f"<p>The goal is {outcome['goal']} of each limit.</p>",
        f'<img alt="error as a part of the limit" src="data:image/png;base64,{_plot(outcome)}">',
        "<h2>The same trip, sampled differently</h2>",
    ]
    for name, rows in outcome["sampling"].items():
        shown = [(r["sampling"], r["fare_minor"], f"{r['slow_ms'] / 1000:.2f} s") for r in rows]
        parts.append(f"<h3>{html.escape(name)}, WLTC</h3>")
        parts.append(_table(("advance is called", "fare, minor units", "slow time"), shown))
    parts.append("<h2>All readings</h2>")
    readings = [
        (r["section"], r["what"], f"{r['reference']:.3f}", f"{r['reading']:.3f}",
         f"{r['error']:.4g} {r['unit']}", f"{r['share']:.3f}")
        for r in outcome["readings"]
    ]  # fmt: skip
    parts.append(
        _table(("test", "what", "reference", "reading", "error", "part of limit"), readings)
    )
    try:
        output.write_text("".join(parts), encoding="utf-8")
    except OSError as e:
        raise TripError(f"cannot write the report {output}: {e}") from e


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _table(heads: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    head = "".join(f"<th>{html.escape(h)}" for h in heads)
    body = "".join("<tr>" + "".join(_cell(value) for value in row) for row in rows)
    return f"<table><tr>{head}{body}</table>"


def _cell(value: Any) -> str:
    text = html.escape(str(value))
    if text in ("yes", "no"):
        return f'<td class="{text}">{text}'
    return f'<td class="n">{text}' if text[:1].isdigit() else f"<td>{text}"


def _plot(outcome: dict[str, Any]) -> str:
    """Each reading's error as a part of its limit, as a PNG in base 64."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = [s["section"] for s in outcome["sections"]]
    figure, axes = pyplot.subplots(figsize=(9, 3.6), layout="constrained")
    for i, name in enumerate(names):
        shares = [r["share"] for r in outcome["readings"] if r["section"] == name]
        spread = [i + (j % 21 - 10) * 0.03 for j in range(len(shares))]
        axes.plot(spread, shares, "o", markersize=4, alpha=0.6)
    axes.axhline(outcome["goal"], color="green", linestyle="--", label="goal")
    axes.axhline(1, color="red", label="maximum permissible error")
    axes.set_xticks(range(len(names)), names)
    axes.set(ylabel="part of the limit", ylim=(-0.02, 1.1))
    axes.legend(loc="upper left")
    image = io.BytesIO()
    figure.savefig(image, dpi=110, format="png")
    pyplot.close(figure)
    return base64.b64encode(image.getvalue()).decode()
