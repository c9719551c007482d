"""Makes deny lists and deltas for units; the layout is in flagfall.emv.deny_list."""

import hashlib
from collections.abc import Iterable

from flagfall.emv.deny_list import leading_digits, make_header, pan_hash, whole_header

from flagfall_host.errors import FlagfallError

ENTRY_SIZE = 6


class BadDenyEntry(FlagfallError):
    """A card number or a range that cannot stand in a deny list."""


def build(
    pans: Iterable[str],
    ranges: Iterable[tuple[str, str]],
    version: int,
    salt: bytes,
    size: int = ENTRY_SIZE,
) -> bytes:
    """A whole list of `pans` (digits) and `ranges` (first and last, up to 10 leading digits)."""
    entries = _entries(pans, salt, size)
    body = b"".join(_ranges(ranges) + entries)
    count = (len(body) - len(entries) * size) // 10
    head = whole_header(version, size, len(entries), count, salt, hashlib.sha256(body).digest())
    return head + body


def delta(old: bytes, new: bytes) -> bytes:
    """What turns the whole list `old` into the whole list `new`, made with the same salt."""
    before, after = _split(old), _split(new)
    if before[0] != after[0]:
        raise BadDenyEntry("deny lists of different salt or entry size: send the whole list")
    size = old[6]
    added = sorted(after[2] - before[2])
    removed = sorted(before[2] - after[2])
    head = make_header(
        1,
        size,
        int.from_bytes(new[8:12], "little"),
        int.from_bytes(old[8:12], "little"),
        len(added),
        len(after[1]) // 10,
        len(removed),
        new[32:48],
        new[48:80],
    )
    return head + after[1] + b"".join(added) + b"".join(removed)


def _split(data: bytes) -> tuple[tuple[int, bytes], bytes, set[bytes]]:
    size, ranges = data[6], int.from_bytes(data[20:24], "little")
    at = 112 + ranges * 10
    entries = {data[i : i + size] for i in range(at, len(data), size)}
    return (size, data[32:48]), data[112:at], entries


def _entries(pans: Iterable[str], salt: bytes, size: int) -> list[bytes]:
    out = set()
    for pan in pans:
        if not (pan.isascii() and pan.isdigit() and 8 <= len(pan) <= 19):
            raise BadDenyEntry("a card number has 8 to 19 digits: correct the list and try again")
        out.add(pan_hash(salt, pan, size))
    return sorted(out)


def _ranges(ranges: Iterable[tuple[str, str]]) -> list[bytes]:
    """Sorted, overlapping and touching ones made one. A short last number covers all it begins."""
    spans = []
    for first, last in ranges:
        for text in (first, last):
            if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 10):
                raise BadDenyEntry(f"range {first}-{last}: 1 to 10 digits each")
        span = int(first.ljust(10, "0")), int(last.ljust(10, "9"))
        if span[0] > span[1]:
            raise BadDenyEntry(f"range {first}-{last} is empty: give the lower number first")
        spans.append(span)
    merged: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(high, merged[-1][1])
        else:
            merged.append((low, high))
    return [leading_digits(f"{low:010d}") + leading_digits(f"{high:010d}") for low, high in merged]
