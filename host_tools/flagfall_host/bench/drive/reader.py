"""The reader in front of the passenger: its four lights and its tones.

Lights and tones are those of EMV Contactless Book A, section 9: the first light while the reader
waits, all four in a row when a card was read and paid, an alert tone and no lights otherwise. They
follow what the reader's field and the unit's buzzer really do.
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

    def show(self, *, powered: bool, field_on: bool, held: str, answered: int) -> None:
        """`answered`: commands that the card at the reader has answered."""
        self._ticks += 1
        if self._ticks > _SHOWN_TICKS:
            self._tone = ""
        w = self._words
        lit, colour, said = 0, _ON, w("reader idle")
        if not powered:
            said = w("reader dark")
        elif self._tone == "approved":
            lit, said = min(4, 1 + self._ticks), self._heard()
        elif self._tone:
            colour, said = _ALERT, self._heard()
        elif field_on and held and answered:
            lit, said = 1, w("reader busy", card=held)
        elif field_on:
            lit, said = 1, w("reader ready")
        elif held:
            said = w("card there", card=held)
        lights = Text()
        for number in range(4):
            lights.append(" ⬤  " if number < lit else " ◯  ", style=_ON if number < lit else _OFF)
        if colour == _ALERT:
            lights = Text(" ◯   ◯   ◯   ◯ ", style=_OFF)
        style = f"bold {colour}" if lit or colour == _ALERT else "#7d858f"
        if (lights, said, style) != self._shown:
            self._shown = (lights, said, style)
            self.update(Group(Align.center(lights), Align.center(Text(said, style=style))))

    def _heard(self) -> str:
        tones = _TONES_ZH if self._words.language == "zh" else _TONES
        return tones.get(self._tone, f"♪  {self._tone}")
