"""A terminal by hand, with which the tests tap the bench's cards. It decides nothing.

Its TLV reading is written here once more, so that nothing of the cards is tested by itself.
"""

import json
from pathlib import Path

import pytest

_VECTORS = Path(__file__).parents[3] / "vectors"

PPSE = "00A404000E325041592E5359532E444446303100"
ECASH = "28000080"  # TTQ: qPBOC, offline-only, fDDA version 01
ECASH_ONLINE_TOO = "20000080"
ODA = "27800080"
_CONSTRUCTED = (0x6F, 0xA5, 0xBF0C, 0x61, 0x70, 0x77)


def objects(data: bytes) -> dict[str, bytes]:
    """All primitive objects in `data`, templates opened. A tag that comes twice is an error."""
    found: dict[str, bytes] = {}
    at = 0
    while at < len(data):
        tag = data[at]
        at += 1
        if tag & 0x1F == 0x1F:
            tag, at = tag << 8 | data[at], at + 1
        size = data[at]
        at += 1
        if size & 0x80:
            count = size & 0x7F
            size, at = int.from_bytes(data[at : at + count], "big"), at + count
        value = data[at : at + size]
        assert len(value) == size, "object runs out of its template"
        at += size
        inner = objects(value) if tag in _CONSTRUCTED else {f"{tag:02X}": value}
        for name, content in inner.items():
            assert name not in found, f"{name} comes twice"
            found[name] = content
    return found


def record_value(record: bytes) -> bytes:
    """What stands in a 70 template."""
    assert record[0] == 0x70
    head = {0x81: 3, 0x82: 4}.get(record[1], 2)
    return record[head:]


class Tap:
    """One tap: field on, then APDUs one by one. `card` is any Card."""

    ECASH, ECASH_ONLINE_TOO, ODA = ECASH, ECASH_ONLINE_TOO, ODA

    def __init__(self, card, **terminal: str) -> None:
        self.card = card
        self.log: list[bytes] = []
        self.terminal = {
            "DF69": "00",
            "9F66": ECASH,
            "9F02": "000000000500",
            "9F03": "000000000000",
            "9F1A": "0156",
            "95": "0000000000",
            "5F2A": "0156",
            "9A": "261124",
            "9C": "00",
            "9F37": "7863AFC6",
            **{tag.removeprefix("t"): value for tag, value in terminal.items()},
        }
        self.fci: dict[str, bytes] = {}
        self.gpo: dict[str, bytes] = {}
        self.records: dict[tuple[int, int], bytes] = {}
        self.static = b""
        card.field_off()
        card.field_on()

    def send(self, command: str) -> tuple[bytes, str]:
        """(data, status word in hex) of one APDU."""
        self.log.append(bytes.fromhex(command))
        answer = self.card.apdu(bytes.fromhex(command))
        return answer[:-2], answer[-2:].hex().upper()

    def good(self, command: str) -> bytes:
        data, sw = self.send(command)
        assert sw == "9000", (command, sw)
        return data

    def select(self, aid: str = "") -> None:
        """PPSE, then the application of highest priority (or `aid`)."""
        directory = self.good(PPSE)
        if not aid:
            aid = self._best(directory)
        self.fci = objects(self.good(f"00A40400{len(aid) // 2:02X}{aid}00"))

    @staticmethod
    def _best(directory: bytes) -> str:
        at, entries = directory.index(b"\xbf\x0c") + 3, []
        while at < len(directory):
            size = directory[at + 1]
            entries.append(objects(directory[at + 2 : at + 2 + size]))
            at += 2 + size
        return min(entries, key=lambda e: e["87"][0] & 0x0F)["4F"].hex().upper()

    def pdol_data(self) -> str:
        pdol, at, out = self.fci["9F38"], 0, ""
        while at < len(pdol):
            two = pdol[at] & 0x1F == 0x1F
            tag = pdol[at : at + 1 + two].hex().upper()
            at += 2 + two
            assert len(self.terminal[tag]) == 2 * pdol[at - 1]
            out += self.terminal[tag]
        return out

    def gpo_command(self) -> str:
        data = self.pdol_data()
        size = len(data) // 2
        return f"80A80000{size + 2:02X}83{size:02X}{data}00"

    def options(self) -> dict[str, bytes]:
        self.gpo = objects(self.good(self.gpo_command()))
        return self.gpo

    def places(self) -> list[tuple[int, int, bool]]:
        """(SFI, record, signed) in the order of the AFL."""
        afl, out = self.gpo["94"], []
        for i in range(0, len(afl), 4):
            sfi, first, last, signed = afl[i] >> 3, afl[i + 1], afl[i + 2], afl[i + 3]
            out += [(sfi, r, r < first + signed) for r in range(first, last + 1)]
        return out

    def read(self, sfi: int, number: int) -> bytes:
        return self.good(f"00B2{number:02X}{sfi << 3 | 4:02X}00")

    def read_all(self) -> dict[str, bytes]:
        """Every object of GPO answer and records together."""
        self.static = b""
        for sfi, number, signed in self.places():
            record = self.read(sfi, number)
            self.records[sfi, number] = record
            if signed:
                self.static += record_value(record) if sfi <= 10 else record
        together = b"".join(record_value(record) for record in self.records.values())
        found = objects(together)
        assert not set(found) & set(self.gpo), "object in GPO answer and record"
        return {**self.gpo, **found}

    def pay(self) -> dict[str, bytes]:
        """The whole tap."""
        self.select()
        self.options()
        return self.read_all()

    def balance(self) -> int:
        return int(self.good("80CA9F7900")[3:].hex())


@pytest.fixture
def tap():
    """The class Tap: `tap(card, t9F66=..., t9F02=...)`."""
    return Tap


@pytest.fixture
def vectors():
    """`vectors(name)`: one file of tests/vectors."""

    def load(name: str) -> dict:
        return json.loads((_VECTORS / f"{name}.json").read_text(encoding="utf-8"))

    return load
