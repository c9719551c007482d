"""The meter's face as a person sees it: position, fare, kilometres, waiting, unit price, clock."""

from typing import Any

from flagfall import NOTICE
from flagfall.receipt import clock_time, currency_code, kilometres, money
from rich.align import Align
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

# Seven segments of a digit, three rows: the fare is the one thing read from the back seat.
_SEGMENTS = {
    "0": (" _ ", "| |", "|_|"),
    "1": ("   ", "  |", "  |"),
    "2": (" _ ", " _|", "|_ "),
    "3": (" _ ", " _|", " _|"),
    "4": ("   ", "|_|", "  |"),
    "5": (" _ ", "|_ ", " _|"),
    "6": (" _ ", "|_ ", "|_|"),
    "7": (" _ ", "  |", "  |"),
    "8": (" _ ", "|_|", "|_|"),
    "9": (" _ ", "|_|", " _|"),
    ".": (" ", " ", "."),
    " ": ("   ", "   ", "   "),
}
_POSITION_STYLE = {
    "FOR HIRE": "bold green",
    "HIRED": "bold red",
    "STOPPED": "bold yellow",
}
_PAID = {0: "", 1: "PAID CASH", 2: "PAID CARD"}


def seven_segments(text: str) -> Text:
    rows = ["".join(_SEGMENTS[c][row] for c in text) for row in range(3)]
    return Text("\n".join(rows), style="bold bright_red")


def said(face: dict[str, Any]) -> str:
    """What the driver reads: in the unit's own language, where it speaks another than English."""
    return str(face.get("message_own") or face.get("message", ""))


def face_panel(face: dict[str, Any], *, powered: bool = True, width: int = 46) -> Panel:
    """The face as a rich panel. A dark unit shows nothing."""
    title = "[bold]FLAGFALL[/] taximeter"
    if not powered or "fare" not in face:
        what = said(face) if powered else "no power"
        body: RenderableType = Align.center(Text(f"\n\n\n{what}\n\n\n\n", style="dim"))
        return Panel(body, title=title, subtitle=NOTICE, width=width)
    digits = face["minor_digits"]
    roof = "[black on bright_yellow] TAXI [/]" if face["roof_light"] else "[dim] taxi [/]"
    head = Table.grid(expand=True)
    head.add_column()
    head.add_column(justify="right")
    style = _POSITION_STYLE.get(face["position"], "bold")
    head.add_row(f"[{style}]{face['position']}[/]", f"{roof}  {face['clock']}")
    fare = Align.center(seven_segments(f"{money(face['fare'], digits):>7}"))
    small = Table.grid(expand=True)
    for _ in range(4):
        small.add_column(justify="center")
    small.add_row(*(f"[dim]{t}[/]" for t in ("km", "waiting", "price/km", "extras")))
    small.add_row(
        f"[bold]{kilometres(face['distance_mm'])}[/]",
        f"[bold]{clock_time(face['waiting_s'] * 1000)}[/]",
        f"[bold]{money(face['unit_price'], digits)}[/]",
        f"[bold]{money(face['supplements'], digits)}[/]",
    )
    lamps = [
        ("slow", face["slow"]),
        ("night", face["night"]),
        (_PAID[face["paid"]], bool(face["paid"]) and face["position"] == "STOPPED"),
    ]
    lit = "  ".join(f"[reverse] {name} [/]" for name, on in lamps if on) or " "
    code = Align.right(Text(currency_code(face["currency"]), style="dim"))
    message = Text(said(face) or " ", style="cyan", overflow="ellipsis", no_wrap=True)
    body = Group(head, fare, code, small, Align.center(Text.from_markup(lit)), message)
    return Panel(body, title=title, subtitle=NOTICE, width=width)


def face_line(face: dict[str, Any]) -> str:
    """The face in one plain line, for a log."""
    if "fare" not in face:
        return str(face.get("position", ""))
    digits = face["minor_digits"]
    line = (
        f"[{face['position']}] {money(face['fare'], digits)} {currency_code(face['currency'])}"
        f"  {kilometres(face['distance_mm'])} km  waiting {clock_time(face['waiting_s'] * 1000)}"
        f"  {money(face['unit_price'], digits)}/km  {face['clock']}"
    )
    return line + ("  slow" if face["slow"] else "")
