# An update bundle: the whole program of one board, as it goes into one slot.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# docs/formats.md section 11. The bundle is the content of a signed file of kind "firmware", whose
# version is the release. Integers little-endian:
#
#   0     4  magic "FFPB"
#   4     1  format, 1
#   5     1  0
#   6     2  files of the metrology set
#   8     2  other files
#  10    32  hash of the metrology set (flagfall.meter.identity)
#  42        board, then version: text, each behind its length (1 byte)
#            one row a file, the metrology set first: path (text), length u32, SHA-256 32
#            the contents, in the same order
#
# Only compiled modules (.mpy) go into a bundle, so that none can stand before another of the same
# name; the paths of each part are in ascending order, so that none comes twice.

import struct

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


KIND = "firmware"
METROLOGY = "flagfall/meter/"  # where the metrology set lives
SUFFIX = ".mpy"
MAX_BUNDLE = const(1 << 21)  # bytes
MAX_FILE = const(262144)  # bytes of one file
_MAGIC = b"FFPB"
_FORMAT = const(1)
_FIXED = "<4sBBHH32s"
_FIXED_SIZE = const(42)
_MAX_NAME = const(32)  # of a board or a version
_MAX_PATH = const(64)
_MAX_FILES = const(512)
_TAIL_SIZE = const(36)
_PATH_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789_/"
HEAD_ROOM = _FIXED_SIZE + 2 * (_MAX_NAME + 1)  # bytes that hold any head


class BundleError(ValueError):
    """Not a bundle, or not one that can be taken. The text says why."""


class Head:
    """What a bundle says of itself: `board`, `version` (text), `metrology` (32 bytes), how many
    files are of the metrology set and how many are `others`, and its `size` in bytes."""

    def __init__(self, data):
        if len(data) < _FIXED_SIZE or bytes(data[:4]) != _MAGIC:
            raise BundleError("not an update bundle")
        fields = struct.unpack_from(_FIXED, data)
        if fields[1] != _FORMAT or fields[2]:
            raise BundleError("a bundle of format %d, which is not known" % fields[1])
        self.measuring, self.others, self.metrology = fields[3:]
        if not 1 <= self.measuring <= _MAX_FILES or not 1 <= self.others <= _MAX_FILES:
            raise BundleError("a bundle of %d and %d files" % (self.measuring, self.others))
        self.board, at = _text(data, _FIXED_SIZE, _MAX_NAME)
        self.version, self.size = _text(data, at, _MAX_NAME)


def rows(head, read):
    """(path, length, SHA-256, whether of the metrology set) of each file, in order; `read(n)` goes
    on behind the head. Raises BundleError for a row that makes no sense."""
    measuring = []
    total = 0
    for part, count in ((True, head.measuring), (False, head.others)):
        before = ""
        for _ in range(count):
            path, _end = _text(_all(read, 1, read), 0, _MAX_PATH)
            _check_path(path, part)
            if path <= before or (not part and path in measuring):
                raise BundleError("bundle: %s is not in its place" % path)
            before = path
            if part:
                measuring.append(path)
            length, sha256 = struct.unpack("<I32s", _all(read, _TAIL_SIZE))
            total += length
            if length > MAX_FILE or total > MAX_BUNDLE:
                raise BundleError("bundle: %s is too long" % path)
            yield path, length, sha256, part


def module(path):
    """The name under which the metrology hash counts the file at `path`."""
    return path[len(METROLOGY) : -len(SUFFIX)]


def pack(board, version, metrology, measuring, others):
    """A bundle of {path: content}, the metrology set and the others. Raises BundleError."""
    out = bytearray(
        struct.pack(_FIXED, _MAGIC, _FORMAT, 0, len(measuring), len(others), metrology)
    )
    for text in (board, version):
        out.append(len(text))
        out.extend(text.encode())
    for files, part in ((measuring, True), (others, False)):
        for path in sorted(files):
            _check_path(path, part)
            out.append(len(path))
            out.extend(path.encode())
            out.extend(struct.pack("<I32s", len(files[path]), _sha256(files[path])))
    for files in (measuring, others):
        for path in sorted(files):
            out.extend(files[path])
    return bytes(out)


def _sha256(data):
    import hashlib

    return hashlib.sha256(data).digest()


def _check_path(path, measuring):
    good = path.endswith(SUFFIX) and len(path) <= _MAX_PATH
    for part in path[: -len(SUFFIX)].split("/"):
        good = good and part != ""
    for c in path[: -len(SUFFIX)]:
        good = good and c in _PATH_CHARACTERS
    if measuring:
        good = good and path.startswith(METROLOGY) and "/" not in module(path)
    if not good:
        raise BundleError("bundle: %s is no name for a file of a program" % path[:_MAX_PATH])


def _text(data, at, most):
    n = data[at] if at < len(data) else 255
    if not 1 <= n <= most or at + 1 + n > len(data):
        raise BundleError("bundle: cut off, or a name is too long")
    raw = bytes(data[at + 1 : at + 1 + n])
    for byte in raw:
        if not 0x21 <= byte <= 0x7E:
            raise BundleError("bundle: a name is not plain ASCII")
    return raw.decode(), at + 1 + n


def _all(read, n, more=None):
    """`n` bytes; with `more` the first of them says how many follow it."""
    data = read(n)
    if len(data) != n:
        raise BundleError("bundle: cut off")
    if more is not None:
        rest = more(data[0]) if data[0] else b""
        if len(rest) != data[0]:
            raise BundleError("bundle: cut off")
        data = data + rest
    return data
