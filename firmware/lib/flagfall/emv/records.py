# The application file locator and the records it names (EMV 4.3 Book 3, sections 10.2, 10.3).
# MIT licence, (c) 2026 The Flagfall contributors.

from flagfall.emv.tlv import TlvError, collect, only

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


MAX_RECORDS = 32  # real cards have up to 8
_TEMPLATE = const(0x70)


def parse_afl(afl):
    """Return the list of (SFI, record number, is static data). Raises TlvError."""
    size = len(afl)
    if size == 0 or size % 4:
        raise TlvError("AFL length is no multiple of four")
    records = []
    for at in range(0, size, 4):
        sfi = afl[at] >> 3
        first, last, signed = afl[at + 1], afl[at + 2], afl[at + 3]
        if afl[at] & 7 or sfi in (0, 31):
            raise TlvError("AFL names no such file")
        if first < 1 or last < first:
            raise TlvError("AFL names no such record")
        if signed > last - first + 1:
            raise TlvError("AFL signs more records than it names")
        if len(records) + last - first + 1 > MAX_RECORDS:
            raise TlvError("AFL names too many records")
        for number in range(first, last + 1):
            records.append((sfi, number, number - first < signed))
    return records


def read_command(sfi, number):
    """READ RECORD (Book 3, section 6.5.11)."""
    return bytes((0x00, 0xB2, number, sfi << 3 | 4, 0x00))


def take(sfi, body, data):
    """Put the objects of record `body` into dict `data`; return its part of the static data.

    Files 1 to 10 hold one template 70 each. Files 11 to 30 are the issuer's own: their record
    is signed as a whole, and read only as far as it is a template 70.
    """
    if sfi <= 10:
        value = only(body, _TEMPLATE)
        collect(value, data)
        return value
    if body[:1] == b"\x70":
        collect(only(body, _TEMPLATE), data)
    return bytes(body)
