"""The whole path on one machine: a shift on the bench, then the office's evening.

Provision, drive, tap, lose the power, pull over the cable, book, sign in at the acquirer, upload,
settle, hand the receipts back, and compare the three books to the fen.
"""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flagfall.link import messages
from flagfall.link.proof import journal_key
from flagfall.receipt import currency_code
from flagfall.receipt import money as shown

from flagfall_host.acquirer.client import Acquirer
from flagfall_host.acquirer.message import Terminal
from flagfall_host.bench.acquirer_process import AcquirerProcess
from flagfall_host.bench.install import (
    CURRENCY,
    MERCHANT_ID,
    TARIFF,
    TERMINAL_ID,
    install,
)
from flagfall_host.bench.modem import ModemSettings
from flagfall_host.bench.on_the_air import UPLINK_HEAP, by_air
from flagfall_host.bench.shift import Plan, Shift
from flagfall_host.bench.stage import Stage
from flagfall_host.bench.taxi import Taxi
from flagfall_host.bench.world import BenchError
from flagfall_host.depot.fleet import Fleet
from flagfall_host.depot.languages import ENGLISH
from flagfall_host.depot.link import Link
from flagfall_host.depot.pull import pull
from flagfall_host.depot.serial_wire import SerialWire
from flagfall_host.ledger import Ledger, money

_LEDGER_FIGURES = (
    "trips",
    "fares",
    "supplements",
    "cash",
    "card_payments",
    "card_amount",
    "torn_open",
)


class BooksDiffer(BenchError):
    """Unit, ledger and acquirer do not agree: the one thing that must never happen."""

    exit_code = 4


@dataclass
class Evening:
    """What the shift and the office's evening came to. Money in minor units."""

    seed: int
    k: int
    trips: list[dict[str, Any]] = field(default_factory=list)
    unit: dict[str, int] = field(default_factory=dict)
    ledger: dict[str, int] = field(default_factory=dict)
    acquirer: dict[str, int] = field(default_factory=dict)
    batch: int = 0
    records: int = 0
    freed_sectors: int = 0
    journal_used: list[int] = field(default_factory=list)  # bytes before and after the receipt
    heap_peak: int = 0
    receipts: list[str] = field(default_factory=list)
    uplink: dict[str, Any] = field(default_factory=dict)  # what modem and network saw

    def closing_line(self) -> str:
        total = shown(self.ledger["fares"] + self.ledger["supplements"])
        return (
            f"settled: {self.ledger['trips']} trips, {self.acquirer['settled_payments']} taps, "
            f"{currency_code(CURRENCY)} {total}; unit, ledger and acquirer agree"
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "k_pulses_per_km": self.k,
            "tariff": TARIFF,
            "currency": currency_code(CURRENCY),
            "trips": self.trips,
            "unit": self.unit,
            "ledger": self.ledger,
            "acquirer": self.acquirer,
            "agree": True,
            "batch": self.batch,
            "records": self.records,
            "freed_sectors": self.freed_sectors,
            "journal_used_bytes": self.journal_used,
            "heap_peak_bytes": self.heap_peak,
            "receipts": self.receipts,
            **({"uplink": self.uplink} if self.uplink else {}),
            "closing_line": self.closing_line(),
        }


def play(
    folder: Path,
    seed: int,
    stage: Stage,
    *,
    factor: float = 0,
    heap: str | None = None,
    uplink: bool = False,
    language: str = ENGLISH,
) -> Evening:
    """Play it all in `folder`, which is emptied first. Raises BooksDiffer and what went wrong.

    `uplink`: the unit uploads by 4G to a gateway while it drives; no cable but the installer's.
    `language`: what the unit speaks (depot.languages).
    """
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    plan = Plan.of(seed)
    evening = Evening(seed, plan.k)
    fleet = Fleet.create(folder / "fleet", "bench")
    taxi_folder = folder / "taxi"
    settings = {"k": plan.k, "utc_s": plan.utc_s, "seed": f"demo {seed}", "factor": factor}
    if uplink:
        settings |= {"modem": ModemSettings(), "heap": UPLINK_HEAP}
    if heap is not None:
        settings["heap"] = heap
    with Taxi(taxi_folder, **settings) as taxi, AcquirerProcess(folder) as host:  # type: ignore[arg-type]
        try:
            stage.scene("Provisioning")
            taxi.unit.power_on()
            stage.power(True)
            shift = Shift(taxi, plan, stage)
            if uplink:
                by_air(folder, taxi, fleet, shift, stage, evening, language)
            else:
                install(taxi, fleet, plan.k, stage, language=language)
                shift.sign_in()
                shift.trip_by_card()
                shift.ignition_off_and_on()
                shift.trip_by_cash()
                shift.ignition_off_and_on()
                shift.trip_with_everything_going_wrong()
                shift.sign_out()
                _depot(folder, taxi, fleet, stage, evening)
            evening.trips = shift.trips
            _settle(folder, fleet, host, stage, evening)
            if not uplink:
                _hand_back(taxi, fleet, stage, evening)
            evening.acquirer = host.everything()
        except BenchError as e:
            raise type(e)(f"{e} (what the unit said: {taxi_folder / 'unit.log'})") from e
        evening.receipts = sorted(str(p) for p in taxi.world.paper.folder.glob("*.png"))
    _compare(evening)
    return evening


def _depot(folder: Path, taxi: Taxi, fleet: Fleet, stage: Stage, evening: Evening) -> None:
    """Pull over the cable into the ledger; the receipt waits until the money is settled."""
    stage.scene("At the depot")
    stage.tell("maintenance", f"plugs the cable in and pulls ({taxi.port})")
    with (
        Ledger.open(folder / "ledger.sqlite") as ledger,
        Link(SerialWire(taxi.port), fleet.unit_key) as link,
    ):
        unit = link.open()
        before = link.ask(messages.INFO)
        evening.journal_used.append(before["journal"]["used"])  # type: ignore[index]
        evening.unit = dict(before["totals"])  # type: ignore[call-overload]
        evening.heap_peak = int(before["heap_peak"])  # type: ignore[call-overload]
        result = pull(
            link,
            ledger,
            lambda seq, total, size: stage.progress("records pulled", seq, total),
        )
        evening.records = result.records
        evening.freed_sectors = result.freed
        stage.tell(
            "ledger",
            f"{result.records} records of {unit.unit_id} booked, receipt up to "
            f"{result.receipt_upto}",
        )


def _settle(
    folder: Path, fleet: Fleet, host: AcquirerProcess, stage: Stage, evening: Evening
) -> None:
    """Sign in, upload, settle."""
    stage.scene("At the office")
    terminal = Terminal(TERMINAL_ID, MERCHANT_ID)
    with (
        Ledger.open(folder / "ledger.sqlite") as ledger,
        Acquirer(ledger, fleet.private_key, terminal, host.host, host.port) as acquirer,
    ):
        batch = acquirer.sign_in()
        stage.tell("office", f"signs in at the acquirer as {TERMINAL_ID}: batch {batch}")
        result = acquirer.upload(lambda done, of: stage.progress("taps uploaded", done, of))
        stage.tell("acquirer", f"accepts {result.accepted} taps, {shown(result.amount)}")
        if result.refused or result.unreadable:
            raise BooksDiffer(f"refused: {result.refused} {result.unreadable}")
        settled = acquirer.settle()
        evening.batch = settled.batch
        stage.tell(
            "acquirer", f"batch {batch} balances: {settled.count} taps, {shown(settled.amount)}"
        )
        books = ledger.summary()
        closed = books["states"].get(money.SETTLED, (0, 0))
        evening.ledger = {
            **{name: books[name] for name in _LEDGER_FIGURES},
            "unpaid": books["unpaid"],
            "settled_payments": closed[0],
            "settled_amount": closed[1],
        }
        problems = ledger.check(journal_key=lambda unit_id: journal_key(fleet.unit_key(unit_id)))
        if problems:
            raise BooksDiffer("the ledger does not hold: " + "; ".join(str(p) for p in problems))


def _hand_back(taxi: Taxi, fleet: Fleet, stage: Stage, evening: Evening) -> None:
    """What the receipt has freed on the unit."""
    with Link(SerialWire(taxi.port), fleet.unit_key) as link:
        link.open()
        after = link.ask(messages.INFO)
    used = int(after["journal"]["used"])  # type: ignore[index]
    evening.journal_used.append(used)
    stage.tell(
        "unit",
        f"has its receipt: {evening.freed_sectors} sectors freed, "
        f"{evening.journal_used[0]} bytes in use before, {used} after",
    )


def _compare(evening: Evening) -> None:
    """The three books, to the fen. Raises BooksDiffer."""
    unit, ledger, acquirer = evening.unit, evening.ledger, evening.acquirer
    face = {
        "fares": sum(t["fare_minor"] for t in evening.trips),
        "supplements": sum(t["supplements_minor"] for t in evening.trips),
    }
    pairs = [
        ("fares", unit["fares"], ledger["fares"]),
        ("fares shown on the face", face["fares"], ledger["fares"]),
        ("supplements", unit["supplements"], ledger["supplements"]),
        ("supplements shown on the face", face["supplements"], ledger["supplements"]),
        ("hirings", unit["hirings"], ledger["trips"]),
        ("taps", unit["card_payments"], ledger["card_payments"]),
        ("tap money", unit["card_amount"], ledger["card_amount"]),
        ("taps at the acquirer", ledger["card_payments"], acquirer["payments"]),
        ("tap money at the acquirer", ledger["card_amount"], acquirer["amount"]),
        ("settled taps", ledger["settled_payments"], acquirer["settled_payments"]),
        ("settled money", ledger["settled_amount"], acquirer["settled_amount"]),
        ("money settled and taken", ledger["settled_amount"], ledger["card_amount"]),
        (
            "cash and cards, and fares",
            ledger["cash"] + ledger["card_amount"],
            ledger["fares"] + ledger["supplements"],
        ),
    ]
    differ = [f"{what}: {a} and {b}" for what, a, b in pairs if a != b]
    if evening.ledger["torn_open"]:
        differ.append(f"{evening.ledger['torn_open']} torn payments are not resolved")
    if not evening.uplink and evening.freed_sectors < 1:
        differ.append("the receipt freed nothing on the unit")
    if differ:
        raise BooksDiffer("the books differ: " + "; ".join(differ))


def json_line(evening: Evening) -> str:
    return json.dumps(evening.as_json())
