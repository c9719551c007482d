"""What stands on the dashboard: the fare display, the passenger's display, the roof light."""

from typing import Any

from flagfall import NOTICE
from flagfall.receipt import clock_time, currency_code, kilometres, money
from rich.align import Align
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual.widgets import Static

from flagfall_host.bench.drive.segments import seven_segments
from flagfall_host.bench.drive.words import Words
from flagfall_host.bench.face import said

_POSITION = {"FOR HIRE": "bold #34c759", "HIRED": "bold #ff453a", "STOPPED": "bold #ffd60a"}
_DIM, _LIGHT = "#7d858f", "bold #e8ebef"
_LAMP_ON, _LAMP_OFF = "bold #14161a on #ffd60a", "#4a505a on #1d2026"
_PLACES = 7  # digits and point of the fare: 9999.99
_OLED, _OLED_BIG, _OLED_DIM = "#5ac8fa", "bold #a5e3ff", "#2d6a86"


class RoofLight(Static):
    """On the roof: lit while the taxi is free."""

    def __init__(self, words: Words) -> None:
        super().__init__(id="roof")
        self._words = words

    def show(self, lit: bool) -> None:
        style = "bold #14161a on #ffd60a" if lit else "#5a554a on #24221c"
        self.update(Text(f"   {self._words('taxi')}   ", style=style))


class FareDisplay(Static):
    """The meter's face (firmware/app/screen.py says what it holds)."""

    def __init__(self, words: Words) -> None:
        super().__init__(id="fare")
        self._words = words
        self.border_title = f"FLAGFALL  {words('fare display')}"
        self.border_subtitle = NOTICE

    def show(self, face: dict[str, Any], *, powered: bool) -> None:
        """Draw `face`; a dark unit shows nothing."""
        w = self._words
        if not powered or "fare" not in face:
            what = said(face) if powered else w("no power")
            self.update(
                Group(
                    Text(""),
                    Align.center(seven_segments("8" * (_PLACES - 1), dark=True)),
                    Text(""),
                    Align.center(Text(what, style=_DIM)),
                )
            )
            return
        digits = face["minor_digits"]
        head = Table.grid(expand=True)
        head.add_column()
        head.add_column(justify="right")
        who = f"{w('driver')} {face['driver']}   " if face["driver"] else ""
        style = _POSITION.get(face["position"], _LIGHT)
        head.add_row(
            Text(w(face["position"]), style=style), Text(f"{who}{face['clock']}", style=_DIM)
        )
        fare = money(face["fare"], digits).rjust(_PLACES if digits else _PLACES - 1)
        code = Align.right(Text(currency_code(face["currency"]), style=_DIM))
        warning = face.get("warning_own") or face.get("warning")
        message = Text(said(face) or warning or " ", style="bold #64d2ff", justify="center")
        self.update(
            Group(
                head, Align.center(seven_segments(fare)), code, self._figures(face), Text(""),
                Align.center(self._lamps(face)), Text(""), message,
            )
        )  # fmt: skip

    def _figures(self, face: dict[str, Any]) -> RenderableType:
        digits = face["minor_digits"]
        table = Table.grid(expand=True)
        for _ in range(4):
            table.add_column(justify="center", ratio=1)
        names = ("km", "waiting", "price", "extras")
        table.add_row(*(Text(self._words(name), style=_DIM) for name in names))
        values = (
            kilometres(face["distance_mm"]),
            clock_time(face["waiting_s"] * 1000),
            money(face["unit_price"], digits),
            money(face["supplements"], digits),
        )
        table.add_row(*(Text(value, style=_LIGHT) for value in values))
        return table

    def _lamps(self, face: dict[str, Any]) -> Text:
        done = face["paid"] if face["position"] == "STOPPED" else 0
        lamps = (
            ("low speed", face["slow"]),
            ("night", face["night"]),
            ("cash paid", done == 1),
            ("card paid", done == 2),
        )
        out = Text()
        for name, lit in lamps:
            out.append(f" {self._words(name)} ", style=_LAMP_ON if lit else _LAMP_OFF)
            out.append("  ")
        return out


class PassengerDisplay(Static):
    """What the passenger sees: the sum, and what he is asked for."""

    def __init__(self, words: Words) -> None:
        super().__init__(id="passenger")
        self._words = words
        self.border_title = words("passenger's display")

    def show(self, face: dict[str, Any], *, powered: bool) -> None:
        w = self._words
        if not powered or "fare" not in face:
            self.update("")
            return
        if face["position"] == "FOR HIRE":
            self.update(Align.center(Text("\n" + w("welcome"), style=_OLED_BIG)))
            return
        due = money(face["fare"] + face["supplements"], face["minor_digits"])
        what = w("paid") if face["paid"] else w("to pay")
        total = Text.assemble(
            (f"{what}  ", _OLED), (f"{currency_code(face['currency'])} {due}", _OLED_BIG)
        )
        below = face["message"] if face["position"] == "STOPPED" else ""
        ride = f"{kilometres(face['distance_mm'])} km   {clock_time(face['waiting_s'] * 1000)}"
        self.update(
            Group(
                Align.center(total),
                Align.center(Text(ride, style=_OLED_DIM)),
                Align.center(Text(below or " ", style=_OLED)),
            )
        )
