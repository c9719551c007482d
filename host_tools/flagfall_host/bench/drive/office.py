"""The office behind the cable: pulls the unit into its ledger, settles with an acquirer."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from flagfall.receipt import money

from flagfall_host.acquirer.client import Acquirer
from flagfall_host.acquirer.message import Terminal
from flagfall_host.bench.acquirer_process import AcquirerProcess
from flagfall_host.bench.drive.folder import SeatFolder
from flagfall_host.bench.drive.rig import Rig, now_utc_s
from flagfall_host.bench.install import MERCHANT_ID, TERMINAL_ID
from flagfall_host.bench.world import BenchError
from flagfall_host.depot.link import Link
from flagfall_host.depot.office_folder import OFFICE
from flagfall_host.depot.pull import pull
from flagfall_host.depot.pushed_files import PushKind
from flagfall_host.depot.roster_file import FILE, DriversFile
from flagfall_host.depot.serial_wire import SerialWire
from flagfall_host.depot.unit_files import UnitFiles
from flagfall_host.ledger import Ledger

DRIVER, PIN = "340023", "246810"  # of the driver whom the office knows once it has sent a list

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Pulled:
    """What a pull brought. Money in minor units."""

    records: int
    trips: int
    takings: int
    by_card: int


@dataclass(frozen=True)
class Settlement:
    """What the acquirer has taken. Money in minor units."""

    batch: int
    taps: int
    amount: int
    refused: int


class Office:
    """One job at a time; each blocks. The acquirer is started when it is first needed."""

    def __init__(self, folder: SeatFolder, rig: Rig) -> None:
        self._folder = folder
        self._rig = rig
        self._acquirer: AcquirerProcess | None = None
        self._closed = False
        self._starting = threading.Lock()

    def pull(self, progress: Progress) -> Pulled:
        """Everything new into the ledger, over the cable. Raises FlagfallErrors."""
        port = self._rig.port
        if not port:
            raise BenchError("the cable is not plugged in")
        fleet = self._folder.fleet()
        with (
            Ledger.open(self._folder.ledger) as ledger,
            Link(SerialWire(port), fleet.unit_key) as link,
        ):
            link.open()
            result = pull(link, ledger, lambda seq, total, _size: progress(seq, total))
            books = ledger.summary()
        takings = books["fares"] + books["supplements"]
        return Pulled(result.records, books["trips"], takings, books["card_amount"])

    def send_drivers(self, uid: bytes) -> None:
        """From here on one driver signs in alone, by PIN or by the card `uid`. Raises
        FlagfallErrors."""
        port = self._rig.port
        if not port:
            raise BenchError("the cable is not plugged in")
        fleet = self._folder.fleet()
        drivers = DriversFile(fleet.folder / OFFICE / FILE)
        drivers.put(DRIVER, PIN, uid.hex(), None)
        drivers.save()
        with Link(SerialWire(port), fleet.unit_key) as link:
            link.open()
            files = UnitFiles(link, fleet, now_utc_s())
            files.push(files.from_office(PushKind.DRIVERS))

    def settle(self, progress: Progress) -> Settlement:
        """Sign in, upload every tap that the ledger has, settle. Raises FlagfallErrors."""
        host = self._simulated()
        with (
            Ledger.open(self._folder.ledger) as ledger,
            Acquirer(
                ledger,
                self._folder.fleet().private_key,
                Terminal(TERMINAL_ID, MERCHANT_ID),
                host.host,
                host.port,
            ) as acquirer,
        ):
            acquirer.sign_in()
            uploaded = acquirer.upload(progress)
            batches = acquirer.settle_all()
        last = batches[-1].batch if batches else 0
        taps = sum(b.count for b in batches)
        return Settlement(last, taps, sum(b.amount for b in batches), len(uploaded.refused))

    def _simulated(self) -> AcquirerProcess:
        with self._starting:
            if self._closed:
                raise BenchError("the office is closed")
            if self._acquirer is None:
                self._acquirer = AcquirerProcess(self._folder.path)
            return self._acquirer

    def close(self) -> None:
        """End the acquirer, if it runs."""
        with self._starting:
            self._closed = True
            if self._acquirer is not None:
                self._acquirer.close()
                self._acquirer = None


def yuan(minor: int) -> str:
    """An amount for a line of the office."""
    return money(minor)
