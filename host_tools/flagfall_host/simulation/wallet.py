"""The cards of a city: each with a number of its own, a purse, and a memory of its debits."""

import random
from dataclasses import dataclass, replace

from flagfall_host.bench.cards import catalogue
from flagfall_host.bench.cards.card import Card
from flagfall_host.bench.cards.personalisation import Chain

_ECASH = ("ecash", "ecash-8-reads", "ecash-1024")
_KINDS = (*_ECASH, "oda-debit", "oda-credit", "ecash-low", "expired", "wrong-signature", "blocked")
_WEIGHTS = (46, 10, 14, 14, 5, 3, 3, 3, 2)
_BALANCE = 100_000
ISSUER = "62109480"  # all numbers of the city's cards begin with that


@dataclass(eq=False)
class Owned:
    """A passenger's card. `number` are its last four digits, unique in the city."""

    kind: str
    number: str
    card: Card
    first_balance: int
    pays: bool

    @property
    def has_purse(self) -> bool:
        return self.kind in _ECASH or self.kind == "ecash-low"

    @property
    def balance(self) -> int:
        """Minor units in the purse, if it has one."""
        return int(self.card.balance) if self.has_purse else 0  # type: ignore[attr-defined]


_QUICK = ("icc-quick-1024", "icc-quick-1152", "icc-quick-1408")  # bench/cards/make_test_keys.py


def city_card(kind: str, number: int) -> Owned:
    """The city's card of that number, as new."""
    pan = catalogue.luhn(f"{ISSUER}{number:07d}")
    balance = 150 if kind == "ecash-low" else _BALANCE
    card = catalogue.make(kind, seed=number, pan=pan, balance=balance, rsa=_quick_chain(kind))
    return Owned(kind, pan[-4:], card, balance, kind in _KINDS[:5])


def _quick_chain(kind: str) -> Chain | None:
    """The kind's keys, with a card key of the same size that signs in a fraction of the time."""
    chain = catalogue.persons(kind)[0].rsa
    quick = chain and chain.icc.replace("icc-", "icc-quick-")
    return replace(chain, icc=quick) if chain and quick in _QUICK else chain


class Wallet:
    """`count` cards, drawn by lot."""

    def __init__(self, count: int, chance: random.Random) -> None:
        self.cards: list[Owned] = []
        for number in range(count):
            kind = chance.choices(_KINDS, _WEIGHTS)[0]
            self.cards.append(city_card(kind, number))
        self._chance = chance
        self._held: set[int] = set()

    def take(self) -> Owned:
        """A card that nobody holds at the moment."""
        while True:
            at = self._chance.randrange(len(self.cards))
            if at not in self._held:
                self._held.add(at)
                return self.cards[at]

    def give_back(self, owned: Owned) -> None:
        self._held.discard(self.cards.index(owned))

    def numbers(self) -> set[str]:
        """The whole numbers, for the search for them where they must not be."""
        return {owned.card.applets[0].person.pan for owned in self.cards}  # type: ignore[attr-defined]
