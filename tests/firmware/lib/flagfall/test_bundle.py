# An update bundle, packed and read.
# MIT licence, (c) 2026 The Flagfall contributors.

import hashlib
import io

from expect import raises
from flagfall import bundle
from flagfall.bundle import BundleError, Head

METER = {"flagfall/meter/fare.mpy": b"M" * 700, "flagfall/meter/tariff.mpy": b"T"}
OTHERS = {"app/keys.mpy": b"", "taximeter.mpy": b"main" * 9, "flagfall/meter/budget.mpy": b"b"}
HASH = bytes(range(32))


def made(measuring=METER, others=OTHERS, board="esp32s3_taxi", version="0.2.0"):
    return bundle.pack(board, version, HASH, measuring, others)


def read(data):
    head = Head(data)
    stream = io.BytesIO(data)
    stream.seek(head.size)
    return head, list(bundle.rows(head, stream.read)), stream.read()


def test_what_is_packed_is_read():
    head, rows, rest = read(made())
    assert (head.board, head.version, head.metrology) == ("esp32s3_taxi", "0.2.0", HASH)
    assert (head.measuring, head.others) == (2, 3)
    assert [row[0] for row in rows] == sorted(METER) + sorted(OTHERS)
    both = dict(METER)
    both.update(OTHERS)
    for path, length, sha256, measuring in rows:
        assert length == len(both[path])
        assert sha256 == hashlib.sha256(both[path]).digest()
        assert measuring == (path in METER)
    assert rest == b"".join([both[row[0]] for row in rows])
    assert bundle.module("flagfall/meter/fare.mpy") == "fare"


def test_a_bundle_cut_anywhere_in_its_table_is_no_bundle():
    data = made()
    table = len(data) - 700 - 1 - 36 - 1
    for n in range(table):
        raises(BundleError, read, data[:n])
    read(data[:table])


def test_paths_that_a_program_does_not_have():
    for path in (
        "app/keys.py",
        "/app/keys.mpy",
        "../a/keys.mpy",
        "app//keys.mpy",
        "app/Keys.mpy",
        ".mpy",
        "chooser/x.mpy/",
        "x" * 61 + ".mpy",
    ):
        raises(BundleError, made, METER, {path: b"x"})
    raises(BundleError, made, {"app/keys.mpy": b"x"}, OTHERS)
    raises(BundleError, made, {"flagfall/meter/sub/keys.mpy": b"x"}, OTHERS)


def test_no_file_comes_twice_or_beside_the_metrology_set():
    twice = {"flagfall/meter/fare.mpy": b"another"}
    twice.update(OTHERS)
    raises(BundleError, read, made(METER, twice))
    data = bytearray(made())
    data[data.index(b"app/keys") : data.index(b"app/keys") + 8] = b"zzz/keys"  # out of order
    raises(BundleError, read, data)


def test_a_bundle_of_nothing_and_of_another_format():
    raises(BundleError, read, made({}, OTHERS))
    raises(BundleError, read, made(METER, {}))
    data = bytearray(made())
    data[4] = 2
    assert "format 2" in str(raises(BundleError, read, data))
    raises(BundleError, read, b"FFSG" + bytes(100))
    raises(BundleError, read, made(METER, OTHERS, ""))
