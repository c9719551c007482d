"""An outside reader, written from docs/formats.md, sees the same as ours does."""

import random
from pathlib import Path

import formats_reader
import pytest
from bench_taxi import Garage
from flagfall.journal import schema
from flagfall.journal.record import Damage
from flagfall.journal.ring import Journal
from flagfall_host.bench.cards import catalogue
from flagfall_host.bench.install import UNIT_ID
from flagfall_host.depot.journal_image import read_image
from nor_flash import BLOCK, NorFlash
from power_cuts import KEY, Life, faulty_life, steps_of
from taps_and_flash import ask, finish, tap


def compare(data: bytes) -> int:
    """Hold three readers against each other on one image; return how many records it has."""
    counting, acked = formats_reader.read(data, KEY)
    ours = read_image(data, KEY)
    theirs = [counting[seq] for seq in sorted(counting)]
    assert [(r.seq, r.epoch, r.type, r.time, r.body) for r in ours.records] == (
        [(r[1], r[2], r[0], r[3], r[5]) for r in theirs]
    )
    assert ours.acked_seq == acked
    flash = NorFlash(len(data))
    flash.data[:] = data
    unit = Journal(flash, KEY)
    unit.mount(1)
    live = [r for r in unit.read(acked + 1) if not isinstance(r, Damage)]
    assert [(r.seq, r.mac) for r in live] == [(r[1], r[6]) for r in theirs if r[1] > acked]
    return len(theirs)


@pytest.mark.parametrize("seed", range(1, 25))
def test_images_of_lives_with_power_cuts(seed):
    dice = random.Random(seed)
    flash = NorFlash(dice.choice([4, 8]) * BLOCK, None, seed)
    cuts = [(dice.randrange(30), dice.choice("btgh")) for _ in range(dice.randrange(6))]
    Life(steps_of(seed, 80), flash).live(cuts)
    assert compare(bytes(flash.data)) > 3


@pytest.mark.parametrize("seed", range(1, 13))
def test_images_of_flash_with_failing_sectors(seed):
    life = faulty_life(seed, cuts=[(seed, "t")] if seed % 2 else [])
    data = bytes(life.flash.data)
    counting, _ = formats_reader.read(data, KEY)
    last = life.journal.last_seq
    live = [r.seq for r in life.journal.read(life.journal.acked_seq + 1)]
    assert [seq for seq in sorted(counting) if seq > life.journal.acked_seq] == live
    assert last in counting


@pytest.mark.parametrize("seed", range(1, 13))
def test_images_with_damage(seed):
    dice = random.Random(seed)
    flash = NorFlash(8 * BLOCK, None, seed)
    Life(steps_of(seed, 80), flash).live()
    for _ in range(1 + seed % 5):
        flash.data[dice.randrange(len(flash.data))] ^= 1 << dice.randrange(8)
    counting, acked = formats_reader.read(bytes(flash.data), KEY)
    ours = read_image(bytes(flash.data), KEY)
    assert [r.seq for r in ours.records] == sorted(counting) and ours.acked_seq == acked


def test_bodies():
    """Every body of every type, packed by ours, read by the document's table."""
    dice = random.Random(3)
    bodies = [(type_, 1, layout) for type_, layout in formats_reader.BODIES.items()]
    for (type_, version), more in formats_reader.NEWER.items():
        bodies.append((type_, version, formats_reader.BODIES[type_] + more))
    for type_, version, layout in bodies:
        for _ in range(40):
            values = {}
            for item in layout.split():
                name, kind = item.split(":")
                if kind in "BHIQ":
                    values[name] = dice.getrandbits({"B": 8, "H": 16, "I": 32, "Q": 64}[kind])
                elif kind == "str":
                    values[name] = "".join(dice.choices("abc 京", k=dice.randrange(60)))
                elif kind == "var":
                    values[name] = dice.randbytes(dice.randrange(300))
                elif name == "last_digits":
                    values[name] = "%04d" % dice.randrange(10000)
                else:
                    values[name] = dice.randbytes(int(kind))
            body = schema.pack(type_, **values)
            theirs = formats_reader.fields(type_, body)
            assert body[0] == version
            if "last_digits" in values:
                digits = values["last_digits"]
                values["last_digits"] = bytes.fromhex(digits[2:] + digits[:2])
            assert theirs == values


def test_a_ride_by_card_of_a_real_unit(garage: Garage, tmp_path: Path) -> None:
    """From the fleet's two secrets and the unit's two partitions, by the document alone."""
    with garage.taxi(tmp_path) as taxi:
        taxi.unit.power_on()
        ask(taxi)
        tap(taxi, "tearing", "again", times=1, part="request")
        tap(taxi, "tearing", "approved", times=0)
        due = taxi.face["fare"]
        finish(taxi)
        info = taxi.face
    key = formats_reader.journal_key(garage.fleet._master, UNIT_ID)
    journal, _ = formats_reader.read((tmp_path / "journal.flash").read_bytes(), key)
    bodies = {
        kind: [formats_reader.fields(kind, r[5]) for r in journal.values() if r[0] == kind]
        for kind in formats_reader.BODIES
    }
    (paid,) = [seq for seq, r in journal.items() if r[0] == 2 and r[5][9] == 1]
    payment = formats_reader.fields(2, journal[paid][5])
    assert payment["amount"] == due == bodies[1][-1]["fare"] and payment["reason"] == ""
    sealed = dict(formats_reader.card_data(journal, paid, garage.fleet.private_key))
    (person,) = catalogue.persons("tearing")
    assert sealed["5A"].hex().startswith(person.pan)
    assert sealed["9F02"].hex() == f"{due:012d}"
    trips, _ = formats_reader.read((tmp_path / "trips.flash").read_bytes(), key)
    newest = formats_reader.checkpoint(trips[max(trips)][5])
    assert newest["position"] == 0 and newest["driver"] == info["driver"]
    assert newest["totals"] == bodies[4][-1] and newest["totals"]["card_amount"] == due
    assert newest["torn"] == [] and newest["shift_cards"] == 1
