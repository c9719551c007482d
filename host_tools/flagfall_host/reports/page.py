"""A report as one HTML file that holds everything it needs."""

from pathlib import Path
from typing import Any

import jinja2
import markupsafe
from flagfall import NOTICE, VERSION
from flagfall.receipt import clock_time, kilometres
from flagfall.receipt import money as amount_text

from flagfall_host.reports import plots
from flagfall_host.reports.span import ReportError

_HERE = Path(__file__).parent
_MANY = 2_000  # trips listed one by one in a page


def render(figures: dict[str, Any]) -> str:
    """The page. `figures` are those of figures.py, with `kind`, `title`, `subtitle`, `company`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    digits = figures["minor_digits"]
    environment.filters["money"] = lambda minor: _grouped(amount_text(minor, digits))
    environment.filters["km"] = lambda mm: _grouped(kilometres(mm))
    environment.filters["hours"] = clock_time
    environment.filters["clock"] = lambda text: text[11:16] if text else ""
    environment.filters["moment"] = lambda text: text[:16].replace("T", " ") if text else ""
    environment.filters["words"] = _with_commands
    names = ("takings_by_day", "takings_by_hour", "takings_by_unit", "waiting_by_age")
    drawn = dict.fromkeys(names, "")
    if figures["totals"]["trips"]:
        if len(figures["days"]) > 1:
            drawn["takings_by_day"] = plots.takings_by_day(figures)
        drawn["takings_by_hour"] = plots.takings_by_hour(figures)
        if len(figures["units"]) > 1:
            drawn["takings_by_unit"] = plots.takings_by_unit(figures)
    if figures["unsettled"]["to_upload"] or figures["unsettled"]["accepted"]:
        drawn["waiting_by_age"] = plots.waiting_by_age(figures)
    return environment.get_template("page.html.jinja").render(
        **figures,
        plots=drawn,
        listed=figures["trips"][:_MANY] if figures["kind"] != "day" else [],
        style=(_HERE / "page.css").read_text(encoding="utf-8"),
        maker=f"flagfall {VERSION} ({NOTICE})",
    )


def write(figures: dict[str, Any], output: Path) -> None:
    """Write the page. Raises ReportError."""
    text = render(figures)
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as e:
        raise ReportError(f"{output}: the report cannot be written: {e.strerror}") from e


def _with_commands(text: str) -> markupsafe.Markup:
    """`text` with what stands between back-ticks set as a command."""
    parts = text.split("`")
    out = markupsafe.Markup()
    for i, part in enumerate(parts):
        form = markupsafe.Markup("<code>{}</code>") if i % 2 else markupsafe.Markup("{}")
        out += form.format(part)
    return out


def _grouped(text: str) -> str:
    """1234567.80 as 1,234,567.80."""
    whole, point, part = text.partition(".")
    return f"{int(whole):,}{point}{part}" if whole not in ("", "-") else text
