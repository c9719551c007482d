# The power goes at every program and every erase of a life that meets everything. The lives
# and what is checked after each cut are in power_cuts. This file runs on both runtimes.

from flagfall.journal import schema
from flagfall.journal.ring import Journal
from nor_flash import BLOCK, NorFlash
from power_cuts import depth_1, depth_2, faulty_life, lived, parse, random_cuts, relive, written


def test_every_operation_in_every_mode():
    cuts = depth_1(1, 4, 40) + depth_1(3, 3, 50, 2)
    print("%d cuts, one at each operation in each mode" % cuts)
    assert cuts > 150


def test_some_pairs_of_operations():
    cuts = depth_2(2, 3, 12, 53)
    print("%d cuts in pairs of operations" % cuts)
    assert cuts > 50


def test_many_cuts_in_one_life():
    cuts = random_cuts(1, 40)
    print("%d cuts in random lives" % cuts)
    assert cuts > 100


def test_a_life_can_be_lived_again_as_written():
    for text in ("8/5/90/16b", "11/3/60/40t", "337894/3/93/16t.12h.23b.12h"):
        seed, sectors, count, cuts = parse(text)
        assert written(seed, sectors, count, cuts) == text
        lived(seed, sectors, count, cuts)


def test_lives_that_once_broke_a_promise():
    relive("f/1544/25b")  # four sectors in a row that cannot even be marked
    relive("f/8472/")  # full, and the last free sector is one that fails
    for text in ("f/11910/", "f/12417/17t.3g", "f/19614/", "3/3/70/24b"):
        relive(text)


def test_checkpoint_ring_keeps_the_newest():
    for mode in ("before", "torn", "garbage", "half-erase"):
        for at in range(0, 150, 7):
            flash = NorFlash(3 * BLOCK)
            journal = Journal(flash, bytes(32), False)
            journal.mount(1)
            flash.cut_after(at, mode)
            done = -1
            try:
                for i in range(150):
                    journal.append(schema.CHECKPOINT, b"\1\2" + bytes(80), i)
                    done = i
                    journal.idle()
            except Exception as e:
                if e.__class__.__name__ != "PowerCut":
                    raise
            flash.power_on()
            journal = Journal(flash, bytes(32), False)
            journal.mount(1)
            newest = journal.newest(schema.CHECKPOINT)
            assert (newest.time if newest else -1) in (done, done + 1)
            journal.idle()
            journal.append(schema.CHECKPOINT, b"\1\2", 999)
            assert journal.newest(schema.CHECKPOINT).time == 999
            assert journal.erases_on_append == 0


def test_sectors_that_fail():
    # Dead, lying and stuck sectors, one more dying on the way, wrong reads, power cuts between.
    retired = 0
    for seed in range(1, 25):
        retired += faulty_life(seed).journal.retired > 0
        faulty_life(seed + 100, cuts=[(seed, "t"), (9, "g"), (seed % 7, "h")])
    assert retired > 10
