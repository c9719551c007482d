"""The passenger's wallet: bench cards whose memory stays in the seat's folder."""

from collections.abc import Iterable
from pathlib import Path

from flagfall.receipt import money
from rich.text import Text
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from flagfall_host.bench.cards import catalogue
from flagfall_host.bench.cards.card import Card
from flagfall_host.bench.drive.words import Words

# Those a newcomer wants first; then every other card of the catalogue.
_FIRST = ("ecash", "ecash-low", "expired", "phone", "ecash-8-reads", "wrong-hash", "hostile")
_EDGE = 4  # cells of a line that padding and scrollbar take


class Wallet(OptionList):
    """The card that is highlighted is the one in the hand."""

    def __init__(self, words: Words, folder: Path) -> None:
        super().__init__(id="wallet")
        self._words = words
        self._folder = folder
        self._cards: dict[str, Card] = {}
        self._names = [*_FIRST, *(n for n in catalogue.names() if n not in _FIRST)]
        self.border_title = words("wallet")

    def on_mount(self) -> None:
        for name in self._names:
            self.add_option(Option(self._line(name), id=name))
        self.highlighted = 0

    def on_resize(self) -> None:
        self._write(self._names)

    def chosen(self) -> Card:
        """The card in the hand; it is made when it is first used."""
        name = self._names[self.highlighted or 0]
        if name not in self._cards:
            self._cards[name] = catalogue.make(name, store=self._folder / f"{name}.card")
        return self._cards[name]

    def refresh_balances(self) -> None:
        """Show what is left on the cards that were used."""
        self._write(self._cards)

    def _write(self, names: Iterable[str]) -> None:
        for name in names:
            self.replace_option_prompt(name, self._line(name))

    def _line(self, name: str) -> Text:
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(f"{name} ", style="bold #e8ebef")
        balance = getattr(self._cards.get(name), "balance", None)
        if balance is not None and "ecash" in name:
            line.append(f"{money(balance)}  ", style="#30d158")
        summary = self._words.card(name, catalogue.describe(name))
        line.append(summary, style="#7d858f")
        line.truncate(max(20, self.size.width - _EDGE), overflow="ellipsis")
        return line
