# Data object lists: what the card asks the terminal for (EMV 4.3 Book 3, section 5.4).
# MIT licence, (c) 2026 The Flagfall contributors.

from flagfall.emv.tlv import TlvError

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


MAX_ENTRIES = 64
MAX_DATA = 252  # what fits behind 83 and its length into one short command

# Formats that decide how a value is fitted to the length that the card asks for.
_NUMERIC = (0x9F02, 0x9F03, 0x9F1A, 0x5F2A, 0x9A, 0x9C, 0x9F21, 0x9F35, 0x9F41, 0x9F15)
_COMPRESSED = (0x5A, 0x9F20)
_LONG = const(0x80)


def parse(dol):
    """Return the list of (tag, length) in `dol`. Raises TlvError."""
    entries = []
    at = 0
    end = len(dol)
    while at < end:
        if len(entries) >= MAX_ENTRIES:
            raise TlvError("data object list too long")
        tag = dol[at]
        at += 1
        if tag & 0x1F == 0x1F:
            more = True
            size = 1
            while more:
                if at >= end:
                    raise TlvError("data object list ends in a tag")
                if size == 3:
                    raise TlvError("tag longer than three bytes")
                more = bool(dol[at] & 0x80)
                tag = tag << 8 | dol[at]
                at += 1
                size += 1
        elif tag == 0:
            raise TlvError("tag zero in a data object list")
        if at >= end:
            raise TlvError("data object list ends without a length")
        if dol[at] & _LONG:
            raise TlvError("data object list asks for more than 127 bytes")
        entries.append((tag, dol[at]))
        at += 1
    return entries


def fit(tag, value, length):
    """Cut or pad `value` to `length` as Book 3, 5.4 says for the format of `tag`."""
    size = len(value)
    if size == length:
        return bytes(value)
    if tag in _NUMERIC:
        if size > length:
            return bytes(value[size - length :])
        return bytes(length - size) + bytes(value)
    if size > length:
        return bytes(value[:length])
    filler = b"\xff" if tag in _COMPRESSED else b"\x00"
    return bytes(value) + filler * (length - size)


def build(entries, values):
    """Concatenate what `entries` ask for; tags that are not in dict `values` become zeros.

    Raises TlvError if the result does not fit into one command.
    """
    parts = []
    size = 0
    for tag, length in entries:
        size += length
        if size > MAX_DATA:
            raise TlvError("data object list asks for more than a command holds")
        value = values.get(tag)
        if value is None:
            value = bytes(length)
        elif len(value) != length:
            value = fit(tag, value, length)
        parts.append(value)
    return b"".join(parts)
