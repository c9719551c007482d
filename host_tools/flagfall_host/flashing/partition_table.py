"""ESP-IDF partition tables: the CSV that people write, the binary that the boot loader reads.

Source: ESP-IDF Programming Guide, "Partition Tables". The binary is a list of 32-byte entries
(magic AA 50, type, subtype, offset u32, size u32, label 16, flags u32, little-endian), an entry
with the MD5 of those before it (magic EB EB, 14 bytes FF, MD5), and FF up to 0xC00 bytes.
"""

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path

from flagfall_host.flashing.errors import InputError

TABLE_OFFSET = 0x8000
TABLE_BYTES = 0xC00
SECTOR = 0x1000
_APP_ALIGNMENT = 0x10000
_FIRST = TABLE_OFFSET + SECTOR
_LABEL_BYTES = 16
_ENTRY = struct.Struct("<2sBBII16sI")
_MAGIC = b"\xaa\x50"
_MD5_MAGIC = b"\xeb\xeb" + b"\xff" * 14

APP = 0
DATA = 1
_TYPES = {"app": APP, "data": DATA}
_SUBTYPES = {
    APP: {"factory": 0x00, "test": 0x20} | {f"ota_{i}": 0x10 + i for i in range(16)},
    DATA: {
        "ota": 0x00,
        "phy": 0x01,
        "nvs": 0x02,
        "coredump": 0x03,
        "nvs_keys": 0x04,
        "efuse": 0x05,
        "undefined": 0x06,
        "fat": 0x81,
        "spiffs": 0x82,
        "littlefs": 0x83,
    },
}


@dataclass(frozen=True)
class Partition:
    """One row: `offset` and `size` in bytes."""

    label: str
    type: int
    subtype: int
    offset: int
    size: int

    @property
    def end(self) -> int:
        return self.offset + self.size


def read_csv(path: Path) -> list[Partition]:
    """The rows of a partition CSV. Every offset must be given. Raises InputError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as e:
        raise InputError(f"no partition table: {path}: {e.strerror}") from e
    rows = []
    for number, line in enumerate(lines, 1):
        text = line.split("#", 1)[0].strip()
        if not text:
            continue
        try:
            rows.append(_row([field.strip() for field in text.split(",")]))
        except (ValueError, KeyError) as e:
            raise InputError(f"{path}, line {number}: {e.args[0]}") from e
    return rows


def _row(fields: list[str]) -> Partition:
    if len(fields) not in (5, 6) or any(fields[5:]):
        raise ValueError("five fields are needed: name, type, subtype, offset, size; no flags")
    label, kind, subtype, offset, size = fields[:5]
    if not 1 <= len(label.encode()) <= _LABEL_BYTES:
        raise ValueError(f"the name {label!r} must have 1 to {_LABEL_BYTES} bytes")
    type_ = _TYPES[kind] if kind in _TYPES else _number(kind)
    known = _SUBTYPES.get(type_, {})
    subtype_ = known[subtype] if subtype in known else _number(subtype)
    if not (0 <= type_ <= 0xFE and 0 <= subtype_ <= 0xFE):
        raise ValueError(f"type and subtype of {label} must be below 0xFF")
    return Partition(label, type_, subtype_, _number(offset), _number(size))


def _number(text: str) -> int:
    scale = {"K": 1024, "M": 1024 * 1024}.get(text[-1:].upper(), 1)
    try:
        return int(text[:-1] if scale > 1 else text, 0) * scale
    except ValueError:
        raise ValueError(f"{text!r} is neither a number nor a known name") from None


def check(rows: list[Partition], flash_bytes: int) -> None:
    """Raise InputError unless the rows fit a flash of `flash_bytes` and the boot loader."""
    if len(rows) > TABLE_BYTES // _ENTRY.size - 1:
        raise InputError(f"{len(rows)} partitions are more than a table can hold")
    labels = [row.label for row in rows]
    for label in labels:
        if labels.count(label) > 1:
            raise InputError(f"two partitions are called {label}")
    for row in rows:
        alignment = _APP_ALIGNMENT if row.type == APP else SECTOR
        if row.offset % alignment:
            raise InputError(f"partition {row.label} must begin at a multiple of {alignment:#x}")
        if row.size <= 0 or row.size % SECTOR:
            raise InputError(f"partition {row.label}: the size must be a multiple of {SECTOR:#x}")
        if row.offset < _FIRST:
            raise InputError(f"partition {row.label} begins before {_FIRST:#x}")
        if row.end > flash_bytes:
            raise InputError(f"partition {row.label} ends behind the flash ({flash_bytes:#x})")
    ordered = sorted(rows, key=lambda row: row.offset)
    for before, after in zip(ordered, ordered[1:], strict=False):
        if before.end > after.offset:
            raise InputError(f"partitions {before.label} and {after.label} overlap")


def to_binary(rows: list[Partition]) -> bytes:
    """The table as it stands in flash, TABLE_BYTES long."""
    entries = b"".join(
        _ENTRY.pack(_MAGIC, r.type, r.subtype, r.offset, r.size, r.label.encode(), 0) for r in rows
    )
    md5 = hashlib.md5(entries, usedforsecurity=False).digest()
    return (entries + _MD5_MAGIC + md5).ljust(TABLE_BYTES, b"\xff")


def from_binary(table: bytes) -> list[Partition]:
    """The rows of a binary table. Raises InputError if it is damaged."""
    rows: list[Partition] = []
    for at in range(0, min(len(table), TABLE_BYTES) - _ENTRY.size + 1, _ENTRY.size):
        entry = table[at : at + _ENTRY.size]
        if entry.startswith(_MD5_MAGIC):
            if entry[16:] != hashlib.md5(table[:at], usedforsecurity=False).digest():
                raise InputError("the partition table's checksum is wrong")
            return rows
        if entry == b"\xff" * _ENTRY.size:
            return rows
        magic, type_, subtype, offset, size, label, _ = _ENTRY.unpack(entry)
        if magic != _MAGIC:
            raise InputError("not a partition table")
        name = label.rstrip(b"\0").decode("utf-8", "replace")
        rows.append(Partition(name, type_, subtype, offset, size))
    return rows


def find(rows: list[Partition], label: str) -> Partition:
    """The partition called `label`. Raises InputError."""
    for row in rows:
        if row.label == label:
            return row
    raise InputError(f"the partition table has no partition {label}")
