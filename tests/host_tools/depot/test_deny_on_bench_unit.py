"""The deny list from the office's file to a card that is refused, on the real firmware."""

import os
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest
from bench_taxi import START, Garage, ride
from flagfall.journal import schema
from flagfall.link import messages
from flagfall.link.proof import journal_key
from flagfall_host.bench.cards import catalogue
from flagfall_host.bench.install import UNIT_ID
from flagfall_host.bench.taxi import Taxi
from flagfall_host.depot.journal_image import read_image
from flagfall_host.depot.link import Link
from flagfall_host.depot.link_errors import LinkError
from flagfall_host.depot.push import NotAccepted, push
from flagfall_host.depot.serial_wire import SerialWire
from flagfall_host.depot.signed_files import sign_file
from flagfall_host.depot.speed import find_unit, raise_speed
from flagfall_host.emv import deny_list_build

SALT = bytes(range(16))
CARD = catalogue.persons("ecash")[0].pan
OTHERS = [f"62109481{n:08d}" for n in range(2_000)]
MANY = 100_000 if os.environ.get("FLAGFALL_SOAK") else 20_000


def listed(pans: Iterable[str], version: int) -> bytes:
    return deny_list_build.build(pans, [], version, SALT)


def signed(garage: Garage, content: bytes, version: int) -> bytes:
    return sign_file(garage.fleet.private_key, "deny", content, version, START)


def talk(taxi: Taxi, garage: Garage) -> Link:
    link = Link(SerialWire(taxi.port), garage.fleet.unit_key)
    find_unit(link)
    link.open()
    return link


def in_force(link: Link) -> dict:
    return link.ask(messages.FILES)["kinds"].get("deny", {})  # type: ignore[attr-defined]


def tap(taxi: Taxi) -> str:
    taxi.press("CARD", what="the request for a card", waiting_s=taxi.face["waiting_s"])
    taxi.world.wait(lambda: taxi.face["message"].startswith("Tap card"), "the request")
    heard = len(taxi.world.tones)
    taxi.hold(catalogue.make("ecash"))
    taxi.world.wait(lambda: len(taxi.world.tones) > heard, "a tone")
    taxi.field.remove()
    return taxi.world.tones[heard]


def payments(taxi: Taxi, garage: Garage) -> list[dict]:
    image = read_image(taxi.unit.journal, journal_key(garage.fleet.unit_key(UNIT_ID)))
    return [
        schema.unpack(schema.PAYMENT, r.body) for r in image.records if r.type == schema.PAYMENT
    ]


def test_a_denied_card_is_refused_before_it_pays_and_a_delta_lets_it_pay(
    garage: Garage, tmp_path: Path
) -> None:
    one, two = listed([*OTHERS, CARD], 1), listed(OTHERS[5:], 2)
    with garage.taxi(tmp_path) as taxi:
        taxi.unit.power_on()
        taxi.world.run(200)
        with talk(taxi, garage) as link:
            push(link, "deny", signed(garage, one, 1))
            assert in_force(link)["entries"] == len(OTHERS) + 1
        taxi.unit.power_off()
        taxi.unit.power_on()
        ride(taxi)
        card = catalogue.make("ecash")
        assert tap(taxi) == "declined"
        assert "deny list" in taxi.face["message"]
        last = payments(taxi, garage)[-1]
        assert (last["outcome"], last["reason"]) == (schema.DECLINED, "denied")
        assert card.balance == catalogue.make("ecash").balance
        with talk(taxi, garage) as link:
            delta = deny_list_build.delta(one, two)
            assert len(delta) < 300
            push(link, "deny", signed(garage, delta, 2))
            there = in_force(link)
            assert there["version"] == 2 and there["sha256"] == two[48:80].hex()
        assert tap(taxi) == "approved"
        assert payments(taxi, garage)[-1]["outcome"] == schema.APPROVED


def test_what_is_damaged_older_or_not_the_offices_leaves_the_list_in_force(
    garage: Garage, tmp_path: Path
) -> None:
    one, two = listed(OTHERS, 1), listed(OTHERS[1:], 2)
    good = signed(garage, two, 2)
    start = len(good) - len(two)
    damaged = bytearray(good)
    damaged[-1] ^= 1
    forged = bytearray(good)
    forged[40] ^= 1
    other, third = listed(OTHERS[2:], 2), listed(OTHERS[2:], 3)
    bad = {
        "not what was signed": bytes(damaged),
        "signature": bytes(forged),
        "older than 2": signed(garage, one, 1),
        "another list has version 2": signed(garage, other, 2),
        "the delta is for version 1": signed(garage, deny_list_build.delta(one, third), 3),
        "not the one that was signed": signed(garage, other, 3),
        "not a signed file": two,
        "cut off": signed(garage, two[:-6], 4),
        "bytes of content are signed": good[: start + 500],
        "pushed as deny": sign_file(garage.fleet.private_key, "texts", two, 9, START),
        "made for unit OTHER": sign_file(garage.fleet.private_key, "deny", two, 9, 1, "OTHER"),
    }
    with garage.taxi(tmp_path) as taxi:
        taxi.unit.power_on()
        taxi.world.run(200)
        with talk(taxi, garage) as link:
            push(link, "deny", good)
            before = in_force(link)
            for why, blob in bad.items():
                with pytest.raises(LinkError, match=why):
                    push(link, "deny", blob)
                assert in_force(link) == before, why
            push(link, "deny", good)  # the same again is in force, and nothing is said
            with pytest.raises(NotAccepted, match="not signed by the office"):
                push(link, "texts", b"{}")
        # A list damaged in flash is out of force, and the office sees it.
        taxi.unit.power_off()
        path = tmp_path / "files/lists/deny.list"
        data = bytearray(path.read_bytes())
        data[-700] ^= 1
        path.write_bytes(data)
        taxi.unit.power_on()
        taxi.world.run(2_000)
        with talk(taxi, garage) as link:
            assert in_force(link) == {"version": 0, "newest": 2}
            with pytest.raises(LinkError, match="older than 2"):
                push(link, "deny", signed(garage, one, 1))
            push(link, "deny", good)
            assert in_force(link) == before


def test_the_power_is_cut_while_a_list_comes_in(garage: Garage, tmp_path: Path) -> None:
    """Cut several times at growing offsets: each push goes on where the flash is."""
    blob = signed(garage, listed([f"62109481{n:08d}" for n in range(12_000)], 1), 1)
    starts: list[int] = []

    class Cut(Exception):
        pass

    with garage.taxi(tmp_path) as taxi:
        for limit in (9_000, 26_000, 50_000, len(blob)):
            taxi.unit.power_on()
            taxi.world.run(200)
            seen: list[int] = []

            def progress(sent: int, total: int, seen=seen, limit=limit) -> None:
                seen.append(sent)
                if sent >= limit and sent < total:
                    taxi.unit.power_off()
                    raise Cut

            link = talk(taxi, garage)
            raise_speed(link)
            try:
                push(link, "deny", blob, progress)
                assert in_force(link)["entries"] == 12_000
                link.close()
            except Cut:
                link.wire.close()
            starts.append(seen[0])
    assert starts[0] == 0 and starts == sorted(set(starts)), starts
    assert starts[-1] >= 40_000


def test_a_push_disturbs_neither_the_trip_nor_the_tap(garage: Garage, tmp_path: Path) -> None:
    """The same trip with and without a long push beside it: the same fare, and the tap pays."""
    blob = signed(garage, listed([f"62109481{n:08d}" for n in range(MANY)], 1), 1)
    fares = []
    for pushing in (False, True):
        with garage.taxi(tmp_path / str(pushing)) as taxi:
            taxi.unit.power_on()
            taxi.world.run(200)
            failed: list[Exception] = []

            def send(taxi=taxi, failed=failed) -> None:
                try:
                    with talk(taxi, garage) as link:
                        raise_speed(link)
                        push(link, "deny", blob)
                except Exception as e:
                    failed.append(e)

            thread = threading.Thread(target=send)
            if pushing:
                thread.start()
            fare = ride(taxi)
            fares.append(fare)
            assert tap(taxi) == "approved"
            if pushing:
                while thread.is_alive():
                    taxi.world.run(100)
                thread.join()
                assert not failed, failed
                with talk(taxi, garage) as link:
                    assert in_force(link)["entries"] == MANY
                    shown = link.ask(messages.INFO)
                    assert shown["heap_free"] > 60_000  # type: ignore[operator]
    assert fares[0] == fares[1]
