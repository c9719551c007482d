# BER-TLV as EMV uses it (EMV 4.3 Book 3, Annex B; ISO/IEC 7816-4 section 5.2.2).
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Everything here reads bytes that a stranger's card sent. Lengths are checked against what is
# really there, tags have at most three bytes, nesting has a limit, and nothing is guessed.

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


MAX_DEPTH = 4  # 6F > A5 > BF0C > 61 is the deepest template that a card sends
MAX_OBJECTS = 256  # data objects in one template, all levels together
_CONSTRUCTED = const(0x20)


class TlvError(ValueError):
    """The bytes are no well-formed BER-TLV. The text names the fault, never the content."""


def header(data, at, end):
    """Read tag and length at `at`; return (tag, start of value, end of value).

    The tag is an integer of its bytes (0x5F34). Raises TlvError if the object does not fit
    into `data[at:end]`, or uses a form that EMV does not (indefinite length, length of more
    than two bytes, tag of more than three).
    """
    tag = data[at]
    at += 1
    if tag & 0x1F == 0x1F:
        for count in (1, 2, 3):
            if at >= end:
                raise TlvError("tag runs over the end")
            if count == 3:
                raise TlvError("tag longer than three bytes")
            byte = data[at]
            at += 1
            if count == 1 and byte & 0x7F == 0:
                raise TlvError("tag number starts with zero")
            tag = tag << 8 | byte
            if not byte & 0x80:
                break
    if at >= end:
        raise TlvError("length is missing")
    length = data[at]
    at += 1
    if length & 0x80:
        count = length & 0x7F
        if count not in (1, 2):
            raise TlvError("length form not used in EMV")
        if at + count > end:
            raise TlvError("length runs over the end")
        length = data[at] if count == 1 else data[at] << 8 | data[at + 1]
        at += count
    if at + length > end:
        raise TlvError("value runs over the end")
    return tag, at, at + length


def is_constructed(tag):
    """True if the value of `tag` is itself a row of TLV objects."""
    while tag > 0xFF:
        tag >>= 8
    return bool(tag & _CONSTRUCTED)


def parse(data):
    """Return the objects of one level as a list of (tag, value bytes), in their order.

    Bytes 00 between objects are filler (Book 3, B.1) and are passed over.
    """
    if not isinstance(data, bytes):
        data = bytes(data)
    found = []
    at = 0
    end = len(data)
    while at < end:
        tag = data[at]
        if tag == 0:
            at += 1
            continue
        if len(found) >= MAX_OBJECTS:
            raise TlvError("too many data objects")
        # Most objects have a tag of one or two bytes and a short length; the rest, and what is
        # wrong, take the long way.
        start = at + 1
        if tag & 0x1F == 0x1F and start < end and 0 < data[start] < 0x80:
            tag = tag << 8 | data[start]
            start += 1
        elif tag & 0x1F == 0x1F:
            start = end
        if start < end and data[start] < 0x80 and start + data[start] < end:
            at = start + 1 + data[start]
            start += 1
        else:
            tag, start, at = header(data, at, end)
        found.append((tag, data[start:at]))
    return found


def only(data, tag):
    """Return the value of the single object in `data`, which must be `tag` and fill it."""
    if not data:
        raise TlvError("nothing there")
    got, start, stop = header(data, 0, len(data))
    if got != tag:
        raise TlvError("expected tag %X" % tag)
    if stop != len(data):
        raise TlvError("bytes after tag %X" % tag)
    value = data[start:stop]
    return value if isinstance(value, bytes) else bytes(value)


def first(items, tag):
    """Return the value of the first `tag` in a list from `parse`, or None."""
    for got, value in items:
        if got == tag:
            return value
    return None


def collect(data, into, depth=0):
    """Put each primitive object of `data`, at any level, into the dict `into`.

    A primitive tag that `into` already holds is an error (Book 3, section 10.2: redundant
    data). Raises TlvError; `into` may then hold a part.
    """
    if depth >= MAX_DEPTH:
        raise TlvError("templates nested too deep")
    for tag, value in parse(data):
        # is_constructed(tag), without the call
        if (tag if tag < 0x100 else tag >> 8 if tag < 0x10000 else tag >> 16) & _CONSTRUCTED:
            collect(value, into, depth + 1)
        elif tag in into:
            raise TlvError("tag %X occurs twice" % tag)
        elif len(into) >= MAX_OBJECTS:
            raise TlvError("too many data objects")
        else:
            into[tag] = value


def encode(tag, value):
    """Return tag, length in its shortest form, and value. Values of up to 65535 bytes."""
    n = len(value)
    if n < 0x80 and tag < 0x10000:  # nearly always
        head = (tag, n) if tag < 0x100 else (tag >> 8, tag & 0xFF, n)
        return bytes(head) + value
    size = 1
    while tag >> (8 * size):
        size += 1
    if n < 0x80:
        length = bytes((n,))
    elif n < 0x100:
        length = bytes((0x81, n))
    elif n < 0x10000:
        length = bytes((0x82, n >> 8, n & 0xFF))
    else:
        raise TlvError("value too long")
    return tag.to_bytes(size, "big") + length + bytes(value)
