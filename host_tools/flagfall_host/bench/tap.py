"""One tap on the bench: the unit's driver and kernel, a simulated chip and card, modelled time.

    result = run_tap("ecash", chip="pn532", profile="ecash")
    result.outcome, result.message, result.apdus, result.total_us, result.floor_us

The unit does what firmware/app/payment.py does: its transaction made ready, field on, activate,
the kernel's commands, what can be done while the card works, and for an e-cash card the payment
made durable before the command that debits.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from flagfall.emv import entry_point, oda_rsa, outcome
from flagfall.emv.aid import parse_aid
from flagfall.emv.capk import CapkStore
from flagfall.emv.purchase import Purchase
from flagfall.emv.terminal import ECASH, ODA, Terminal
from flagfall.emv.transaction import Transaction

from flagfall_host.bench import install
from flagfall_host.bench.cards import catalogue, keys
from flagfall_host.bench.cards.card import Card
from flagfall_host.bench.reader.field import Field
from flagfall_host.bench.reader.fm175xx import FM175xxChip
from flagfall_host.bench.reader.mfrc522 import MFRC522Chip
from flagfall_host.bench.reader.picc import Manners
from flagfall_host.bench.reader.pn532 import PN532Chip
from flagfall_host.bench.rf_time import (
    CARD,
    CARD_TIMES,
    LINK,
    RF,
    TERMINAL,
    TERMINAL_COSTS,
    TerminalCost,
    Unit,
)
from flagfall_host.bench.tap_clock import (
    AirWatch,
    CardClock,
    ChipClock,
    Clock,
    Segment,
    TimedPort,
    TimedSPI,
)
from flagfall_host.bench.unit_drivers import (
    HSU,
    MFRC522,
    PN532,
    CardLost,
    FM175xx,
    ReaderError,
    RegisterBus,
)
from flagfall_host.errors import FlagfallError

Chip = Literal["pn532", "mfrc522", "fm175xx"]
Kind = Literal["A", "B"]
Profile = Literal["ecash", "oda"]

_REGISTER_CHIPS: dict[str, Any] = {
    "mfrc522": (MFRC522Chip, MFRC522),
    "fm175xx": (FM175xxChip, FM175xx),
}
VISITOR_AID = "A0000000031010"
DATE, TIME = bytes.fromhex("261124"), bytes.fromhex("215109")
UN = bytes.fromhex("7863AFC6")
_PROFILES = {"ecash": ECASH, "oda": ODA}
_LOOK_MS = 300
AIDS = ("A000000333010101", "A000000333010102", "A000000333010106", VISITOR_AID)
CODES = {
    outcome.APPROVED: "approved",
    outcome.DECLINED: "declined",
    outcome.TORN: "torn",
    outcome.DISPUTED: "disputed",
    outcome.TRY_AGAIN: "try again",
    outcome.OTHER_INTERFACE: "other interface",
    outcome.END: "card not usable",
    outcome.ANOTHER_CARD: "another card",
    outcome.ASK_DRIVER: "ask the driver",
}


class ChipCannot(FlagfallError):
    """The reader chip does not speak the card's type."""


@dataclass
class TapResult:
    """One tap. Times in microseconds from field on; money in minor units."""

    card: str
    chip: str
    profile: str
    outcome: str
    reason: str
    message: str
    apdus: int
    records: int
    amount: int
    transaction: Any
    segments: list[Segment] = field(default_factory=list)
    instructions: dict[str, float] = field(default_factory=dict)
    card_us: float = 0.0  # until nothing more was needed from the card
    total_us: float = 0.0  # until the verdict was in flash and on the face

    def sum_us(self, kind: str) -> float:
        return sum(s.end - s.start for s in self.segments if s.kind == kind)

    @property
    def floor_us(self) -> float:
        """What no terminal could save: the air and the card."""
        return self.sum_us(RF) + self.sum_us(CARD)

    @property
    def own_us(self) -> float:
        """What the unit adds to the floor while the card is held: its work, its wire to the chip,
        the chip itself."""
        return self.card_us - self.floor_us

    def as_json(self) -> dict[str, Any]:
        return {
            "card": self.card,
            "chip": self.chip,
            "profile": self.profile,
            "outcome": self.outcome,
            "reason": self.reason,
            "message": self.message,
            "apdus": self.apdus,
            "records": self.records,
            "amount_minor": self.amount,
            "card_done_ms": _ms(self.card_us),
            "total_ms": _ms(self.total_us),
            "floor_ms": _ms(self.floor_us),
            "rf_ms": _ms(self.sum_us(RF)),
            "card_ms": _ms(self.sum_us(CARD)),
            "own_ms": _ms(self.own_us),
            "own_percent_of_floor": round(100 * self.own_us / self.floor_us, 1)
            if self.floor_us
            else None,
            "terminal_work_ms": _ms(self.sum_us(TERMINAL)),
            "link_ms": _ms(self.sum_us(LINK)),
            "instructions": {k: round(v) for k, v in sorted(self.instructions.items())},
            "segments": [
                {
                    "kind": s.kind,
                    "label": s.label,
                    "start_ms": _ms(s.start),
                    "end_ms": _ms(s.end),
                }
                for s in self.segments
            ],
        }


def _ms(us: float) -> float:
    return round(us / 1000, 3)


def terminal(*profiles: int, **settings: Any) -> Terminal:
    """The bench unit's terminal, with the parameters and test keys that a unit is given."""
    store = CapkStore(live=False)
    for row in catalogue.capk_tlvs():
        store.add(row, False)
    for rid, index, serial in catalogue.revocations():
        store.revoke(rid, index, serial)
    aids = [parse_aid(bytes.fromhex(install.aid_row(aid))) for aid in AIDS]
    return Terminal(install.COUNTRY, install.CURRENCY, aids, store, profiles=profiles, **settings)


class Bench:
    """A reader of either family before one field, with a clock.

    `place` holds a card into the field; then `tap` as often as you like.
    """

    def __init__(
        self,
        chip: Chip = "pn532",
        profile: Profile = "ecash",
        unit: Unit | None = None,
        cost: TerminalCost | None = None,
        kernel: Terminal | None = None,
        works_ahead: bool = True,
    ) -> None:
        self.unit = unit or Unit()
        self.cost = cost or TERMINAL_COSTS
        self.profile = profile
        self.chip_name = chip
        self.kernel = kernel or terminal(_PROFILES[profile])
        self.works_ahead = works_ahead
        self.field = Field()
        self.card_clock = CardClock(CARD_TIMES[profile], 0)
        self.field.on_exchange = self.card_clock
        self.clock: Clock
        if chip == "pn532":
            self.chip: Any = PN532Chip(self.field)
            self.clock = Clock(self.unit)
            port = TimedPort(self.chip, self.clock, self.card_clock, self.cost)
            bus = HSU(port, self.unit.baud)
            self.reader: Any = PN532(bus, type_b=True, ticks_ms=port.ticks_ms)
        else:
            simulated, driver = _REGISTER_CHIPS[chip]
            self.chip = simulated(self.field)
            self.clock = ChipClock(self.unit, self.chip)
            watch = AirWatch(self.clock, self.card_clock)
            self.chip.manners = Manners(
                delay_us=watch.delay_us,
                asks_for_time=True,
                inbound=watch.inbound,
                watch=watch.answer,
            )
            spi = TimedSPI(self.chip, self.clock, self.cost)
            self.reader = driver(
                RegisterBus(spi, spi.cs),
                ticks_ms=lambda: int(self.chip.now_us / 1000),
                sleep_ms=self._sleep_ms,
            )
        asyncio.run(self.reader.open())

    async def _sleep_ms(self, ms: int) -> None:
        end = self.clock.now_us + ms * 1000
        self.clock.hidden(self.cost.yields, "driver")
        self.clock.until(end)

    def place(self, name: str, card: Card | None = None, **settings: Any) -> Card:
        """Hold the catalogue's card `name`, or `card` that is like it, before the antenna.

        Raises NoSuchCard, ChipCannot.
        """
        card = card or catalogue.make(name, **settings)
        if card.kind == "B" and self.chip_name == "mfrc522":
            raise ChipCannot("an MFRC522 takes type A cards only: use fm175xx or pn532")
        self.card_clock._bits = _key_bits(name)
        self.field.place(card)
        return card

    def tap(self, name: str = "", amount: int = 500, **settings: Any) -> TapResult:
        """From field on to what the driver reads. `settings` go to the Transaction."""
        return asyncio.run(self._tap(name, amount, settings))

    async def _tap(self, name: str, amount: int, settings: dict[str, Any]) -> TapResult:
        clock = self.clock
        await self.reader.field(False)
        clock.segments.clear()
        clock.instructions.clear()
        with _charged(clock, self.cost):
            settings = {"un": UN, "date": DATE, "time": TIME, **settings}
            tx = Transaction(self.kernel, amount, **settings)
            command = tx.start()
            clock.cpu(self.cost.kernel["start"].of(0), "kernel: start")
            clock.segments.clear()
            start = clock.now_us
            await self._run(tx, command)
            card = clock.now_us - start
            while tx.work():
                clock.hidden(self.cost.yields, "driver")
            ended: Any = tx.outcome
        if ended.record_outcome():
            clock.durable(self.cost.journal, "payment to flash")
        total = clock.now_us - start
        await self.reader.field(False)
        segments = [
            Segment(s.kind, s.start - start, s.end - start, s.label)
            for s in clock.segments
            if s.start - start < total
        ]
        purchase = tx._purchase
        return TapResult(
            name,
            self.chip_name,
            self.profile,
            CODES[ended.code],
            ended.reason,
            ended.message,
            tx.apdus,
            len(purchase.records) if purchase else 0,
            amount,
            tx,
            segments,
            dict(clock.instructions),
            card,
            total,
        )

    async def _run(self, tx: Transaction, command: bytes | None) -> None:
        """The part for which the card is held."""
        clock, reader, cost = self.clock, self.reader, self.cost
        await reader.field(True)
        try:
            target = await reader.activate(_LOOK_MS)
        except ReaderError:
            target = None
        if target is None and command is not None:
            tx.card_lost()
            return
        work = tx.work if self.works_ahead else None
        while command is not None:
            phase = _phase(command, tx)
            debit = tx.before_debit()
            self.card_clock.last = debit is not None
            if debit is not None:
                clock.cpu(cost.kernel["intent"].of(0), "kernel: intent")
                clock.durable(cost.journal, "intent to flash")
            try:
                response = await reader.transceive(command, work)
            except CardLost:
                tx.card_lost()
                return
            clock.cpu(cost.kernel[phase].of(len(response)), "kernel: " + phase)
            command = tx.step(response)


def _phase(command: bytes, tx: Transaction) -> str:
    """Which of TerminalCost.kernel the answer to `command` will cost."""
    ins = command[1]
    if ins == 0xA4:
        return "ppse" if b"2PAY" in command else "select"
    if ins == 0xA8:
        return "gpo"
    purchase: Any = tx._purchase
    if ins != 0xB2 or purchase is None:
        return "other"  # or a torn payment's own commands
    if tx._last_asked:
        return "last"
    return "gate" if purchase.is_tc and purchase.position == len(purchase.records) - 2 else "read"


@contextmanager
def _charged(clock: Clock, cost: TerminalCost) -> Iterator[None]:
    """Charge the kernel's work where it happens, whoever calls for it and when."""

    def counted(base: int, exponent: int, modulus: int) -> int:
        size = (modulus.bit_length() + 7) // 8
        clock.rsa(cost.rsa(size, exponent), f"RSA {size * 8}")
        clock.cpu(cost.around_rsa, "kernel: certificates")
        return pow(base, exponent, modulus)

    def charge(owner: Any, name: str, phase: str) -> None:
        real = getattr(owner, name)

        def wrapped(first: Any, *body: bytes) -> Any:
            clock.cpu(cost.kernel[phase].of(sum(map(len, body))), "kernel: " + phase)
            return real(first, *body)

        undo.append((owner, name, real))
        setattr(owner, name, wrapped)

    undo: list[tuple[Any, str, Any]] = []
    charge(entry_point, "directory", "directory")
    charge(entry_point, "parse_fci", "fci")
    charge(Transaction, "_decide", "decide")
    charge(Transaction, "_conclude", "finish")
    charge(Purchase, "_take", "take")
    oda_rsa.pow = counted  # type: ignore[attr-defined]
    try:
        yield
    finally:
        del oda_rsa.pow  # type: ignore[attr-defined]
        for owner, name, real in undo:
            setattr(owner, name, real)


def _key_bits(name: str) -> int:
    person = catalogue.persons(name)[0]
    if person.rsa is None:
        return 0
    return keys.rsa(person.rsa.icc).size * 8


def run_tap(
    card: str,
    chip: Chip = "pn532",
    profile: Profile = "ecash",
    *,
    kind: Kind = "A",
    warm: bool = True,
    unit: Unit | None = None,
    cost: TerminalCost | None = None,
    works_ahead: bool = True,
) -> TapResult:
    """One tap of the catalogue's card `card`, made as type `kind`. `warm`: its issuer's key is in
    the unit's cache.

    Raises NoSuchCard, ChipCannot.
    """
    bench = Bench(chip, profile, unit, cost, works_ahead=works_ahead)
    if warm:
        bench.place(card, kind=kind)
        bench.tap(card)
        bench.field.remove()
    bench.place(card, kind=kind)
    return bench.tap(card)
