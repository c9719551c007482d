"""The shift's records on their way by 4G: what the audience is told of it, and when all is up.

Everything said here was seen by the bench's modem and network, or stands in the ledger.
"""

import datetime
import random
import time
from pathlib import Path
from typing import Any, Protocol

from flagfall.clock import to_unix
from flagfall.link import messages

from flagfall_host.bench.gateway_process import NAME, PORT, GatewayProcess
from flagfall_host.bench.install import UNIT_ID, install
from flagfall_host.bench.shift import Shift
from flagfall_host.bench.stage import Stage
from flagfall_host.bench.taxi import Taxi
from flagfall_host.bench.world import BenchError
from flagfall_host.depot.fleet import Fleet
from flagfall_host.depot.link import Link
from flagfall_host.depot.serial_wire import SerialWire
from flagfall_host.ledger import Ledger

SETTINGS = {"gateway": f"{NAME}:{PORT}", "apn": "bench", "every_s": 3_600}
UPLINK_HEAP = "640K"  # of 64-bit objects; the shift and TLS beside it (tests/bench/bench_heap.py)
_STEP_MS = 1_000
_LIMIT_S = 120.0  # of real time, for a call that is lost and made again
_LEAST, _MOST = 1_200, 3_500  # bytes after which a carrier is lost


class OnTheAir:
    """Watches `taxi` upload into `ledger`; `losses` of the carrier are drawn from `seed`."""

    def __init__(self, taxi: Taxi, ledger: Path, seed: int, stage: Stage) -> None:
        if taxi.modem is None:
            raise BenchError("this taxi has no modem")
        self._taxi = taxi
        self._ledger = ledger
        self._stage = stage
        self._chance = random.Random(seed)
        self._booked = 0
        self._told = (0, 0)
        self.losses = 0
        world = taxi.world
        taxi.modem.settings.utc = lambda: datetime.datetime.fromtimestamp(
            to_unix(world.utc_s), datetime.UTC
        )
        taxi.network.on_cut = self._lost

    def dialled(self, address: tuple[str, int]) -> None:
        """The gateway is at this address of this machine."""
        self._taxi.network.routes[NAME, PORT] = address

    def lose_carrier_soon(self) -> None:
        """In the middle of the next call."""
        network = self._taxi.network
        network.cut_after = network.carried + self._chance.randint(_LEAST, _MOST)

    def _lost(self) -> None:
        self.losses += 1
        if self._taxi.modem is not None:
            self._taxi.modem.lose_carrier()
        self._stage.tell("network", "the carrier is lost in the middle of the call")

    @property
    def booked(self) -> int:
        """The newest seq in the ledger."""
        if not self._ledger.exists():
            return 0
        with Ledger.open(self._ledger) as books:
            return books.last_seq(UNIT_ID)

    def upload(self, trips: int, what: str) -> None:
        """Let time pass until so many trips are booked, and tell."""
        limit = time.monotonic() + _LIMIT_S
        while self._trips() < trips or self.booked <= self._booked:
            if time.monotonic() > limit:
                raise BenchError(f"waited in vain for {what}: {self._taxi.modem.counters}")  # type: ignore[union-attr]
            self._taxi.world.run(_STEP_MS)
            time.sleep(0.01)  # the modem and the gateway live in real time
        self.tell(what)

    def _trips(self) -> int:
        if not self._ledger.exists():
            return 0
        with Ledger.open(self._ledger) as books:
            return int(books.summary(UNIT_ID)["trips"] or 0)

    def all_receipted(self, fleet: Fleet) -> dict[str, Any]:
        """The unit's information, asked over the cable until none of its records waits.

        A record that came while a call was under way goes with the next one.
        """
        limit = time.monotonic() + _LIMIT_S
        while True:
            with Link(SerialWire(self._taxi.port), fleet.unit_key) as link:
                link.open()
                info: dict[str, Any] = link.ask(messages.INFO)
            waiting = info["journal"]["last_seq"] - info["journal"]["acked_seq"]
            if waiting <= 1:  # the record of the last receipt itself
                return info
            if time.monotonic() > limit:
                raise BenchError(f"{waiting} records of the unit have no receipt")
            for _ in range(10):
                self._taxi.world.run(_STEP_MS)
                time.sleep(0.01)

    def tell(self, what: str) -> None:
        """How far the upload is."""
        network = self._taxi.network
        up, down = network.up - self._told[0], network.down - self._told[1]
        self._told = (network.up, network.down)
        booked = self.booked
        self._stage.tell(
            "gateway",
            f"{what}: records {self._booked + 1} to {booked} booked and receipted; "
            f"{up} bytes up, {down} down",
        )
        self._booked = booked

    def figures(self) -> dict[str, Any]:
        """What the modem and the network saw."""
        network, modem = self._taxi.network, self._taxi.modem
        return {
            "bytes_up": network.up,
            "bytes_down": network.down,
            "connections": network.connections,
            "dials": modem.counters.dials if modem else 0,
            "carrier_losses": self.losses,
        }


class Figures(Protocol):
    """Where the shift's figures go (bench.demo.Evening)."""

    unit: dict[str, int]
    heap_peak: int
    journal_used: list[int]
    records: int
    uplink: dict[str, Any]


def by_air(
    folder: Path,
    taxi: Taxi,
    fleet: Fleet,
    shift: Shift,
    stage: Stage,
    evening: Figures,
    language: str,
) -> None:
    """Install, and drive the shift of `bench.demo`, every record uploaded by 4G as it comes.

    The carrier is lost twice in the middle of a call. At the end the meter's own figures are read
    over the cable, so that they owe nothing to what was uploaded.
    """
    ledger = folder / "ledger.sqlite"
    with GatewayProcess(folder, fleet, ledger) as gateway:
        air = OnTheAir(taxi, ledger, shift.plan.seed, stage)
        air.dialled(gateway.address)
        install(taxi, fleet, shift.plan.k, stage, uplink=SETTINGS, language=language)
        shift.sign_in()
        air.upload(0, "the first call")
        shift.trip_by_card()
        air.lose_carrier_soon()
        air.upload(1, "trip 1")
        shift.ignition_off_and_on()
        shift.trip_by_cash()
        air.upload(2, "trip 2")
        shift.ignition_off_and_on()
        shift.trip_with_everything_going_wrong()
        air.lose_carrier_soon()
        air.upload(3, "trip 3")
        shift.sign_out()
        air.upload(3, "the shift's end")
        info = air.all_receipted(fleet)
        evening.records = air.booked
        stage.scene("The inspector reads the meter's own totals over the cable")
    evening.unit = dict(info["totals"])
    evening.heap_peak = int(info["heap_peak"])
    evening.journal_used.append(int(info["journal"]["used"]))
    evening.uplink = air.figures() | {"unit": info["uplink"]}
