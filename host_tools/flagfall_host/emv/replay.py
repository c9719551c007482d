"""What this kernel would have made of a recorded tap, and where it would have sent other bytes.

The terminal's values (amount, unpredictable number, date, TTQ, country, currency) are taken from
the recorded GPO through the card's PDOL, so that the recorded signatures can verify.
"""

from dataclasses import dataclass, field
from typing import Any

from flagfall.emv import bcd, dol
from flagfall.emv.aid import KERNEL_3, KERNEL_7, AidParameters
from flagfall.emv.capk import CapkStore
from flagfall.emv.outcome import Outcome
from flagfall.emv.terminal import ECASH, ODA, Terminal
from flagfall.emv.tlv import TlvError, first, only, parse
from flagfall.emv.transaction import Transaction

from flagfall_host.emv.tag_names import name
from flagfall_host.emv.transcript import Exchange

CODES = {
    1: "approved",
    2: "declined",
    3: "torn",
    7: "disputed",
    8: "try again",
    9: "other interface",
    10: "end",
    11: "another card",
    12: "ask driver",
}
_NO_LIMIT = 999999999


@dataclass
class Difference:
    """A byte that this kernel would have sent otherwise."""

    line: int
    offset: int
    recorded: str
    ours: str
    what: str

    def as_json(self) -> dict[str, Any]:
        return self.__dict__.copy()


@dataclass
class Replay:
    """The kernel's verdict, None if the transcript ends before there is one."""

    outcome: Outcome | None
    differences: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    exchanges: int = 0

    def as_json(self) -> dict[str, Any]:
        out: dict[str, Any] = {
            "outcome": None,
            "exchanges": self.exchanges,
            "differences": [d.as_json() for d in self.differences],
            "notes": self.notes,
        }
        if self.outcome is not None:
            o = self.outcome
            out["outcome"] = {
                "code": CODES[o.code],
                "reason": o.reason,
                "message": o.message,
                "profile": {ECASH: "e-cash", ODA: "transit ODA"}.get(o.profile),
                "amount_minor": o.amount,
                "currency": o.currency,
                "atc": o.atc,
                "last_four": o.last_four,
                "balance_after_minor": o.balance_after,
            }
        return out


@dataclass
class _Recorded:
    """What the recorded terminal was, as far as the PDOL shows it."""

    aid: bytes
    entries: list[tuple[int, int]]
    values: dict[int, bytes]


def _is_select(command: bytes) -> bool:
    return command[:3] == b"\x00\xa4\x04"


def _is_gpo(command: bytes) -> bool:
    return command[:2] == b"\x80\xa8"


def _recorded(exchanges: list[Exchange]) -> _Recorded | None:
    aid = b""
    entries: list[tuple[int, int]] = []
    for exchange in exchanges:
        command, response = exchange.command, exchange.response or b""
        if _is_select(command) and response[-2:] == b"\x90\x00":
            aid, entries = command[5 : 5 + command[4]], []
            try:
                items = parse(only(response[:-2], 0x6F))
                pdol = first(parse(first(items, 0xA5) or b""), 0x9F38)
                entries = dol.parse(pdol) if pdol else []
            except TlvError:
                entries = []
        elif _is_gpo(command) and aid:
            values = {}
            try:
                data = only(command[5 : 5 + command[4]], 0x83)
            except TlvError:
                data = b""
            at = 0
            for tag, length in entries:
                values[tag] = data[at : at + length]
                at += length
            return _Recorded(aid, entries, values)
    return None


def _number(value: bytes | None, default: int) -> int:
    try:
        return bcd.to_int(value) if value else default
    except ValueError:
        return default


def replay(exchanges: list[Exchange], capks: CapkStore) -> Replay:
    """Run the kernel against the recorded answers."""
    recorded = _recorded(exchanges)
    if recorded is None:
        return Replay(
            None, notes=["no GET PROCESSING OPTIONS in the transcript: nothing to decide"]
        )
    values = recorded.values
    result = Replay(None)
    ttq = values.get(0x9F66, b"")
    if len(ttq) != 4:
        result.notes.append("the card did not ask for the TTQ (9F66)")
        ttq = b"\x28\x00\x00\x80"
    parameters = AidParameters(
        recorded.aid, kernel=KERNEL_3 if recorded.aid[:5].hex() == "a000000003" else KERNEL_7
    )
    oda = bool(ttq[0] & 0x01)
    parameters.floor = -1 if ttq[1] & 0x80 and not oda else _NO_LIMIT
    parameters.cvm_limit = 0 if ttq[1] & 0x40 else None
    date = values.get(0x9A, b"")
    if len(date) != 3 or not _is_date(date):
        date = b"\x26\x01\x01"
        result.notes.append("no date recorded: 2026-01-01 is taken")
    terminal = Terminal(
        _number(values.get(0x9F1A), 156),
        _number(values.get(0x5F2A), 156),
        [parameters],
        capks,
        profiles=(ODA,) if oda else (ECASH,),
        ttq_mask=ttq,
        sm2=values.get(0xDF69) != b"\x00",
    )
    for tag in (0x9F33, 0x9F35, 0x9F40, 0x9F1E, 0x9F15, 0x9F4E, 0xDF69, 0x9F7A):
        if tag in values:
            terminal.values[tag] = values[tag]
    amount = _number(values.get(0x9F02), 0)
    if not 0 < amount <= _NO_LIMIT:
        result.notes.append("no amount recorded, or zero: one minor unit is taken")
        amount = 1
    un = values.get(0x9F37, b"")
    tx = Transaction(
        terminal,
        amount,
        un if len(un) == 4 else bytes(4),
        date,
        _time(values.get(0x9F21)),
    )
    _run(tx, exchanges, recorded, result)
    if ttq[1] & 0x80 and not oda:
        result.notes.append(
            "the recorded terminal asked for an online cryptogram at the tap; without transit ODA "
            "this kernel does so only above the offline limit, and so that is what is replayed"
        )
    return result


def _is_date(value: bytes) -> bool:
    try:
        bcd.yymmdd(value)
    except ValueError:
        return False
    return True


def _time(value: bytes | None) -> bytes:
    try:
        bcd.to_int(value or b"\xff")
    except ValueError:
        return bytes(3)
    return value if value is not None and len(value) == 3 else bytes(3)


def _run(tx: Transaction, exchanges: list[Exchange], recorded: _Recorded, out: Replay) -> None:
    command = tx.start()
    at = 0
    while command is not None:
        found = _answer(command, exchanges, at)
        if found is None:
            out.notes.append(f"our next command {_kind(command)} was not recorded: it ends here")
            return
        at = found + 1
        exchange = exchanges[found]
        out.exchanges += 1
        _compare(command, exchange, recorded, out.differences)
        if exchange.response is None:
            tx.card_lost()
            break
        command = tx.step(exchange.response)
    out.outcome = tx.outcome
    if at < len(exchanges):
        rest = len(exchanges) - at
        out.notes.append(f"decided before the last {rest} recorded command(s)")


def _kind(command: bytes) -> str:
    names = {0xA4: "SELECT", 0xA8: "GET PROCESSING OPTIONS", 0xB2: "READ RECORD", 0xCA: "GET DATA"}
    text = names.get(command[1], f"INS {command[1]:02X}")
    if command[1] == 0xB2:
        text += f" SFI {command[3] >> 3} record {command[2]}"
    return text


def _answer(command: bytes, exchanges: list[Exchange], at: int) -> int | None:
    """The next recorded exchange of this kind; of READ RECORD and SELECT also of this object."""
    for i in range(at, len(exchanges)):
        other = exchanges[i].command
        if other[:2] != command[:2]:
            continue
        if command[1] in (0xB2, 0xCA) and other[2:4] != command[2:4]:
            continue
        if command[1] == 0xA4 and other[5 : 5 + other[4]] != command[5 : 5 + command[4]]:
            continue
        return i
    return None


def _compare(
    ours: bytes, exchange: Exchange, recorded: _Recorded, differences: list[Difference]
) -> None:
    theirs = exchange.command
    if ours == theirs + b"\x00" or theirs == ours + b"\x00":
        longer = ours if len(ours) > len(theirs) else theirs
        offset = len(longer) - 1
        who = "00" if longer is ours else "absent"
        other = "absent" if longer is ours else "00"
        differences.append(Difference(exchange.line, offset, other, who, "Le"))
        return
    for offset in range(max(len(ours), len(theirs))):
        a, b = theirs[offset : offset + 1].hex().upper(), ours[offset : offset + 1].hex().upper()
        if a != b:
            what = _place(ours, offset, recorded)
            differences.append(
                Difference(exchange.line, offset, a or "absent", b or "absent", what)
            )


def _place(command: bytes, offset: int, recorded: _Recorded) -> str:
    """What stands at `offset` of a command."""
    if offset < 5:
        return ("CLA", "INS", "P1", "P2", "Lc")[offset]
    if _is_gpo(command):
        at = 7 if command[5:6] == b"\x83" and command[6] < 0x80 else 8
        for tag, length in recorded.entries:
            if at <= offset < at + length:
                return f"{tag:X} {name(tag)}, byte {offset - at + 1}"
            at += length
    return "data or Le"
