"""Files pushed and units provisioned over a bad wire."""

import sys
from pathlib import Path

import pytest
from flagfall_host.depot.link import Link
from flagfall_host.depot.link_errors import AlreadyProvisioned
from flagfall_host.depot.provision import BadUnitId, Identity, provision
from flagfall_host.depot.push import FileTooLong, NotAccepted, push

sys.path.insert(0, str(Path(__file__).parent))

from lossy_wire import SOAK, LossyWire  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[2] / "firmware/lib/flagfall/link"))

from fake_unit import UNIT_KEY, FakeUnit  # noqa: E402

BLOB = bytes(range(256)) * 40


def opened(wire: LossyWire) -> Link:
    link = Link(wire, lambda unit_id: UNIT_KEY, nonce=wire.random.randbytes)
    link.open()
    return link


@pytest.mark.parametrize("seed", range(10 * SOAK))
def test_a_file_arrives_whole_over_a_bad_wire(seed: int):
    unit = FakeUnit()
    push(opened(LossyWire(unit, seed, faults=0.15)), "tariff", BLOB)
    assert set(unit.pushed) == {("tariff", BLOB)}


def test_a_push_that_was_cut_goes_on_where_it_was():
    unit = FakeUnit()
    wire = LossyWire(unit)
    seen: list[int] = []

    class Cut(Exception):
        pass

    def cut(sent: int, total: int) -> None:
        if sent > 5_000:
            raise Cut

    with pytest.raises(Cut):
        push(opened(wire), "tariff", BLOB, cut)
    push(opened(wire), "tariff", BLOB, lambda sent, total: seen.append(sent))
    assert seen[0] > 4_000 and seen[-1] == len(BLOB)
    assert unit.pushed == [("tariff", BLOB)]


def test_a_unit_that_restarts_during_a_push_gets_it_from_the_start():
    unit = FakeUnit()
    wire = LossyWire(unit)
    restarted = []

    def restart(sent: int, total: int) -> None:
        if sent > 5_000 and not restarted:
            restarted.append(sent)
            wire.new_session()

    push(opened(wire), "tariff", BLOB, restart)
    assert restarted and unit.pushed == [("tariff", BLOB)]


def test_what_the_unit_does_not_accept_and_what_is_too_long():
    unit = FakeUnit()
    link = opened(LossyWire(unit))
    with pytest.raises(NotAccepted, match="this makes no sense. The old one stays in force"):
        push(link, "nonsense", b"x")
    for blob in (b"", bytes(16_385)):
        with pytest.raises(FileTooLong):
            push(link, "tariff", blob)
    assert unit.pushed == []


def identity(unit_id: str = "NEW-1") -> Identity:
    return Identity(unit_id, UNIT_KEY, b"fleet key in DER " * 17)


@pytest.mark.parametrize("seed", range(10 * SOAK))
def test_a_unit_is_provisioned_once_over_a_bad_wire(seed: int):
    unit = FakeUnit(None)
    wire = LossyWire(unit, seed, faults=0.15)
    link = Link(wire, lambda unit_id: UNIT_KEY, nonce=wire.random.randbytes)
    provision(link, identity(), {"k": 1000})
    assert len(unit.provisioned) == 1
    message = unit.provisioned[0]
    assert message["unit_id"] == "NEW-1" and message["config"] == {"k": 1000}
    assert bytes.fromhex(message["fleet_key"]) == identity().fleet_key
    with pytest.raises(AlreadyProvisioned):
        provision(link, identity("NEW-2"))


def test_a_unit_that_restarts_after_its_provisioning_is_waited_for():
    unit = FakeUnit(None)
    wire = LossyWire(unit)
    take = unit.provision

    def take_and_restart(message):
        take(message)
        wire.new_session()  # before the answer is out

    unit.provision = take_and_restart
    link = Link(wire, lambda unit_id: UNIT_KEY, nonce=wire.random.randbytes)
    provision(link, identity())
    assert len(unit.provisioned) == 1


def test_a_configuration_too_long_for_one_frame_follows_as_a_file():
    unit = FakeUnit(None)
    wire = LossyWire(unit)
    link = Link(wire, lambda unit_id: UNIT_KEY, nonce=wire.random.randbytes)
    provision(link, identity(), {"text": "x" * 3_000})
    assert unit.provisioned[0]["config"] is None
    assert unit.pushed[0][0] == "config" and len(unit.pushed[0][1]) > 3_000


@pytest.mark.parametrize("unit_id", ["", "lower", "WITH SPACE", "X" * 17, "Ü"])
def test_bad_unit_ids(unit_id: str):
    with pytest.raises(BadUnitId):
        identity(unit_id)


def test_no_key_in_the_text_of_an_identity():
    assert UNIT_KEY.hex() not in repr(identity()) and str(UNIT_KEY) not in repr(identity())
