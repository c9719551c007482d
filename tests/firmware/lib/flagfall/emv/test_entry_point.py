# Pre-processing, the PPSE, candidates and the AFL.

import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0])

import scripted_card as sc  # noqa: E402
from expect import raises  # noqa: E402
from flagfall.emv import aid, entry_point, preprocessing, records  # noqa: E402
from flagfall.emv.outcome import Stop  # noqa: E402
from flagfall.emv.terminal import ECASH, ODA  # noqa: E402
from flagfall.emv.tlv import TlvError, encode  # noqa: E402

H = bytes.fromhex
RID = sc.RID


def candidates(body, combinations):
    return entry_point.candidates(entry_point.directory(body), combinations)


def allowed(*names, exact=False):
    rows = [aid.AidParameters(H(name), exact) for name in names]
    return [preprocessing.Combination(row, False, False, True) for row in rows]


def ppse(*entries):
    body = b"".join([encode(0x61, entry) for entry in entries])
    return encode(0x6F, encode(0x84, entry_point.PPSE) + encode(0xA5, encode(0xBF0C, body)))


def entry(name, priority=None, **more):
    out = encode(0x4F, H(name))
    if priority is not None:
        out += encode(0x87, bytes((priority,)))
    for tag in sorted(more):
        out += encode(int(tag[1:], 16), H(more[tag]))
    return out


def test_real_ppse_answer():
    # A qPBOC debit card of 2020, and a T-Union card's personalisation.
    body = H("6F30840E325041592E5359532E4444463031A51EBF0C1B61194F08A000000333010101")
    body += H("500A50424F43204445424954870101")
    found = candidates(body, allowed("A000000333010101"))
    assert [c.adf for c in found] == [RID + b"\x01\x01\x01"] and found[0].priority == 1
    two = H("61194F08A000000632010106500A4D4F545F545F43415348870101")
    two += H("61174F08A00000063201010550084D4F545F545F4550870102")
    body = encode(0x6F, encode(0x84, entry_point.PPSE) + encode(0xA5, encode(0xBF0C, two)))
    found = candidates(body, allowed("A0000006320101"))
    assert [c.adf[-1] for c in found] == [6, 5]


def test_priority_then_order():
    body = ppse(
        entry("A000000333010101"),
        entry("A000000333010102", 2),
        entry("A000000333010103", 0x81),
        entry("A000000333010106", 2),
        entry("A000000333010108", 0),
    )
    found = candidates(body, allowed("A000000333"))
    assert [c.adf[-1] for c in found] == [3, 2, 6, 1, 8]


def test_partial_and_exact_names():
    body = ppse(entry("A00000033301010101"), entry("A0000003330102"))
    assert len(candidates(body, allowed("A000000333010101"))) == 1
    assert candidates(body, allowed("A000000333010101", exact=True)) == []
    best = candidates(body, allowed("A000000333", "A000000333010101"))
    assert [len(c.combination.parameters.aid) for c in best] == [8, 5]


def test_kernel_identifier():
    for value, expected in (
        (None, 7),
        ("", 7),
        ("0707", 7),  # length 2 does not exist
        ("03", 3),
        ("00", 0),
        ("47", 0x47),
        ("810156", 0x810156),
        ("C10156FF", 0xC10156),
        ("81", None),
        ("800156", None),
    ):
        value = None if value is None else H(value)
        assert entry_point.kernel_id(value, 7) == expected, value
    name = "A000000333010101"
    take = lambda k: len(candidates(ppse(entry(name, 1, t9F2A=k)), allowed(name)))  # noqa: E731
    assert [take(k) for k in ("07", "00", "03", "810156")] == [1, 1, 0, 0]


def test_extended_selection():
    name = "A000000333010101"
    combinations = allowed(name)
    body = ppse(entry(name, 1, t9F29="0102"))
    assert candidates(body, combinations)[0].name == H(name)
    combinations[0].parameters.extended_selection = True
    assert candidates(body, combinations)[0].name == H(name + "0102")
    command = entry_point.select_command(H(name + "0102"))
    assert command == H("00A404000A" + name + "010200")


def test_ppse_that_makes_no_sense():
    good = ppse(entry("A000000333010101", 1))
    for body in (
        b"",
        good[:-1],
        good + b"\x00",
        encode(0x6F, encode(0x84, b"1PAY.SYS.DDF01") + encode(0xA5, b"")),
        encode(0x6F, encode(0x84, entry_point.PPSE)),
        ppse(encode(0x87, b"\x01")),  # no 4F
        ppse(*[entry("A000000333010101")] * 17),
    ):
        raises(TlvError, candidates, body, allowed("A000000333"))


def test_limits_decide_the_ttq():
    mask = H("29C00080")
    terminal = sc.terminal(profiles=(ODA, ECASH))
    for amount, ecash, oda in (
        (1, "28000080", "21800080"),
        (50000, "28000080", "21800080"),
        (50001, "28800080", None),
        (80000, "28C00080", None),
        (99899, "28C00080", None),
    ):
        (combination,) = preprocessing.combinations(terminal, amount)
        assert combination.ttq(mask, ECASH) == H(ecash), amount
        assert combination.oda == (oda is not None)
        if oda:
            assert combination.ttq(mask, ODA) == H(oda)
    for amount in (0, 99900, 100000):
        raises(Stop, preprocessing.combinations, terminal, amount)
    everything = H("FFFFFFFF")
    (combination,) = preprocessing.combinations(terminal, 1)
    assert combination.ttq(everything, ECASH) == H("3E000080")  # never full PBOC: no such path
    assert combination.ttq(everything, ODA) == H("37800080")


def test_no_limits_no_taps():
    row = aid.AidParameters(sc.AID)
    error = raises(Stop, preprocessing.combinations, sc.terminal(aids=[row]), 100)
    assert error.reason == "no-limit"
    row.floor = 100
    assert len(preprocessing.combinations(sc.terminal(aids=[row]), 100)) == 1


def test_acquirer_row():
    row = aid.parse_aid(
        H(
            "9F0608A000000333010106DF0101009F08020020DF1105D84000A800DF1205D84004F800DF130500"
            "100000009F1B0400000001DF150400000000DF160199DF170199DF14039F3704DF1801019F7B0600"
            "0000100000DF1906000000100000DF2006000999999999DF2106000000100000"
        )
    )
    assert (row.aid, row.exact, row.kernel, row.version) == (sc.AID, False, 7, b"\x00\x20")
    assert (row.floor, row.offline_floor, row.transaction_limit) == (1, 100000, 999999999)
    assert (row.cvm_limit, row.ecash_limit, row.offline_limit()) == (100000, 100000, 100000)
    assert row.tac[2] == H("0010000000")


def test_acquirer_rows_that_make_no_sense():
    for text in (
        "",
        "DF010100",  # no AID
        "9F0604A0000003",
        "9F0608A000000333010106DF010102",
        "9F0608A000000333010106DF1906000000A00000",
        "9F0608A000000333010106DF19060000001000",
        "9F0608A0000003330101069F1B0200019F1B020001",
        "9F0608A0000003330101069F1B020001",
        "9F0607A0000000049999",  # no kernel for Mastercard here
    ):
        raises(aid.ParameterError, aid.parse_aid, H(text))
    assert aid.parse_aid(H("9F0607A0000009999999"), kernel=3).kernel == 3


def test_afl():
    assert records.parse_afl(H("1001020038010501280101 00".replace(" ", ""))) == [
        (2, 1, False),
        (2, 2, False),
        (7, 1, True),
        (7, 2, False),
        (7, 3, False),
        (7, 4, False),
        (7, 5, False),
        (5, 1, False),
    ]
    for text in (
        "",
        "080101",
        "00010100",  # SFI 0
        "F8010100",  # SFI 31
        "09010100",  # low bits
        "08000100",  # record 0
        "08020100",  # backwards
        "08010102",  # more signed than named
        "0801FF00",
        "08012000" + "10010100",
    ):
        raises(TlvError, records.parse_afl, H(text))


def test_records():
    data = {}
    assert records.take(2, H("70035A0112"), data) == H("5A0112") and data == {0x5A: b"\x12"}
    raises(TlvError, records.take, 2, H("70035A0112"), data)  # the same tag again
    raises(TlvError, records.take, 2, H("5A0112"), {})
    assert records.take(11, H("010203"), {}) == H("010203")
    assert records.take(11, H("70035A0112"), {}) == H("70035A0112")  # signed as a whole
    assert records.read_command(5, 1) == H("00B2012C00")
