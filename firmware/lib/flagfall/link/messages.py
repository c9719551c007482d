# Messages: their numbers and the layout of their payloads, for unit and host alike.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# docs/formats.md section 6. Each `pack_x` gives bytes, each `parse_x` takes a payload without
# its tag and raises Malformed if it is not exactly that.

import json
import struct

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


HELLO = const(0x01)
PROOF = const(0x02)
INFO = const(0x03)
PULL = const(0x04)
MORE = const(0x05)
RECEIPT = const(0x06)
PUSH = const(0x07)
PART = const(0x08)
COMMIT = const(0x09)
TIME = const(0x0A)
PROVISION = const(0x0B)
BYE = const(0x0C)
BAUD = const(0x0D)
PONG = const(0x0E)
SELFTEST = const(0x0F)
SECTORS = const(0x10)
FILES = const(0x12)
CHALLENGE = const(0x81)
OK = const(0x82)
DATA = const(0x84)
DAMAGED = const(0x85)
END = const(0x86)
PING = const(0x87)
ERROR = const(0xFF)

FACTORY = const(0)
PROVISIONED = const(1)

NOT_AUTHENTICATED = const(1)
WRONG_KEY = const(2)
UNKNOWN_MESSAGE = const(3)
MALFORMED = const(4)
REFUSED = const(5)
BUSY = const(6)
JOURNAL = const(7)
NOT_ACCEPTED = const(8)

MAX_WINDOW = const(32)  # DATA frames in flight
MAX_REMAINS = const(256)  # bytes of a damaged record that are shown
MAX_TEXT = const(200)  # bytes of an ERROR's text


class Malformed(ValueError):
    """A payload that is not what its type says."""


class Refused(Exception):
    """Raised by the unit's own functions when it will not do what was asked; str() says why."""


class Busy(Refused):
    """The unit will do it, but not now: ask again in a moment."""


def pack_str(text):
    """One length byte, then UTF-8; at most 255 bytes."""
    data = text.encode()
    if len(data) > 255:
        raise ValueError("a text of %d bytes; 255 fit" % len(data))
    return bytes((len(data),)) + data


def parse_str(payload, at):
    """Return (text, offset after it)."""
    if at >= len(payload):
        raise Malformed("text missing")
    end = at + 1 + payload[at]
    if end > len(payload):
        raise Malformed("text cut off")
    try:
        return str(bytes(payload[at + 1 : end]), "utf-8"), end
    except UnicodeError:
        raise Malformed("text is not UTF-8") from None


def _exactly(payload, n):
    if len(payload) != n:
        raise Malformed("%d bytes instead of %d" % (len(payload), n))


def _at_least(payload, n):
    if len(payload) < n:
        raise Malformed("%d bytes, at least %d belong there" % (len(payload), n))


def parse_bytes(payload, n):
    """The payload itself, which must have `n` bytes (HELLO: 16, PROOF: 16)."""
    _exactly(payload, n)
    return bytes(payload)


def pack_challenge(nonce, state, proof, model, version, unit_id):
    head = nonce + bytes((state,)) + proof
    return head + pack_str(model) + pack_str(version) + pack_str(unit_id)


def parse_challenge(payload):
    """Return (unit nonce, state, unit proof, model, version, unit id)."""
    _at_least(payload, 33)
    model, at = parse_str(payload, 33)
    version, at = parse_str(payload, at)
    unit_id, at = parse_str(payload, at)
    _exactly(payload, at)
    return bytes(payload[:16]), payload[16], bytes(payload[17:33]), model, version, unit_id


def pack_error(code, text):
    data = text.encode()
    while len(data) > MAX_TEXT:
        text = text[:-1]
        data = text.encode()
    return bytes((code,)) + pack_str(text)


def parse_error(payload):
    """Return (code, text)."""
    _at_least(payload, 2)
    text, at = parse_str(payload, 1)
    _exactly(payload, at)
    return payload[0], text


def pack_json(fields):
    """An OK or PROVISION payload; nothing stands for an empty object."""
    return json.dumps(fields).encode() if fields else b""


def parse_json(payload):
    """Return the object as a dict."""
    if not len(payload):
        return {}
    try:
        fields = json.loads(str(bytes(payload), "utf-8"))
    except (ValueError, UnicodeError):
        raise Malformed("not JSON") from None
    except RuntimeError:  # MicroPython: nested too deep
        raise Malformed("JSON nested too deep") from None
    if not isinstance(fields, dict):
        raise Malformed("not a JSON object")
    return fields


def pack_pull(from_seq, window):
    return struct.pack("<IB", from_seq, window)


def parse_pull(payload):
    """Return (from seq, window)."""
    _exactly(payload, 5)
    from_seq, window = struct.unpack("<IB", payload)
    if not 1 <= window <= MAX_WINDOW:
        raise Malformed("window %d; 1 to %d" % (window, MAX_WINDOW))
    return from_seq, window


def pack_u32(value):
    return struct.pack("<I", value)


def parse_u32(payload):
    """The number of a MORE, the time of a TIME, the rate of a BAUD, the newest seq of a PING."""
    _exactly(payload, 4)
    return struct.unpack("<I", payload)[0]


def parse_data(payload):
    """Return (number, the records' bytes)."""
    _at_least(payload, 4)
    return struct.unpack_from("<I", payload, 0)[0], payload[4:]


def parse_damaged(payload):
    """Return (number, first seq, last seq, flash address, what is there)."""
    _at_least(payload, 18)
    number, first, last, address, n = struct.unpack_from("<IIIIH", payload, 0)
    _exactly(payload, 18 + n)
    if n > MAX_REMAINS or first > last:
        raise Malformed("damaged records %d to %d, %d bytes" % (first, last, n))
    return number, first, last, address, bytes(payload[18:])


def parse_end(payload):
    """Return (number, last seq)."""
    _exactly(payload, 8)
    return struct.unpack("<II", payload)


def pack_pong(more):
    return b"\x01" if more else b"\x00"


def parse_pong(payload):
    """Whether more is coming for the unit."""
    _exactly(payload, 1)
    if payload[0] > 1:
        raise Malformed("more is %d; 0 or 1" % payload[0])
    return payload[0] == 1


def pack_receipt(epoch, upto_seq, link):
    return struct.pack("<II4s", epoch, upto_seq, link)


def parse_receipt(payload):
    """Return (epoch, upto seq, link)."""
    _exactly(payload, 12)
    return struct.unpack("<II4s", payload)


def pack_push(kind, total, sha256):
    return pack_str(kind) + struct.pack("<I", total) + sha256


def parse_push(payload):
    """Return (kind, total length, SHA-256)."""
    kind, at = parse_str(payload, 0)
    _exactly(payload, at + 36)
    return kind, struct.unpack_from("<I", payload, at)[0], bytes(payload[at + 4 :])


def pack_part(offset, data):
    return struct.pack("<I", offset) + data


def parse_part(payload):
    """Return (offset, a view of the bytes)."""
    _at_least(payload, 5)
    return struct.unpack_from("<I", payload, 0)[0], payload[4:]


def parse_kind(payload):
    """The kind of a COMMIT, the part of a SELFTEST."""
    kind, at = parse_str(payload, 0)
    _exactly(payload, at)
    return kind
