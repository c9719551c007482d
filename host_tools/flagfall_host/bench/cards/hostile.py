"""Cards that answer in legal frames with contents that no honest card would send."""

import random
from collections.abc import Callable

from flagfall_host.bench.cards.card import Card
from flagfall_host.bench.cards.tlv import length, template, tlv

_STATUS_WORDS = ("9000", "6283", "6985", "6986", "6A81", "6A82", "6A83", "6C10", "6700", "6100")
_TAGS = (
    *("4F", "57", "5A", "5F24", "82", "84", "8F", "90", "94", "9F10", "9F26", "9F36", "9F38"),
    *("9F46", "9F4A", "9F4B", "9F5D", "9F69", "9F6C", "6F", "70", "77", "80", "A5", "BF0C", "61"),
)


class GarbageCard(Card):
    """Answers of noise: random bytes, random TLV, or an honest card's answer with damage.

    `seed` decides everything; the same seed and the same commands give the same answers. `rate`
    is the share of answers that are touched: a low one lets a terminal get further.
    """

    def __init__(self, honest: Card, seed: int, rate: float = 0.7) -> None:
        self.name = honest.name
        self._honest = honest
        self._rate = rate
        self._random = random.Random(seed)

    def field_on(self) -> None:
        self._honest.field_on()

    def field_off(self) -> None:
        self._honest.field_off()

    def apdu(self, command: bytes) -> bytes:
        chance = self._random
        honest = self._honest.apdu(command)
        if chance.random() >= self._rate:
            return honest
        if chance.random() < 0.6:
            return _damaged(chance, honest)
        data = _objects(chance, 3) if chance.random() < 0.5 else chance.randbytes(_size(chance))
        return data[:256] + bytes.fromhex(chance.choice(_STATUS_WORDS))


def _size(chance: random.Random) -> int:
    return chance.choice((0, 1, 2, 3, 8, 31, 127, 128, 255, 256))


def _objects(chance: random.Random, depth: int) -> bytes:
    parts = []
    for _ in range(chance.randrange(5)):
        tag = chance.choice(_TAGS)
        inner = (
            chance.randbytes(chance.randrange(20)) if depth == 0 else _objects(chance, depth - 1)
        )
        parts.append(tlv(tag, inner))
    return b"".join(parts)


def _damaged(chance: random.Random, answer: bytes) -> bytes:
    data = bytearray(answer[:-2])
    for _ in range(chance.randrange(1, 4)):
        if data:
            data[chance.randrange(len(data))] = chance.randrange(256)
    if chance.random() < 0.2:
        del data[chance.randrange(len(data) + 1) :]
    return bytes(data) + answer[-2:]


def _nested(depth: int) -> bytes:
    inner = b""
    for _ in range(depth):
        inner = tlv("A5", inner)
    return inner


def _replaced(answer: bytes, old: str, new: bytes) -> bytes:
    """The first object `old` of a template-77 or -6F answer with another object in its place."""
    tag = bytes.fromhex(old)
    at = answer.find(tag)
    if at < 0:
        return answer
    size = answer[at + len(tag)]
    changed = answer[:at] + new + answer[at + len(tag) + 1 + size : -2]
    outer = changed[:1]
    head = 2 if changed[1] < 0x80 else 3
    return outer + length(len(changed) - head) + changed[head:] + answer[-2:]


_PPSE, _FCI, _GPO, _RECORD = "ppse", "fci", "gpo", "record"

# name -> (whose answer, what becomes of it). Each leaves every other answer honest.
ATTACKS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "nothing but a status word": (_PPSE, lambda a: a[-2:]),
    "one byte": (_PPSE, lambda a: b"\x90"),
    "no bytes": (_PPSE, lambda a: b""),
    "eighty templates deep": (_PPSE, lambda a: tlv("6F", _nested(80)) + a[-2:]),
    "length of four gigabytes": (_PPSE, lambda a: b"\x6f\x84\xff\xff\xff\xff" + a[-2:]),
    "indefinite length": (_PPSE, lambda a: b"\x6f\x80\x84\x00\x00\x00" + a[-2:]),
    "tag without end": (_PPSE, lambda a: b"\x6f\x20" + b"\x9f" + b"\xff" * 31 + a[-2:]),
    "sixty applications": (
        _PPSE,
        lambda a: template("6F", (b"\x61\x02\x4f\x00" * 60,)) + a[-2:],
    ),
    "empty PDOL": (_FCI, lambda a: _replaced(a, "9F38", tlv("9F38", b""))),
    "PDOL of three hundred bytes": (
        _FCI,
        lambda a: _replaced(a, "9F38", tlv("9F38", bytes.fromhex("9F0296" * 2))),
    ),
    "PDOL cut within a tag": (
        _FCI,
        lambda a: _replaced(a, "9F38", tlv("9F38", b"\x9f\x66\x04\x9f")),
    ),
    "AFL of records without end": (
        _GPO,
        lambda a: _replaced(a, "94", tlv("94", bytes.fromhex("080100FF" + "F801FE00" * 8))),
    ),
    "AFL backwards": (_GPO, lambda a: _replaced(a, "94", tlv("94", bytes.fromhex("10050100")))),
    "AFL of 1500 records": (
        _GPO,
        lambda a: _replaced(a, "94", tlv("94", bytes.fromhex("1001FE00" * 6))),
    ),
    "AFL of three bytes": (_GPO, lambda a: _replaced(a, "94", tlv("94", b"\x10\x01\x01"))),
    "AFL with more signed than there are": (
        _GPO,
        lambda a: _replaced(a, "94", tlv("94", bytes.fromhex("10010305"))),
    ),
    "AIP of one byte": (_GPO, lambda a: _replaced(a, "82", tlv("82", b"\x7c"))),
    "9F10 of two bytes": (_GPO, lambda a: _replaced(a, "9F10", tlv("9F10", b"\x07\x01"))),
    "two counters": (_GPO, lambda a: _replaced(a, "9F36", tlv("9F36", b"\0\1") * 2)),
    "track 2 without separator": (_GPO, lambda a: _replaced(a, "57", tlv("57", b"\x62" * 16))),
    "record of another template": (_RECORD, lambda a: b"\x77" + a[1:]),
    "record cut short": (_RECORD, lambda a: a[: len(a) // 2] + a[-2:]),
    "record with a tail": (_RECORD, lambda a: a[:-2] + b"\x00" * 8 + a[-2:]),
    "record of duplicates": (
        _RECORD,
        lambda a: template("70", (tlv("5A", b"\x62"),) * 20) + a[-2:],
    ),
    "certificates of one byte": (
        _RECORD,
        lambda a: template("70", [tlv(t, b"\x01") for t in ("8F", "90", "9F46", "9F4B")]) + a[-2:],
    ),
}


class HostileCard(Card):
    """An honest card but for one answer. `attack` is a name in ATTACKS."""

    def __init__(self, honest: Card, attack: str) -> None:
        self.name = honest.name
        self._honest = honest
        self._whose, self._change = ATTACKS[attack]

    def field_on(self) -> None:
        self._honest.field_on()

    def field_off(self) -> None:
        self._honest.field_off()

    def apdu(self, command: bytes) -> bytes:
        answer = self._honest.apdu(command)
        if answer[-2:] == b"\x90\x00" and self._kind(command) == self._whose:
            return self._change(answer)
        return answer

    @staticmethod
    def _kind(command: bytes) -> str:
        if command[1] == 0xA4:
            return _PPSE if b"2PAY" in command else _FCI
        return {0xA8: _GPO, 0xB2: _RECORD}.get(command[1], "")
