"""BER-TLV as a card writes it, and the DOLs it reads (EMV Book 3, annex B and 5.4).

The cards have their own, so that a fault in the unit's parser is not mirrored here.
"""

from collections.abc import Iterable


def length(n: int) -> bytes:
    """The length octets for `n` bytes, at most 65535."""
    if n < 0x80:
        return bytes([n])
    if n < 0x100:
        return bytes([0x81, n])
    return bytes([0x82, n >> 8, n & 0xFF])


def tlv(tag: str, value: bytes) -> bytes:
    """One data object; `tag` in hex, such as "9F36"."""
    return bytes.fromhex(tag) + length(len(value)) + value


def template(tag: str, parts: Iterable[bytes]) -> bytes:
    """A constructed object around whole data objects."""
    return tlv(tag, b"".join(parts))


def dol(*entries: tuple[str, int]) -> bytes:
    """A data object list: (tag in hex, length) each."""
    return b"".join(bytes.fromhex(tag) + bytes([n]) for tag, n in entries)


def split_by_dol(entries: Iterable[tuple[str, int]], data: bytes) -> dict[str, bytes]:
    """The values that a terminal sent for a DOL. Raises ValueError if the length is wrong."""
    values, at = {}, 0
    for tag, n in entries:
        values[tag] = data[at : at + n]
        at += n
    if at != len(data):
        raise ValueError(f"{len(data)} bytes for a DOL of {at}")
    return values


def bcd(number: int, digits: int) -> bytes:
    """Format n: `digits` decimal digits, two to a byte, leading zeros."""
    return bytes.fromhex(f"{number:0{digits}d}")


def from_bcd(data: bytes) -> int:
    """The number in format n. Raises ValueError for a nibble above 9."""
    digits = data.hex()
    if not digits.isdecimal():
        raise ValueError("not BCD")
    return int(digits)
