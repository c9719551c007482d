"""The host's side of the link: who answers, who does not, and what the person is told."""

import sys
from pathlib import Path

import pytest
from flagfall.link import messages
from flagfall_host.depot.line_state import LineState
from flagfall_host.depot.link import Link
from flagfall_host.depot.link_errors import (
    FactoryState,
    NoAnswer,
    PortLost,
    UnitFault,
    UnitRefused,
    UnknownUnit,
    WrongKey,
)

sys.path.insert(0, str(Path(__file__).parent))

from lossy_wire import SOAK, LossyWire  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[2] / "firmware/lib/flagfall/link"))

from fake_unit import UNIT_ID, UNIT_KEY, FakeUnit  # noqa: E402

OTHER_KEY = bytes(32)


def link_to(wire: LossyWire, key: bytes | None = UNIT_KEY) -> Link:
    return Link(wire, lambda unit_id: key, nonce=wire.random.randbytes)


def test_a_greeting_needs_no_key():
    unit = link_to(LossyWire(FakeUnit()), None).greet()
    assert (unit.provisioned, unit.unit_id, unit.model) == (True, UNIT_ID, "fake")


def test_both_ends_prove_their_key():
    wire = LossyWire(FakeUnit())
    link = link_to(wire)
    link.open()
    assert link.unit_key == UNIT_KEY and wire.session.authenticated
    assert link.ask(messages.INFO)["unit_id"] == UNIT_ID
    link.close()
    assert not wire.session.authenticated


def test_a_unit_with_another_key_is_found_out_before_the_host_shows_its_own():
    wire = LossyWire(FakeUnit(OTHER_KEY))
    with pytest.raises(WrongKey, match="does not hold the key .*--fleet DIR"):
        link_to(wire).open()
    assert wire.unit.events == []  # no proof was sent


def test_no_key_at_hand_and_factory_state_are_told_apart():
    with pytest.raises(UnknownUnit, match="no key is at hand"):
        link_to(LossyWire(FakeUnit()), None).open()
    with pytest.raises(FactoryState, match="flagfall unit provision"):
        link_to(LossyWire(FakeUnit(None))).open()


@pytest.mark.parametrize("seed", range(10 * SOAK))
def test_questions_survive_a_bad_wire_and_are_done_once(seed: int):
    unit = FakeUnit()
    wire = LossyWire(unit, seed, faults=0.15)
    link = link_to(wire)
    link.open()
    for t in range(5000, 5020):
        link.ask(messages.TIME, messages.pack_u32(t))
        assert unit.clock == t
    done = [t for i, t in enumerate(unit.times) if i == 0 or unit.times[i - 1] != t]
    assert done == list(range(5000, 5020))
    assert unit.events == []  # no fault was taken for a wrong key


def test_a_question_repeated_in_one_session_is_done_once():
    unit = FakeUnit()
    wire = LossyWire(unit)
    link = link_to(wire)
    link.open()
    answers = []
    real = wire.read

    def deaf_at_first(timeout: float) -> bytes:
        data = real(timeout)
        if data:
            answers.append(data)
            return b"" if len(answers) < 3 else data
        return data

    wire.read = deaf_at_first  # type: ignore[method-assign]
    assert link.ask(messages.TIME, messages.pack_u32(77)) == {"was": 1000}
    assert unit.times == [77] and link.counters.repeats == 2
    assert answers[0] == answers[1] == answers[2]


def test_a_unit_that_restarts_between_questions_is_greeted_again():
    wire = LossyWire(FakeUnit())
    link = link_to(wire)
    link.open()
    wire.new_session()
    assert link.ask(messages.INFO)["unit_id"] == UNIT_ID
    assert link.counters.greetings == 2


def test_a_cable_moved_to_another_unit_is_noticed():
    wire = LossyWire(FakeUnit())
    keys = {UNIT_ID: UNIT_KEY, "OTHER": OTHER_KEY}
    link = Link(wire, keys.get, nonce=wire.random.randbytes)
    link.open()
    other = FakeUnit(OTHER_KEY)
    other.unit_id = "OTHER"
    wire.unit = other
    wire.new_session()
    with pytest.raises(UnitFault, match="another unit answers"):
        link.ask(messages.INFO)


def test_more_questions_than_a_session_may_have():
    wire = LossyWire(FakeUnit())
    link = link_to(wire)
    link.open()
    link.talk._seq = wire.session._last_seq = 0xFFFF - 10
    for _ in range(30):
        link.ask(messages.INFO)
    assert link.counters.greetings == 2


def test_a_host_that_comes_after_wrong_tries_waits():
    wire = LossyWire(FakeUnit())
    session = wire.session
    session._greeting.wrong_tries = 3
    session._greeting._tried_at = wire.unit.now()
    started = wire.time
    real = wire.read

    def read(timeout: float) -> bytes:
        wire.unit.clock = 1000 + int(wire.time - started)
        return real(timeout)

    wire.read = read  # type: ignore[method-assign]
    link_to(wire).open()
    assert 4 <= wire.time - started < 8


def test_a_unit_that_stays_busy_is_named():
    wire = LossyWire(FakeUnit())
    wire.session._greeting.wrong_tries = 9
    wire.session._greeting._tried_at = wire.unit.now()
    with pytest.raises(UnitRefused, match="wait 60 s"):
        link_to(wire).open()


class ChatterWire(LossyWire):
    """Somebody else is at the other end."""

    def __init__(self, chatter: bytes) -> None:
        super().__init__(FakeUnit())
        self.chatter = chatter

    def read(self, timeout_s: float) -> bytes:
        data, self.chatter = self.chatter, b""
        self.time += timeout_s
        return data

    def write(self, data: bytes) -> None:
        self.time += 0.001


@pytest.mark.parametrize(
    ("chatter", "words"),
    [
        (b"", "no bytes came"),
        (b"ESP-ROM:esp32s3-20210327\r\nrst:0x1 (POWERON)\r\n", "boot log"),
        (b"\r\nMicroPython v1.28.0 on 2026-04-06\r\n>>> ", "MicroPython prompt"),
        (bytes(range(128, 256)), "128 bytes came that are no frames: wrong speed"),
        (b"\xa5\x5a\x01\x81\x00\x00\x01\x00xxxxx", "only damaged frames came"),
    ],
)
def test_a_line_without_a_unit_is_described(chatter: bytes, words: str):
    wire = ChatterWire(chatter)
    with pytest.raises(NoAnswer, match=words) as caught:
        link_to(wire).open()
    assert str(caught.value).startswith("memory: no answer from a unit at 921600 baud")
    assert 5 < wire.time < 20


def test_a_line_with_good_frames_but_no_answer():
    words = LineState(b"x", 1).words(115_200, 5, 2)
    assert "5 good, 2 damaged" in words


@pytest.mark.parametrize("seed", range(20 * SOAK))
def test_any_garbage_from_the_unit_ends_in_an_error_of_the_family(seed: int):
    wire = ChatterWire(b"")
    wire.chatter = wire.random.randbytes(3000) + b"\xa5\x5a\x01\x82" * 50
    with pytest.raises(NoAnswer):
        link_to(wire).open()


def test_a_port_that_is_gone_when_the_link_is_closed_is_no_error():
    wire = LossyWire(FakeUnit())
    link = link_to(wire)
    link.open()

    def gone(data: bytes) -> None:
        raise PortLost("gone")

    wire.write = gone  # type: ignore[method-assign]
    link.close()
