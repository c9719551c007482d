"""The plots of a report, as SVG that stands in the page itself."""

import datetime
import io
from typing import Any

CASH, CARD, UNPAID, LATE = "#c9a227", "#2a6f97", "#b0b0b0", "#b3261e"
_GROUPED = "{x:,.10g}"  # 12,000
_WIDE, _HIGH = 7.6, 2.3  # inches: the width of an A4 page's text


def takings_by_hour(figures: dict[str, Any]) -> str:
    """Cash, card and unpaid fares by the hour in which the trip ended."""
    hours = figures["hours"]
    labels = [str(hour) for hour in range(24)]
    return _stacked(figures, labels, hours, "hour of the day")


def takings_by_day(figures: dict[str, Any]) -> str:
    """Cash, card and unpaid fares by day."""
    days = figures["days"]
    dates = [datetime.date.fromisoformat(d["date"]) for d in days]
    step = -(-len(days) // 12)
    labels = [f"{d.day} {d:%b}" if i % step == 0 else "" for i, d in enumerate(dates)]
    return _stacked(figures, labels, days, "day")


def takings_by_unit(figures: dict[str, Any], most: int = 40) -> str:
    """Cash, card and unpaid fares by unit, the largest first, at most `most` of them."""
    units = sorted(figures["units"], key=lambda u: -(u["fares"] + u["supplements"]))[:most]
    figure, axes = _figure(max(1.2, 0.6 + 0.21 * len(units)))
    names = [u["unit"] for u in units]
    left = [0.0] * len(units)
    scale = 10 ** figures["minor_digits"]
    for what, colour in (("cash", CASH), ("card", CARD), ("unpaid", UNPAID)):
        values = [u[what] / scale for u in units]
        if any(values) or what != "unpaid":
            axes.barh(names, values, left=left, color=colour, label=what, height=0.7)
        left = [a + b for a, b in zip(left, values, strict=True)]
    axes.margins(y=0.01)
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(_GROUPED)
    axes.set_xlabel(figures["currency"])
    axes.grid(axis="x", alpha=0.25)
    axes.legend(frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1, 1), borderpad=0)
    return _svg(figure)


def waiting_by_age(figures: dict[str, Any]) -> str:
    """Money that is not settled, by age; what is past the deadline in red."""
    ages = figures["unsettled"]["ages"]
    figure, axes = _figure(1.9)
    scale = 10 ** figures["minor_digits"]
    places = range(len(ages))
    upload = [a["to_upload"] / scale for a in ages]
    accepted = [a["accepted"] / scale for a in ages]
    colours = [CARD] * (len(ages) - 1) + [LATE]
    axes.bar(places, upload, color=colours, width=0.6, label="to upload")
    axes.bar(places, accepted, bottom=upload, color="#9cc5a1", width=0.6, label="accepted")
    axes.set_xticks(list(places), [a["age"] for a in ages])
    axes.yaxis.set_major_formatter(_GROUPED)
    axes.set_ylabel(figures["currency"])
    axes.axvline(len(ages) - 1.5, color=LATE, linewidth=1, linestyle="--")
    axes.set_ylim(0, (max(a + b for a, b in zip(upload, accepted, strict=True)) or 1) * 1.15)
    axes.annotate(
        "deadline",
        (len(ages) - 1.5, 1),
        xycoords=("data", "axes fraction"),
        xytext=(-4, -10),
        textcoords="offset points",
        ha="right",
        color=LATE,
        fontsize=8,
    )
    axes.grid(axis="y", alpha=0.25)
    axes.legend(frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1), borderpad=0)
    return _svg(figure)


def _stacked(
    figures: dict[str, Any], labels: list[str], rows: list[dict[str, Any]], over: str
) -> str:
    figure, axes = _figure(_HIGH)
    scale = 10 ** figures["minor_digits"]
    bottom = [0.0] * len(rows)
    for what, colour in (("cash", CASH), ("card", CARD), ("unpaid", UNPAID)):
        values = [r[what] / scale for r in rows]
        if any(values) or what != "unpaid":
            axes.bar(range(len(rows)), values, bottom=bottom, color=colour, label=what, width=0.8)
        bottom = [a + b for a, b in zip(bottom, values, strict=True)]
    axes.margins(x=0.01)
    axes.set_xticks(range(len(rows)), labels)
    axes.yaxis.set_major_formatter(_GROUPED)
    axes.set(xlabel=over, ylabel=figures["currency"])
    axes.grid(axis="y", alpha=0.25)
    axes.legend(frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1, 1), borderpad=0)
    return _svg(figure)


def _figure(high: float) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update(
        {
            "svg.fonttype": "none",  # text stays text: it is searched, read aloud and small
            "svg.hashsalt": "flagfall",  # the same figures give the same bytes
            "font.family": "sans-serif",
            "font.size": 9,
        }
    )
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(_WIDE, high), layout="constrained")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_axisbelow(True)
    return figure, axes


def _svg(figure: Any) -> str:
    from matplotlib import pyplot

    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    text = out.getvalue()
    return text[text.index("<svg") :]
