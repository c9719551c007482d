"""Partition tables: against a second reader, the boot loader's rules, and hostile input."""

import hashlib
import struct

import pytest
from flagfall_host.flashing import partition_table as pt
from flagfall_host.flashing.board_folder import BOARDS, known_boards, read_board
from flagfall_host.flashing.errors import InputError
from hypothesis import given
from hypothesis import strategies as st

MIB = 1 << 20


def boot_loader_reads(table: bytes) -> list[tuple[str, int, int, int, int]]:
    """A second reader, written from ESP-IDF's esp_partition_info_t and its boot loader's walk."""
    assert len(table) == 0xC00
    rows = []
    for i in range(0xC00 // 32):
        magic, kind, subtype = struct.unpack_from("<HBB", table, 32 * i)
        if magic == 0x50AA:
            offset, size = struct.unpack_from("<II", table, 32 * i + 4)
            label = table[32 * i + 12 : 32 * i + 28].split(b"\0")[0].decode()
            assert struct.unpack_from("<I", table, 32 * i + 28) == (0,)
            rows.append((label, kind, subtype, offset, size))
        elif magic == 0xEBEB:
            assert table[32 * i + 2 : 32 * i + 16] == b"\xff" * 14
            md5 = hashlib.md5(table[: 32 * i], usedforsecurity=False).digest()
            assert table[32 * i + 16 : 32 * i + 32] == md5
            assert set(table[32 * (i + 1) :]) == {0xFF}
            return rows
        else:
            raise AssertionError(f"entry {i}: magic {magic:04x}")
    raise AssertionError("no checksum")


@pytest.mark.parametrize("name", known_boards())
def test_a_boot_loader_reads_what_the_csv_says(name):
    board = read_board(name)
    assert boot_loader_reads(board.table) == [
        (p.label, p.type, p.subtype, p.offset, p.size) for p in board.partitions
    ]
    assert pt.from_binary(board.table) == list(board.partitions)


def test_the_reference_table_byte_for_byte():
    """The first entry spelt out: nvs, data, nvs, 0x9000, 24 KiB."""
    expected = "aa500102" + "00900000" + "00600000" + b"nvs".ljust(16, b"\0").hex() + "00000000"
    assert read_board("esp32s3_taxi").table[:32].hex() == expected


def test_the_reference_board_has_what_the_unit_needs():
    board = read_board("esp32s3_taxi")
    assert board.flash_bytes == 16 * MIB
    assert board.partition("journal").size == 4 * MIB
    assert board.partition("trips").size >= 64 * 1024
    assert board.partition("ota_0").size == board.partition("ota_1").size
    for label, kind, subtype in (
        ("nvs", 1, 2),
        ("otadata", 1, 0),
        ("phy_init", 1, 1),
        ("ota_0", 0, 0x10),
        ("ota_1", 0, 0x11),
    ):
        row = board.partition(label)
        assert (row.type, row.subtype) == (kind, subtype)
    assert board.partition("otadata").size == 0x2000
    # littlefs needs two blocks for its root and some to move files about.
    assert board.partition("config").size >= 64 * 1024


def rows(*changes):
    out = []
    for label, kind, offset, size in changes:
        out.append(pt.Partition(label, kind, 0x10 if kind == pt.APP else 2, offset, size))
    return out


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (rows(("a", 1, 0x9000, 0x2000), ("b", 1, 0xA000, 0x1000)), "a and b overlap"),
        (rows(("b", 1, 0xA000, 0x1000), ("a", 1, 0x9000, 0x2000)), "a and b overlap"),
        (rows(("a", 1, 0x9000, 0x1000), ("a", 1, 0xA000, 0x1000)), "two partitions are called a"),
        (rows(("app", 0, 0x18000, 0x10000)), "multiple of 0x10000"),
        (rows(("a", 1, 0x9800, 0x1000)), "multiple of 0x1000"),
        (rows(("a", 1, 0x9000, 0x800)), "size must be"),
        (rows(("a", 1, 0x9000, 0)), "size must be"),
        (rows(("a", 1, 0x8000, 0x1000)), "begins before 0x9000"),
        (rows(("a", 1, 0xFF0000, 0x11000)), "ends behind the flash"),
        (rows(*((f"p{i}", 1, 0x9000 + i * 0x1000, 0x1000) for i in range(96))), "more than"),
    ],
)
def test_tables_that_a_boot_loader_would_refuse(table, words):
    with pytest.raises(InputError, match=words):
        pt.check(table, 16 * MIB)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nvs, data, nvs, 0x9000", "line 2: five fields"),
        ("nvs, data, nvs, 0x9000, 24K, encrypted", "line 2: five fields"),
        ("nvs, data, nvs, , 24K", "neither a number"),
        ("nvs, data, what, 0x9000, 24K", "'what' is neither"),
        ("n" * 17 + ", data, nvs, 0x9000, 24K", "1 to 16 bytes"),
        ("nvs, data, 300, 0x9000, 24K", "below 0xFF"),
        ("nvs, data, nvs, 0x9000, 24G", "'24G' is neither"),
    ],
)
def test_a_bad_csv_names_its_line(tmp_path, line, words):
    path = tmp_path / "partitions.csv"
    path.write_text("# name, type\n" + line + "\n")
    with pytest.raises(InputError, match=words):
        pt.read_csv(path)


def test_missing_csv_and_unknown_board(tmp_path):
    with pytest.raises(InputError, match="no partition table"):
        pt.read_csv(tmp_path / "none.csv")
    with pytest.raises(InputError, match="there are .*esp32s3_taxi"):
        read_board("../boards/bench")


@pytest.mark.parametrize("at", [0, 40, 200, 9 * 32 + 20])
def test_a_damaged_binary_table_is_refused(at):
    table = bytearray(read_board("esp32s3_taxi").table)
    table[at] ^= 1
    with pytest.raises(InputError):
        pt.from_binary(bytes(table))


@given(st.binary(max_size=200))
def test_any_bytes_give_a_table_or_a_typed_error(data):
    try:
        found = pt.from_binary(data)
    except InputError:
        return
    assert all(isinstance(row, pt.Partition) for row in found)


def test_every_board_with_a_table_says_its_chip_and_flash():
    assert "esp32s3_taxi" in known_boards()
    assert "bench" not in known_boards()
    assert (BOARDS / "esp32s3_taxi" / "board.json").exists()
