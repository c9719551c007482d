# Payloads: packed and parsed alike on both ends, and anything else refused.
# MIT licence, (c) 2026 The Flagfall contributors.

import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0])

import expect  # noqa: E402
from fake_unit import Stream  # noqa: E402
from flagfall.link import messages as m  # noqa: E402

PARSERS = (
    m.parse_challenge,
    m.parse_error,
    m.parse_json,
    m.parse_pull,
    m.parse_u32,
    m.parse_data,
    m.parse_damaged,
    m.parse_end,
    m.parse_receipt,
    m.parse_push,
    m.parse_part,
    m.parse_kind,
)


def test_what_is_packed_is_parsed():
    challenge = (b"n" * 16, 1, b"p" * 16, "ESP32-S3", "0.1.0", "CAB-7")
    assert m.parse_challenge(m.pack_challenge(*challenge)) == challenge
    assert m.parse_error(m.pack_error(5, "no room")) == (5, "no room")
    assert m.parse_pull(m.pack_pull(4000000000, 32)) == (4000000000, 32)
    assert m.parse_u32(m.pack_u32(7)) == 7
    assert m.parse_receipt(m.pack_receipt(3, 99, b"abcd")) == (3, 99, b"abcd")
    assert m.parse_push(m.pack_push("tariff", 2048, b"s" * 32)) == ("tariff", 2048, b"s" * 32)
    offset, data = m.parse_part(m.pack_part(1024, b"xyz"))
    assert (offset, bytes(data)) == (1024, b"xyz")
    assert m.parse_kind(m.pack_str("capk")) == "capk"
    assert m.parse_json(m.pack_json({"a": [1, "b"]})) == {"a": [1, "b"]}
    assert m.parse_json(m.pack_json({})) == {}


def test_text_is_utf8_and_an_errors_text_is_cut_between_characters():
    assert m.parse_str(m.pack_str("合肥"), 0) == ("合肥", 7)
    code, text = m.parse_error(m.pack_error(1, "肥" * 200))
    assert code == 1 and text == "肥" * (m.MAX_TEXT // 3)
    expect.raises(ValueError, m.pack_str, "x" * 256)


def test_windows_of_none_or_too_many_are_malformed():
    for window in (0, 33, 255):
        expect.raises(m.Malformed, m.parse_pull, m.pack_pull(1, window))


def test_payloads_cut_short_or_too_long_are_malformed():
    whole = (
        (m.parse_challenge, m.pack_challenge(bytes(16), 0, bytes(16), "m", "v", "")),
        (m.parse_error, m.pack_error(1, "text")),
        (m.parse_pull, m.pack_pull(1, 8)),
        (m.parse_u32, m.pack_u32(1)),
        (m.parse_receipt, m.pack_receipt(1, 2, bytes(4))),
        (m.parse_push, m.pack_push("k", 1, bytes(32))),
        (m.parse_kind, m.pack_str("kind")),
        (m.parse_end, bytes(8)),
    )
    for parse, payload in whole:
        parse(payload)
        for n in range(len(payload)):
            expect.raises(m.Malformed, parse, payload[:n])
        expect.raises(m.Malformed, parse, payload + b"x")


def test_json_that_is_not_an_object_is_malformed():
    for text in (b"[]", b"1", b'"x"', b"{", b"nonsense", b"\xff\xfe", b"[" * 2000):
        expect.raises(m.Malformed, m.parse_json, text)


def test_random_payloads_give_malformed_and_nothing_else():
    rnd = Stream(b"payloads")
    for _ in range(400):
        payload = memoryview(rnd(32)[: rnd.below(33)])
        for parse in PARSERS:
            try:  # noqa: SIM105 - MicroPython has no contextlib
                parse(payload)
            except m.Malformed:
                pass
