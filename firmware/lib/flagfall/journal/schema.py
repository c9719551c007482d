# The record bodies: one table for every type and version ever written.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# docs/formats.md section 3. Both sides pack and unpack with it, so a field is defined once.

import struct

from flagfall.hmac_sha256 import hmac_sha256

from .record import JournalError

TRIP = 1
PAYMENT = 2
SHIFT = 3
TOTALS = 4
EVENT = 5
ACK = 6
KEY = 7
CHECKPOINT = 8

# PAYMENT outcome
APPROVED = 1
DECLINED = 2
TORN = 3
TORN_DEBITED = 4
TORN_NOT_DEBITED = 5
TORN_GIVEN_UP = 6

# PAYMENT profile
ECASH = 1
TRANSIT = 2

# TRIP paid
OPEN = 0
CASH = 1
CARD = 2

# SHIFT event
SIGN_IN = 1
SIGN_OUT = 2

# EVENT code
STARTED = 1
POWER_LOST_IN_TRIP = 2
TARIFF_CHANGED = 3
TIME_SET = 4
KEYS_CHANGED = 5
PROVISIONED = 6
JOURNAL_FULL = 7
DAMAGED_RECORD = 8
WRONG_KEY = 9
RECEIPT_PRINTED = 10
SENSOR_FAULT = 11
READER_FAULT = 12
K_CHANGED = 13
SETTINGS_CHANGED = 14
UPLINK = 15
SELF_TEST = 16
OFFICE_FILE = 17  # deny list, revocations, texts, campaigns or drivers of the office are in force
PROGRAM = 18  # an update: taken, in force, given up
METROLOGY_CHANGED = 19
SEAL = 20  # the seal switch: opened, closed
SUPPLY = 21  # the vehicle's supply fell below what cards may be taken with
CLOCK_FAULT = 22  # the clock chip has lost the time, or does not answer
SIGN_IN_REFUSED = 23  # a wrong PIN, or a number or card that is nobody's
DISPLAY_FAULT = 24  # a display does not answer, or answers again
FILES_ROLLED_BACK = 25  # the office's files are older than those there were

UNKNOWN_BALANCE = 0xFFFFFFFF

# Kinds of field: a struct code; an integer n for n bytes; or one of
_STR = "str"  # one-byte length, UTF-8
_BYTES = "bytes"  # u16 length, bytes
_REST = "rest"  # bytes to the end of the body
_DIGITS = "digits"  # four decimal digits as text, u16 BCD

# type: (name, ((version, ((field, kind), ...)), ...)), the newest version last.
_TABLE = {
    TRIP: (
        "TRIP",
        (
            (
                1,
                (
                    ("trip", "I"),
                    ("shift", "I"),
                    ("start_time", "I"),
                    ("end_time", "I"),
                    ("distance_mm", "I"),
                    ("pulses", "I"),
                    ("slow_ms", "I"),
                    ("hired_ms", "I"),
                    ("fare", "I"),
                    ("supplements", "I"),
                    ("currency", "H"),
                    ("paid", "B"),
                    ("flags", "B"),
                    ("tariff_version", "I"),
                    ("tariff", _STR),
                ),
            ),
            (
                2,  # written where a campaign paid a part
                (
                    ("trip", "I"),
                    ("shift", "I"),
                    ("start_time", "I"),
                    ("end_time", "I"),
                    ("distance_mm", "I"),
                    ("pulses", "I"),
                    ("slow_ms", "I"),
                    ("hired_ms", "I"),
                    ("fare", "I"),
                    ("supplements", "I"),
                    ("currency", "H"),
                    ("paid", "B"),
                    ("flags", "B"),
                    ("tariff_version", "I"),
                    ("tariff", _STR),
                    ("discount", "I"),
                    ("campaign", "H"),
                ),
            ),
        ),
    ),
    PAYMENT: (
        "PAYMENT",
        (
            (
                1,
                (
                    ("trip", "I"),
                    ("shift", "I"),
                    ("outcome", "B"),
                    ("profile", "B"),
                    ("amount", "I"),
                    ("currency", "H"),
                    ("last_digits", _DIGITS),
                    ("atc", "H"),
                    ("balance_after", "I"),
                    ("torn_seq", "I"),
                    ("card_tag", 8),
                    ("reason", _STR),
                    ("sealed", _BYTES),
                ),
            ),
        ),
    ),
    SHIFT: (
        "SHIFT",
        (
            (
                1,
                (
                    ("shift", "I"),
                    ("event", "B"),
                    ("trips", "I"),
                    ("fares", "I"),
                    ("card_payments", "I"),
                    ("card_amount", "I"),
                    ("driver", _STR),
                ),
            ),
        ),
    ),
    TOTALS: (
        "TOTALS",
        (
            (
                1,
                (
                    ("distance_mm", "Q"),
                    ("hired_distance_mm", "Q"),
                    ("hirings", "I"),
                    ("supplements", "Q"),
                    ("fares", "Q"),
                    ("card_payments", "I"),
                    ("card_amount", "Q"),
                ),
            ),
        ),
    ),
    EVENT: ("EVENT", ((1, (("code", "H"), ("text", _STR))),)),
    ACK: ("ACK", ((1, (("epoch", "I"), ("upto_seq", "I"), ("link", 4))),)),
    KEY: ("KEY", ((1, (("key_number", "H"), ("fleet_key_id", 8), ("wrapped", _BYTES))),)),
    CHECKPOINT: ("CHECKPOINT", ((1, (("position", "B"), ("snapshot", _REST))),)),
}

_SIZES = {"B": 1, "H": 2, "I": 4, "Q": 8}


class SchemaError(JournalError):
    """A body, or a set of fields, that is not what its record type says."""


class UnknownVersion(SchemaError):
    """A record type or body version that this release does not know: a newer one wrote it."""


def type_name(type):
    """The name of a record type; "TYPE 99" for one that is not known."""
    return _TABLE[type][0] if type in _TABLE else "TYPE %d" % type


def fields_of(type, version=None):
    """The names of a type's fields in order, of its newest version or of the one given."""
    return [name for name, _ in _layout(type, version)[1]]


def _layout(type, version):
    if type not in _TABLE:
        raise UnknownVersion("record type %d is not known" % type)
    name, versions = _TABLE[type]
    if version is None:
        return versions[-1]
    for known in versions:
        if known[0] == version:
            return known
    raise UnknownVersion("%s body version %d is not known" % (name, version))


def pack(type, **fields):
    """The body of a record, in the version of its type that has just these fields.

    Integers within their field's width, text as str, bytes as bytes. Raises SchemaError for a
    missing or unknown field or a value that does not fit.
    """
    version, layout = _layout(type, None)
    for known in _TABLE[type][1]:
        if len(known[1]) == len(fields):
            version, layout = known
    if len(fields) != len(layout):
        for name in fields:
            if not any(name == known for known, _ in layout):
                raise SchemaError("%s has no field %s" % (type_name(type), name))
    out = bytearray((version,))
    for name, kind in layout:
        if name not in fields:
            raise SchemaError("%s needs the field %s" % (type_name(type), name))
        try:
            out.extend(_packed(kind, fields[name]))
        except (ValueError, TypeError, OverflowError) as e:
            raise SchemaError("%s field %s: %s" % (type_name(type), name, e)) from None
    return bytes(out)


def _packed(kind, value):
    if kind in _SIZES:
        if not 0 <= value < 1 << 8 * _SIZES[kind]:
            raise ValueError("%d does not fit %d bytes" % (value, _SIZES[kind]))
        return struct.pack("<" + kind, value)
    if kind == _STR:
        value = value.encode() if isinstance(value, str) else _no_text(value)
        return _with_length("<B", value, 255)
    if kind == _DIGITS:
        if (
            not isinstance(value, str)
            or len(value) != 4
            or not all("0" <= c <= "9" for c in value)
        ):
            raise ValueError("four digits are needed")
        return struct.pack("<H", int(value, 16))
    value = bytes(memoryview(value))
    if kind == _BYTES:
        return _with_length("<H", value, 65535)
    if kind != _REST and len(value) != kind:
        raise ValueError("%d bytes are needed, not %d" % (kind, len(value)))
    return value


def _no_text(value):
    raise TypeError("text is needed")


def _with_length(code, value, most):
    if len(value) > most:
        raise ValueError("%d bytes are more than %d" % (len(value), most))
    return struct.pack(code, len(value)) + value


def unpack(type, body):
    """The fields of a body as a dict, with "version".

    Raises UnknownVersion for a type or version not in the table, SchemaError for a body that is
    too short, too long or holds a value that its field cannot have.
    """
    if not len(body):
        raise SchemaError("%s body is empty" % type_name(type))
    version, layout = _layout(type, body[0])
    out = {"version": version}
    offset = 1
    for name, kind in layout:
        try:
            out[name], offset = _unpacked(kind, body, offset)
        except (ValueError, UnicodeError) as e:
            raise SchemaError("%s field %s: %s" % (type_name(type), name, e)) from None
    if offset != len(body):
        raise SchemaError("%s body has %d bytes too many" % (type_name(type), len(body) - offset))
    return out


def trip_of(body):
    """The trip of a TRIP or PAYMENT body, which all their versions begin with."""
    return struct.unpack("<I", body[1:5])[0]


def _unpacked(kind, body, offset):
    if kind in _SIZES:
        raw, offset = _take(body, offset, _SIZES[kind])
        return struct.unpack("<" + kind, raw)[0], offset
    if kind == _STR:
        n, offset = _take(body, offset, 1)
        raw, offset = _take(body, offset, n[0])
        return str(raw, "utf-8"), offset
    if kind == _DIGITS:
        raw, offset = _take(body, offset, 2)
        text = "%02x%02x" % (raw[1], raw[0])
        if not all("0" <= c <= "9" for c in text):
            raise ValueError("not BCD")
        return text, offset
    if kind == _BYTES:
        n, offset = _take(body, offset, 2)
        return _take(body, offset, n[0] | n[1] << 8)
    if kind == _REST:
        return _take(body, offset, len(body) - offset)
    return _take(body, offset, kind)


def _take(body, offset, n):
    if offset + n > len(body):
        raise ValueError("cut short")
    return bytes(body[offset : offset + n]), offset + n


def card_tag(journal_key, pan, psn):
    """The 8-byte tag by which the unit knows a card again (PAYMENT `card_tag`).

    `pan` is the digits as str, `psn` the PAN sequence number 0 to 99 (tag 5F34; 0 if absent).
    """
    return hmac_sha256(journal_key, b"card", pan.encode(), bytes((psn // 10 << 4 | psn % 10,)))[:8]
