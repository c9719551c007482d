"""How long a tap takes: the air at 106 kbit/s, the card's own work, the unit's own work.

A model, not a measurement on hardware. Every figure names its source; "assumed" is a guess of the
right size. Times are microseconds, instructions are those that callgrind counts on x86-64.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

FC = 13.56  # carrier cycles a microsecond
_BIT = 128 / FC  # ISO/IEC 14443-2: 106 kbit/s
FDT_CARD = 1236 / FC  # ISO/IEC 14443-3, 6.2.1.1: a card that answers at once
FDT_CARD_B = 2304 / FC  # ISO/IEC 14443-3, 7.10.3: TR0 and TR1 at their least
FDT_READER = 6780 / FC  # EMV Contactless Book D, FDT(A,PCD,MIN), cited from secondary sources
POWER_UP = 5100.0  # EMV Contactless Book D: unmodulated field before the first command
_WTX_AT = 0.9  # of its waiting time a card has used up when it asks for more

RF, CARD, LINK, TERMINAL = "rf", "card", "link", "terminal"


class Stretch(NamedTuple):
    """Some time of one kind, without its place."""

    kind: str
    us: float
    label: str


def frame_us(length: int, bits: int = 0, kind: str = "A") -> float:
    """A frame of `length` bytes with their CRC; `bits`: how many of the last byte, 0 for all.

    Type B: characters of 10 bits between a start of 12 and an end of 10, no guard time.
    """
    if kind == "B":
        return (22 + 10 * length) * _BIT
    count = (length - 1) * 9 + bits if bits else length * 9
    return (count + 2) * _BIT


def exchange(
    command: int, response: int, card_us: float, fsc: int, fsd: int, fwi: int, kind: str = "A"
) -> list[Stretch]:
    """One APDU over ISO/IEC 14443-4: blocks, their acknowledgements and the card's work.

    `command` and `response` in bytes; `fsc` and `fsd` are the longest frames that the card and
    the reader take, `fwi` the card's waiting time, beyond which it asks for more. No retries.
    """
    out: list[Stretch] = []
    delay = FDT_CARD_B if kind == "B" else FDT_CARD
    short = frame_us(3, kind=kind)
    parts = _parts(command, fsc - 3)
    for i, part in enumerate(parts):
        out.append(Stretch(RF, FDT_READER + frame_us(part + 3, kind=kind) + delay, "command"))
        if i + 1 < len(parts):
            out.append(Stretch(RF, short, "acknowledgement"))
    fwt = (4096 << fwi) / FC
    allowed = fwt
    while card_us > _WTX_AT * allowed:
        out.append(Stretch(CARD, _WTX_AT * allowed, "card"))
        out.append(Stretch(RF, 2 * frame_us(4, kind=kind) + FDT_READER + delay, "more time"))
        card_us -= _WTX_AT * allowed
        allowed = fwt * min(int(card_us / (_WTX_AT * fwt)) + 1, 59)
    out.append(Stretch(CARD, card_us, "card"))
    for i, part in enumerate(_parts(response, fsd - 3)):
        if i:
            both = FDT_READER + short + delay
            out.append(Stretch(RF, both, "acknowledgement"))
        out.append(Stretch(RF, frame_us(part + 3, kind=kind), "answer"))
    return out


def _parts(length: int, size: int) -> list[int]:
    return [min(size, length - at) for at in range(0, length, size)] or [0]


def activation(uid: bytes, ats: bytes) -> list[Stretch]:
    """Power-up, WUPA, anticollision without a collision, RATS."""
    both = FDT_READER + FDT_CARD
    out = [Stretch(RF, POWER_UP, "power-up"), Stretch(RF, _short_us(both), "WUPA")]
    for _ in range({4: 1, 7: 2, 10: 3}[len(uid)]):
        out.append(Stretch(RF, both + frame_us(2) + frame_us(5), "anticollision"))
        out.append(Stretch(RF, both + frame_us(9) + frame_us(3), "select"))
    out.append(Stretch(RF, both + frame_us(4) + frame_us(len(ats) + 2), "RATS"))
    return out


def activation_b() -> list[Stretch]:
    """Power-up, WUPB and ATQB, ATTRIB."""
    both = FDT_READER + FDT_CARD_B
    wupb = both + frame_us(5, kind="B") + frame_us(14, kind="B")
    attrib = both + frame_us(11, kind="B") + frame_us(3, kind="B")
    return [
        Stretch(RF, POWER_UP, "power-up"),
        Stretch(RF, wupb, "WUPB"),
        Stretch(RF, attrib, "ATTRIB"),
    ]


def _short_us(both: float) -> float:
    return both + frame_us(1, 7) + frame_us(2)


@dataclass(frozen=True)
class CardTimes:
    """What a card needs from the last bit of a command to the first bit of its answer.

    gpo: a real qPBOC tap was logged with GPO at about 50 ms, its air included, without a
    signature. All others are assumed, after the bound that acceptance tests set: 500 ms from
    power-on to the last record of an e-cash card.
    """

    select_ppse: float = 8_000.0
    select: float = 12_000.0
    gpo: float = 40_000.0
    read: float = 3_000.0
    last: float = 12_000.0  # debit, log and backup are written to the card's memory
    other: float = 3_000.0
    # RSA with CRT on the card's coprocessor, by key bits; between them by the square.
    sign: dict[int, float] = field(
        default_factory=lambda: {1024: 28_000.0, 1152: 35_000.0, 1408: 52_000.0, 1984: 105_000.0}
    )

    def sign_us(self, bits: int) -> float:
        """The dynamic signature, made while GPO is answered. 0 bits: none."""
        if not bits:
            return 0.0
        nearest = min(self.sign, key=lambda known: abs(known - bits))
        return self.sign[nearest] * (bits / nearest) ** 2

    def of(self, command: bytes, response: bytes, bits: int, last: bool) -> float:
        """The time for `command`. `bits`: of the card's key; `last`: the record that debits."""
        ins = command[1] if len(command) > 1 else 0
        if ins == 0xA4:
            return self.select_ppse if b"2PAY" in command else self.select
        if ins == 0xA8:
            signs = response[:1] == b"\x77" and b"\x94" in response
            return self.gpo + (self.sign_us(bits) if signs else 0.0)
        if ins == 0xB2:
            return self.last if last else self.read
        return self.other


# A card in transit ODA writes no purse: its last record is like any other.
CARD_TIMES = {"ecash": CardTimes(), "oda": CardTimes(last=3_000.0)}


class Linear(NamedTuple):
    """Instructions of something that handles n bytes."""

    base: float
    each: float

    def of(self, n: int) -> float:
        return self.base + self.each * n


@dataclass(frozen=True)
class TerminalCost:
    """Instructions of the unit's own work, as callgrind counts them on x86-64.

    kernel: by what is done, and by bytes of the answer, without RSA: `start` before there is a
    card, `ppse` to `last` from an answer to the next command, `directory` and `fci` on top where
    no card has answered so before, `gate` with all that must be known before the debit, `decide`
    and `take` (the GPO answer judged, a record taken in) while the card works, `intent` what is
    stored before the debit, `finish` the verdict.
    rsa_each: of one modular multiplication, per byte of the modulus squared. around_rsa: what
    belongs to each RSA operation: numbers to bytes and back, hash, fields.
    send, receive, ack: of the PN532 driver, by bytes of the frame; wake: from bytes in the port
    to the driver that waits for them; poll: a look for bytes that are not there. access: of the
    MFRC522 driver for each access of a register; yields: of a coroutine that yields and is
    resumed. journal: a payment sealed and appended.
    """

    kernel: dict[str, Linear]
    rsa_each: float
    around_rsa: float
    send: Linear
    receive: Linear
    ack: float
    wake: float
    poll: float
    access: float
    yields: float
    journal: float

    def rsa(self, modulus: int, exponent: int) -> float:
        """One RSA public operation on the counting machine; `modulus` in bytes."""
        times = exponent.bit_length() + bin(exponent).count("1") - 1
        return self.rsa_each * modulus * modulus * times


LOOPS_PER_S = 85e6  # see Unit


@dataclass(frozen=True)
class Unit:
    """The machine that the unit runs on. All speeds are assumed.

    interpreter_per_s: instructions of the interpreter that an ESP32 at 240 MHz gets through in a
    second, as callgrind counts them (1 ms for 40,000, as for the meter). MicroPython's own
    benchmarks misc_aes and bm_pidigits take 8.2 and 9.3 million here; an ESP32 was published to
    do them in 96 and 110 ms (micropython pull request 7850): LOOPS_PER_S. But these are loops that
    stay in its caches, while most of a tap runs once, from flash: half of that is assumed.
    arithmetic_per_s: the same for the long integers, whose loops stay in the cache; rsa_factor:
    they have digits of 16 bit where x86-64 has 32, so that a product takes 4 times the steps.
    flash_us: one record programmed, by the table in boards/bench/nor_flash.py. chip_us: the
    firmware of a PN532, from frame to air and back. spi_us: a transfer beside its bits.
    """

    interpreter_per_s: float = 40e6
    arithmetic_per_s: float = 160e6
    rsa_factor: float = 4.0
    flash_us: float = 1_000.0
    baud: int = 921_600
    chip_us: float = 500.0
    spi_hz: int = 4_000_000
    spi_us: float = 10.0

    def us(self, instructions: float) -> float:
        return instructions / self.interpreter_per_s * 1e6

    def rsa_us(self, instructions: float) -> float:
        return instructions * self.rsa_factor / self.arithmetic_per_s * 1e6


# Counted by tests/bench/bench_tap.py on MicroPython 1.28, which says when they no longer hold.
TERMINAL_COSTS = TerminalCost(
    kernel={
        "start": Linear(266_100, 0),
        "ppse": Linear(85_200, 0),
        "directory": Linear(82_400, 0),
        "select": Linear(141_500, 0),
        "fci": Linear(172_600, 0),
        "gpo": Linear(182_200, 0),
        "decide": Linear(148_200, 0),
        "read": Linear(52_100, 0),
        "take": Linear(31_000, 514.9),
        "gate": Linear(144_400, 0),
        "intent": Linear(391_800, 0),
        "last": Linear(30_700, 0),
        "finish": Linear(296_000, 0),
        "other": Linear(100_000, 0),
    },
    rsa_each=7.8,
    around_rsa=167_000,
    send=Linear(37_900, 320.4),
    receive=Linear(37_500, 74.8),
    ack=12_700,
    wake=32_100,
    poll=37_700,
    access=12_600,
    yields=21_100,
    journal=766_100,
)
