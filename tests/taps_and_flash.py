"""Whole taps on the bench unit, and what they cost its two flash rings: erases, and room."""

import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "boards" / "bench"))

from bench_taxi import Garage, offer, ride
from flagfall.journal import schema
from flagfall.journal.record import Record
from flagfall.journal.ring import Journal, JournalFull
from flagfall.link.proof import journal_key
from flagfall_host.bench.cards import catalogue
from flagfall_host.bench.install import UNIT_ID
from flagfall_host.bench.taxi import Taxi
from flagfall_host.depot.journal_image import read_image
from nor_flash import NorFlash

CARDS = ("ecash", "oda-debit", "ecash-8-reads", "oda-credit")
TORN_TAPS = 24  # more than a sector of records, and four of checkpoints
CREEPS_S = 25  # so long wheels turn while the unit waits for a card: over two sectors of them


def a_day_of_taps(garage: Garage, folder: Path) -> tuple[list[str], list[Record]]:
    """Rides by each of `CARDS`, a card torn again and again, and a tap while wheels turn.

    On flash that has been round once: a sector that was never used needs no erase. Returns the
    unit's trace (tones, lights, erases) and the records of the rides by `CARDS`.
    """
    with garage.taxi(folder) as taxi:
        offer(folder, "oda", "ecash")
        wear(garage, taxi)
        taxi.unit.power_on()
        taxi.stand(2)
        taxi.world.trace.clear()
        first = len(_records(garage, taxi))
        for name in CARDS:
            ask(taxi)
            tap(taxi, name, "approved")
            finish(taxi)
        rides = _records(garage, taxi)[first:]
        ask(taxi)
        for i in range(TORN_TAPS):
            tap(taxi, "tearing", "again", times=99, part="request", seed=i + 1)
        tap(taxi, "ecash-1024", "approved")
        finish(taxi)
        ask(taxi)
        taxi.drive([30] * CREEPS_S)
        taxi.wheel.drive([30] * 60)
        tap(taxi, "ecash-1408", "approved")
        finish(taxi)
        return taxi.world.trace, rides


def _records(garage: Garage, taxi: Taxi) -> list[Record]:
    return read_image(taxi.unit.journal, journal_key(garage.fleet.unit_key(UNIT_ID))).records


def wear(garage: Garage, taxi: Taxi) -> None:
    """Let both rings of a taxi without power go round once; what they say stays the same."""
    key = journal_key(garage.fleet.unit_key(UNIT_ID))
    trips = NorFlash(path=str(taxi.unit.folder / "trips.flash"))
    ring = Journal(trips, key, keep_unacked=False)
    ring.mount(1)
    newest = ring.newest(schema.CHECKPOINT)
    while trips.erases < ring.sectors:
        ring.append(schema.CHECKPOINT, newest.body, newest.time)
        ring.idle()
    trips.close()
    flash = NorFlash(path=str(taxi.unit.journal))
    journal = Journal(flash, key)
    journal.mount(1)
    body = schema.pack(schema.EVENT, code=schema.RECEIPT_PRINTED, text="0" * 200)
    while flash.erases < journal.sectors:
        record = next(journal.read(journal.append(schema.EVENT, body, newest.time)))
        journal.acknowledge(record.epoch, record.seq, record.mac[:4], newest.time)
        journal.idle()
    flash.close()


def ask(taxi: Taxi) -> None:
    """A ride, and the driver's request for a card."""
    due = ride(taxi)
    wanted = "Tap card: {}.{:02d}".format(*divmod(due, 100))
    taxi.press("CARD", what="the request for a card", message=wanted)


def tap(taxi: Taxi, name: str, tone: str, **settings: object) -> None:
    """Hold a card until the unit's tone, which must be `tone`."""
    heard = len(taxi.world.tones)
    taxi.hold(catalogue.make(name, **settings))
    taxi.world.wait(lambda: len(taxi.world.tones) > heard, "a tone")
    taxi.field.remove()
    if taxi.world.tones[heard] != tone:
        raise AssertionError(f"{name}: {taxi.world.tones[heard]}, {taxi.face['message']}")
    taxi.world.run(500)


def finish(taxi: Taxi) -> None:
    """The receipt, and For Hire."""
    jobs = len(taxi.world.paper.jobs)
    taxi.world.wait_face("the paid trip", paid=2)
    taxi.world.wait(lambda: len(taxi.world.paper.jobs) >= max(1, jobs), "the receipt")
    taxi.press("FOR_HIRE", what="For Hire", position="FOR HIRE")
    taxi.stand(3)


def taps_in(trace: Iterable[str]) -> list[list[str]]:
    """The lines of a trace between each card that was found and the tone that ended its tap."""
    taps: list[list[str]] = []
    open_ = False
    for line in trace:
        if line == "L processing":
            taps.append([])
            open_ = True
        elif line.startswith("B "):
            open_ = False
        elif open_:
            taps[-1].append(line)
    return taps


def erases_in(lines: Iterable[str]) -> list[str]:
    """The erases among the lines of a trace."""
    return [line for line in lines if line.startswith("E ")]


def taps_held(rides: list[Record], size: int) -> int:
    """How many rides by card, recorded as those of `rides`, a journal of `size` bytes takes."""
    flash = NorFlash(size)
    journal = Journal(flash, bytes(32))
    journal.mount(1)
    journal.append(schema.KEY, bytes(13 + 256), 0)
    bodies = [(r.type, r.body) for r in rides if r.type != schema.KEY]
    trips = sum(type == schema.TRIP for type, _ in bodies)
    held = 0
    try:
        while journal.room_for_card():
            for type, body in bodies:
                journal.append(type, body, 0)
            held += trips
    except JournalFull:
        pass
    return held
