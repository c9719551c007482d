"""The kernel's readers against code that nobody here wrote, and against any bytes at all."""

import contextlib
import hashlib

from flagfall.emv import bcd, dol, entry_point, records, tlv
from flagfall.emv.aid import ParameterError, parse_aid
from flagfall.emv.capk import CapkError, parse_capk
from flagfall.emv.deny_list import DenyList, DenyListError
from flagfall.emv.outcome import Stop
from flagfall.emv.purchase import track2
from flagfall.emv.sm3 import sm3
from flagfall.emv.torn import unpack
from hypothesis import given
from hypothesis import strategies as st
from pyemv import tlv as pyemv_tlv

TAGS = st.sampled_from([0x5A, 0x82, 0x94, 0x9F10, 0x9F36, 0x9F4B, 0x5F24, 0xDF8101])
OBJECTS = st.dictionaries(TAGS, st.binary(max_size=260), max_size=8)


@given(OBJECTS)
def test_tlv_agrees_with_pyemv(objects: dict[int, bytes]) -> None:
    ours = b"".join(tlv.encode(tag, value) for tag, value in objects.items())
    theirs = {f"{tag:02X}": value for tag, value in objects.items()}
    assert ours == pyemv_tlv.encode(theirs)
    assert {f"{t:02X}": v for t, v in tlv.parse(ours)} == pyemv_tlv.decode(ours)


@given(st.binary(max_size=80))
def test_what_we_accept_pyemv_reads_the_same(data: bytes) -> None:
    try:
        ours = tlv.parse(data)
    except tlv.TlvError:
        return
    if b"\x00" in (data[:1], data[-1:]) or len({tag for tag, _ in ours}) != len(ours):
        return  # filler, and repeated tags, are ours alone
    flat = [(tag, value) for tag, value in ours if not tlv.is_constructed(tag)]
    if len(flat) != len(ours):
        return
    try:
        theirs = pyemv_tlv.decode(data)
    except pyemv_tlv.DecodeError:
        return
    assert theirs == {f"{tag:02X}": value for tag, value in ours}


@given(st.binary(max_size=300))
def test_sm3_agrees_with_openssl(data: bytes) -> None:
    assert sm3(data) == hashlib.new("sm3", data).digest()


@given(st.binary(max_size=260))
def test_readers_end_in_their_own_errors(data: bytes) -> None:
    for reader, errors in (
        (lambda: tlv.parse(data), tlv.TlvError),
        (lambda: tlv.collect(data, {}), tlv.TlvError),
        (lambda: dol.build(dol.parse(data), {}), tlv.TlvError),
        (lambda: records.parse_afl(data), tlv.TlvError),
        (lambda: records.take(2, data, {}), tlv.TlvError),
        (lambda: records.take(12, data, {}), tlv.TlvError),
        (lambda: entry_point.directory(data), tlv.TlvError),
        (lambda: parse_aid(data), ParameterError),
        (lambda: parse_capk(data), CapkError),
        (lambda: unpack(data, None), ValueError),
        (lambda: track2(data), Stop),
        (lambda: DenyList(lambda at, n: data[at : at + n]), DenyListError),
        (lambda: bcd.to_int(data), ValueError),
        (lambda: bcd.digits(data), ValueError),
        (lambda: bcd.yymmdd(data), ValueError),
    ):
        with contextlib.suppress(errors):
            reader()


@given(st.integers(0, 10**12 - 1))
def test_bcd_there_and_back(value: int) -> None:
    assert bcd.to_int(bcd.from_int(value, 6)) == value
    assert bcd.from_int(value, 6).hex() == f"{value:012d}"
