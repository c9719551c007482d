"""Cards before the antenna: power, tearing, what is logged."""

import pytest
from flagfall_host.bench.cards.card import Card, CardLeft
from flagfall_host.bench.reader.field import ANSWER, REQUEST, Exchange, Field


class Echo(Card):
    name = "echo"

    def __init__(self):
        self.seen = []
        self.events = []

    def field_on(self):
        self.events.append("on")

    def field_off(self):
        self.events.append("off")

    def apdu(self, command):
        self.seen.append(command)
        return command + b"\x90\x00"


@pytest.fixture
def card():
    return Echo()


@pytest.fixture
def field(card):
    field = Field()
    field.place(card)
    field.power(True)
    return field


def test_power_reaches_the_cards_once(field, card):
    field.power(True)
    field.place(card)
    assert card.events == ["on"]
    field.remove()
    assert card.events == ["on", "off"]
    assert not field.present
    field.place(card)
    field.power(False)
    assert card.events == ["on", "off", "on", "off"]
    assert field.present
    assert field.cards == ()
    field.remove()
    assert card.events == ["on", "off", "on", "off"]
    assert (field.counters.placed, field.counters.removed) == (2, 2)


def test_an_unpowered_card_does_not_answer(field, card):
    field.power(False)
    with pytest.raises(CardLeft):
        field.exchange(card, b"\x00")


def test_a_card_torn_before_it_saw_the_command(field, card):
    field.tear(lambda command, index: command == b"B", REQUEST)
    assert field.exchange(card, b"A") == b"A\x90\x00"
    with pytest.raises(CardLeft):
        field.exchange(card, b"B")
    assert card.seen == [b"A"]
    assert not field.present
    with pytest.raises(CardLeft):
        field.exchange(card, b"A")
    assert list(field.log) == [
        Exchange("echo", b"A", b"A\x90\x00"),
        Exchange("echo", b"B", None),
    ]
    assert (field.counters.apdus, field.counters.torn) == (1, 1)


def test_a_card_torn_after_it_executed_the_command(field, card):
    field.tear(lambda command, index: index == 1, ANSWER)
    field.exchange(card, b"A")
    with pytest.raises(CardLeft):
        field.exchange(card, b"B")
    assert card.seen == [b"A", b"B"]
    assert card.events[-1] == "off"
    field.place(card)
    assert [field.exchange(card, c) for c in (b"A", b"B", b"C")][1] == b"B\x90\x00"


def test_the_number_of_a_command_counts_from_the_placing(field, card):
    seen = []
    field.tear(lambda command, index: seen.append(index) or False)
    field.exchange(card, b"A")
    field.exchange(card, b"A")
    field.remove()
    field.place(card)
    field.exchange(card, b"A")
    assert seen == [0, 1, 0]


def test_a_card_may_leave_by_itself(field, card):
    def leave(command):
        raise CardLeft

    card.apdu = leave
    with pytest.raises(CardLeft):
        field.exchange(card, b"A")
    assert not field.present


def test_an_unknown_moment_is_refused(field):
    with pytest.raises(ValueError, match="moment"):
        field.tear(lambda command, index: True, "later")


def test_whoever_listens_hears_each_exchange(field, card):
    heard = []
    field.on_exchange = heard.append
    field.exchange(card, b"A")
    assert heard == list(field.log)
