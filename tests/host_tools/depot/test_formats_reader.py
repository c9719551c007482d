"""An outside reader, written from docs/formats.md, sees the same as ours does."""

import random

import formats_reader
import pytest
from flagfall.journal import schema
from flagfall.journal.record import Damage
from flagfall.journal.ring import Journal
from flagfall_host.depot.journal_image import read_image
from nor_flash import BLOCK, NorFlash
from power_cuts import KEY, Life, faulty_life, steps_of


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
    for type_, layout in formats_reader.BODIES.items():
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
            theirs = formats_reader.fields(type_, schema.pack(type_, **values))
            if "last_digits" in values:
                digits = values["last_digits"]
                values["last_digits"] = bytes.fromhex(digits[2:] + digits[:2])
            assert theirs == values
