"""The road and what is switched: speed and pedal, power, cable, printer, the office."""

from rich.table import Table
from rich.text import Text
from textual.widgets import Static

from flagfall_host.bench.drive.rig import TOP_SPEED
from flagfall_host.bench.drive.words import Words

_BAR = 30
_DIM = "#7d858f"


class Road(Static):
    """The speed now, and where the pedal is."""

    def __init__(self, words: Words) -> None:
        super().__init__(id="road")
        self.border_title = words("road")
        self.border_subtitle = words("pedal")

    def show(self, speed: int, pedal: int) -> None:
        """Both in 0.1 km/h."""
        full = speed * _BAR // TOP_SPEED
        wanted = min(_BAR - 1, pedal * _BAR // TOP_SPEED)
        bar = Text()
        for cell in range(_BAR):
            if cell == wanted and pedal:
                bar.append("┃", style="bold #ffd60a")
            else:
                bar.append("━", style="#0a84ff" if cell < full else "#2a2f37")
        line = Table.grid(expand=True)
        line.add_column()
        line.add_column(justify="right")
        line.add_row(bar, Text(f"{speed / 10:5.1f} km/h", style="bold #e8ebef"))
        self.update(line)


class Switches(Static):
    """Power, cable, printer and office, each with its key."""

    def __init__(self, words: Words) -> None:
        super().__init__(id="switches")
        self._words = words
        self.said = words("nothing pulled")
        self.border_title = words("office")

    def show(self, *, powered: bool, port: str, paper_out: bool, cover_open: bool) -> None:
        """`port`: the cable's end at the office; empty when it is pulled out."""
        w = self._words
        table = Table.grid(expand=True, padding=(0, 1))
        table.add_column(width=12)
        table.add_column(ratio=1)
        lamp = "#30d158" if powered else "#ff453a"
        table.add_row(
            Text("W " + w("power"), style=_DIM),
            Text("● " + w("on" if powered else "off"), style=lamp),
        )
        plugged = Text("● " + w("plugged"), style="#30d158")
        plugged.append(f"  {port}", style=_DIM)
        table.add_row(
            Text("V " + w("cable"), style=_DIM),
            plugged if port else Text("○ " + w("unplugged"), style="#ffd60a"),
        )
        printer = Text()
        for key, good, bad, is_bad in (
            ("N ", "paper in", "paper out", paper_out),
            ("   L ", "cover shut", "cover open", cover_open),
        ):
            printer.append(key, style=_DIM)
            printer.append(
                ("○ " if is_bad else "● ") + w(bad if is_bad else good),
                style="#ffd60a" if is_bad else "#30d158",
            )
        table.add_row(Text("  " + w("printer"), style=_DIM), printer)
        table.add_row(Text("  " + w("office"), style=_DIM), Text(self.said, style="#e8ebef"))
        self.update(table)
