# A name's IPv4 address by a question of our own to the network's name server.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# RFC 1035. MicroPython's getaddrinfo holds the whole interpreter up until the server has answered,
# many seconds on a bad network: a meter cannot have that. One question, one datagram, no cache.

import struct

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


PORT = const(53)
MAX_ANSWER = const(512)  # RFC 1035 2.3.4
_HEADER = const(12)
_A = const(1)
_IN = const(1)
_MAX_RECORDS = const(16)  # looked at: an alias or two, some addresses


def is_address(host):
    """Whether `host` is an IPv4 address already."""
    parts = host.split(".")
    return len(parts) == 4 and all([p.isdigit() and len(p) < 4 and int(p) < 256 for p in parts])


def question(number, host):
    """The datagram that asks for the address of `host`. Raises ValueError for no name."""
    out = struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0)  # recursion desired
    for label in host.split("."):
        data = label.encode()
        if not 1 <= len(data) <= 63:
            raise ValueError("%s is no host name" % host)
        out += bytes((len(data),)) + data
    return out + b"\0" + struct.pack(">HH", _A, _IN)


def address(number, data):
    """The first IPv4 address in the answer to question `number`; "" if the name has none, None if
    `data` is no answer to it."""
    if len(data) < _HEADER:
        return None
    head = struct.unpack(">HHHHHH", data[:_HEADER])
    if head[0] != number or not head[1] & 0x8000 or head[2] > 1:
        return None
    if head[1] & 0x000F:
        return ""
    at = _HEADER
    for _ in range(head[2]):
        at = _past_name(data, at) + 4
    for _ in range(min(head[3], _MAX_RECORDS)):
        at = _past_name(data, at)
        if at + 10 > len(data):
            return None
        kind, group, _, n = struct.unpack(">HHIH", data[at : at + 10])
        at += 10
        if kind == _A and group == _IN and n == 4 and at + 4 <= len(data):
            return "%d.%d.%d.%d" % tuple(data[at : at + 4])
        at += n
    return ""


def _past_name(data, at):
    """The offset behind the name at `at`; the end of `data` if it runs over."""
    while at < len(data):
        n = data[at]
        if n & 0xC0:  # a pointer ends a name
            return at + 2
        at += n + 1
        if not n:
            return at
    return len(data)
