"""The reader in front of the passenger: its four lights and its tones.

The lights are the unit's own: what its driver (firmware/drivers/contactless_lights.py) puts on its
four pins. The words beside them follow the reader's field and the unit's buzzer.
"""

from rich.align import Align
from rich.console import Group
from rich.text import Text
from textual.widgets import Static

from flagfall_host.bench.drive.words import Words

_ON, _OFF = "#30d158", "#12301a"
_ALERT = "#ff453a"
_SHOWN_TICKS = 12  # how long the end of a tap stays to be seen
_TONES = {"approved": "♪ ♪  approved", "declined": "♪♪  declined", "again": "♪♪  again"}
_TONES_ZH = {"approved": "♪ ♪  成功", "declined": "♪♪  未成功", "again": "♪♪  请重刷"}


class ReaderPanel(Static):
    """`show` is called ten times a second."""

    def __init__(self, words: Words) -> None:
        super().__init__(id="reader")
        self._words = words
        self._tone = ""
        self._ticks = 0
        self._shown: tuple[Text, str, str] | None = None
        self.border_title = words("reader")

    def tone(self, name: str) -> None:
        """The buzzer was heard."""
        self._tone = name
        self._ticks = 0

    def show(self, *, powered: bool, field_on: bool, held: str, answered: int, lit: str) -> None:
        """`answered`: commands that the card at the reader has answered; `lit`: 1 for each light
        that is."""
        self._ticks += 1
        if self._ticks > _SHOWN_TICKS:
            self._tone = ""
        w = self._words
        colour, said = _ON, w("reader idle")
        if not powered:
            said = w("reader dark")
        elif self._tone == "approved":
            said = self._heard()
        elif self._tone:
            colour, said = _ALERT, self._heard()
        elif field_on and held and answered:
            said = w("reader busy", card=held)
        elif field_on:
            said = w("reader ready")
        elif held:
            said = w("card there", card=held)
        lights = Text()
        for light in lit:
            lights.append(" ⬤  " if light == "1" else " ◯  ", style=_ON if light == "1" else _OFF)
        style = f"bold {colour}" if field_on or self._tone else "#7d858f"
        if (lights, said, style) != self._shown:
            self._shown = (lights, said, style)
            self.update(Group(Align.center(lights), Align.center(Text(said, style=style))))

    def _heard(self) -> str:
        tones = _TONES_ZH if self._words.language == "zh" else _TONES
        return tones.get(self._tone, f"♪  {self._tone}")
