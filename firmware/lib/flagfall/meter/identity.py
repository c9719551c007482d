# What the legally relevant software is: its name, its version and a hash over its files.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# WELMEC 7.2 P2 asks for an identification that is bound to the software itself. The hash is
# SHA-256 over each file: its name, 00, its bytes, its length as u32 little-endian. A unit that
# runs .mpy files hashes those.

import hashlib

NAME = "flagfall-meter"
VERSION = "1.0"
FILES = (
    "fare",
    "identity",
    "local_time",
    "power",
    "snapshot",
    "steps",
    "tariff",
    "taximeter",
    "threshold",
    "totals",
    "trip_clock",
)


def fingerprint(pieces, names=FILES):
    """32 bytes over the metrology files; `pieces(name)` yields the bytes of one of them in pieces
    of any size, so that no file need fit into memory. `names`: of another program's set."""
    whole = hashlib.sha256()
    for name in names:
        whole.update(name.encode() + b"\0")
        length = 0
        for piece in pieces(name):
            whole.update(piece)
            length += len(piece)
        whole.update(length.to_bytes(4, "little"))
    return whole.digest()


def describe(pieces, tariff, k):
    """What is shown on request, as lines of text."""
    return (
        "%s %s" % (NAME, VERSION),
        "".join(["%02x" % byte for byte in fingerprint(pieces)[:8]]),
        "%s version %d" % (tariff.name, tariff.version),
        "k %d/km" % k,
    )
