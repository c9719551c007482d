# What the legally relevant software is: its name, its version and a hash over its files.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# WELMEC 7.2 P2 asks for an identification that is bound to the software itself. The hash is
# SHA-256 over name and contents of each file, so a unit that runs .mpy files hashes those.

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


def fingerprint(read):
    """32 bytes over the metrology files; `read(name)` gives the bytes of one of FILES."""
    whole = hashlib.sha256()
    for name in FILES:
        data = read(name)
        whole.update(name.encode() + b"\0" + len(data).to_bytes(4, "little"))
        whole.update(data)
    return whole.digest()


def describe(read, tariff, k):
    """What is shown on request, as lines of text."""
    return (
        "%s %s" % (NAME, VERSION),
        "".join(["%02x" % byte for byte in fingerprint(read)[:8]]),
        "%s version %d" % (tariff.name, tariff.version),
        "k %d/km" % k,
    )
