"""The RF field between a reader chip and the cards a passenger holds into it."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from flagfall_host.bench.cards.card import Card, CardLeft

_LOG_LENGTH = 10_000
REQUEST = "request"  # the command is lost: the card never saw it
ANSWER = "answer"  # the card executed the command, its answer is lost


@dataclass(frozen=True)
class Exchange:
    """One APDU in the field. `response` is None if the reader never got it."""

    card: str
    command: bytes
    response: bytes | None


@dataclass
class Counters:
    placed: int = 0
    removed: int = 0
    apdus: int = 0
    torn: int = 0


class Field:
    """What stands before the antenna, and how it is taken away.

    A chip switches the field with `power`, sees `cards` and talks with `exchange`. Whoever plays
    the passenger calls `place`, `remove` and `tear`.
    """

    def __init__(self) -> None:
        self._cards: list[Card] = []
        self._placings: dict[int, int] = {}
        self._on = False
        self._match: Callable[[bytes, int], bool] | None = None
        self._moment = REQUEST
        self._index = 0
        self.log: deque[Exchange] = deque(maxlen=_LOG_LENGTH)
        self.counters = Counters()
        self.on_exchange: Callable[[Exchange], None] | None = None

    @property
    def on(self) -> bool:
        return self._on

    @property
    def present(self) -> bool:
        """Is any card before the antenna, powered or not?"""
        return bool(self._cards)

    @property
    def cards(self) -> tuple[Card, ...]:
        """The cards that can answer: those before the antenna, while the field is on."""
        return tuple(self._cards) if self._on else ()

    def placing(self, card: Card) -> int:
        """The number of the placing since which `card` is there without a break."""
        return self._placings.get(id(card), 0)

    def place(self, card: Card) -> None:
        """Hold a card into the field, beside any that is already there."""
        if card in self._cards:
            return
        self._cards.append(card)
        self._index = 0
        self.counters.placed += 1
        self._placings[id(card)] = self.counters.placed
        if self._on:
            card.field_on()

    def remove(self) -> None:
        """Take all cards away."""
        cards, self._cards = self._cards, []
        self._placings.clear()
        self.counters.removed += len(cards)
        if self._on:
            for card in cards:
                card.field_off()

    def tear(self, match: Callable[[bytes, int], bool], moment: str = REQUEST) -> None:
        """Arrange that the card is pulled away at the first command for which `match` holds.

        `match(apdu, index)` gets the command and its number since the card was placed, from 0.
        `moment` is REQUEST or ANSWER. It happens once; the card must be placed again.
        """
        if moment not in (REQUEST, ANSWER):
            raise ValueError("the moment of a tear is 'request' or 'answer'")
        self._match = match
        self._moment = moment

    def power(self, on: bool) -> None:
        """The chip switches its field."""
        if on == self._on:
            return
        self._on = on
        for card in self._cards:
            if on:
                card.field_on()
            else:
                card.field_off()

    def exchange(self, card: Card, command: bytes) -> bytes:
        """Bring one APDU to `card` and its response back. Raises CardLeft."""
        if card not in self.cards:
            raise CardLeft(card.name)
        index = self._index
        self._index += 1
        tears = self._match is not None and self._match(command, index)
        if tears:
            self._match = None
            self.counters.torn += 1
        if tears and self._moment == REQUEST:
            self._note(Exchange(card.name, command, None))
            self.remove()
            raise CardLeft(card.name)
        try:
            response = card.apdu(command)
        except CardLeft:
            self._note(Exchange(card.name, command, None))
            self.remove()
            raise
        if tears:
            self._note(Exchange(card.name, command, None))
            self.remove()
            raise CardLeft(card.name)
        self.counters.apdus += 1
        self._note(Exchange(card.name, command, response))
        return response

    def _note(self, exchange: Exchange) -> None:
        self.log.append(exchange)
        if self.on_exchange is not None:
            self.on_exchange(exchange)
