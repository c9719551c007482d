# The AT reader: whole answers, in any pieces, with anything in between.
# MIT licence, (c) 2026 The Flagfall contributors.

import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/../link")

from fake_unit import Stream  # noqa: E402
from flagfall.modem import at  # noqa: E402


def read(reader, data, piece=0):
    """[(kind, text)] of everything in `data`, fed in pieces."""
    out = []
    step = piece or len(data)
    for start in range(0, len(data), step):
        reader.feed(data[start : start + step])
        while True:
            kind = reader.next()
            if kind == at.NOTHING:
                break
            out.append((kind, reader.text))
    return out


def asked(command, prefix="", dials=False):
    reader = at.AtReader()
    reader.expect(command, prefix, dials)
    return reader


CSQ = b"AT+CSQ\r\r\n+CSQ: 20,99\r\n\r\nOK\r\n"


def test_an_answer_with_echo_in_any_pieces():
    for piece in range(1, len(CSQ) + 1):
        reader = asked("AT+CSQ", "+CSQ:")
        assert read(reader, CSQ, piece) == [(at.INFO, "+CSQ: 20,99"), (at.DONE, "OK")], piece


def test_a_notice_in_the_middle_of_an_answer():
    data = b"\r\n+CREG: 1\r\n\r\n+CSQ: 20,99\r\n\r\nRING\r\n\r\nOK\r\n"
    assert read(asked("AT+CSQ", "+CSQ:"), data) == [
        (at.NOTICE, "+CREG: 1"),
        (at.INFO, "+CSQ: 20,99"),
        (at.NOTICE, "RING"),
        (at.DONE, "OK"),
    ]


def test_an_answer_without_a_prefix():
    data = b"\r\nPB DONE\r\n\r\nSIMCOM_SIM7600CE\r\n\r\n+CGEV: EPS PDN ACT 1\r\n\r\nOK\r\n"
    kinds = [kind for kind, _ in read(asked("AT+CGMM"), data)]
    assert kinds == [at.NOTICE, at.INFO, at.NOTICE, at.DONE]


def test_failures():
    for word in ("ERROR", "+CME ERROR: 10", "+CMS ERROR: 500", "BUSY", "NO ANSWER"):
        data = b"\r\n" + word.encode() + b"\r\n"
        assert read(asked("AT+CPIN?", "+CPIN:"), data) == [(at.FAILED, word)]


def test_the_end_of_the_last_call_is_not_the_end_of_this_command():
    data = b"\r\nNO CARRIER\r\n\r\n+CSQ: 9,99\r\n\r\nOK\r\n"
    kinds = [kind for kind, _ in read(asked("AT+CSQ", "+CSQ:"), data)]
    assert kinds == [at.NOTICE, at.INFO, at.DONE]
    assert read(asked("ATD*99#", "", True), b"\r\nNO CARRIER\r\n") == [(at.FAILED, "NO CARRIER")]


def test_connect_leaves_the_data_alone():
    reader = asked("ATD*99#", "", True)
    reader.feed(b"\r\nCONNECT\r\n~\xff}#")
    assert reader.next() == at.CONNECTED
    assert reader.rest == b"~\xff}#"


def test_a_late_answer_belongs_to_nobody():
    reader = asked("AT+CSQ", "+CSQ:")
    reader.close()
    assert [kind for kind, _ in read(reader, CSQ)] == [at.NOTICE, at.NOTICE, at.NOTICE]


def test_garbage_is_counted_and_does_not_stick():
    reader = asked("AT")
    data = b"\xff\x00\x1c\x80\r\n" + b"x" * 2000 + b"\r\n\r\nOK\r\n"
    assert read(reader, data, 100)[-1] == (at.DONE, "OK")
    assert reader.garbage >= 2
    assert reader.dropped > 1000


def test_an_endless_line_is_bounded():
    reader = asked("AT")
    for _ in range(200):
        reader.feed(b"y" * 100)
        assert reader.next() == at.NOTHING
    assert read(reader, b"\r\nOK\r\n")[-1] == (at.DONE, "OK")


def test_anything_at_all_never_raises_and_an_ok_still_gets_through():
    rnd = Stream(b"at")
    pieces = (
        b"\r\n",
        b"OK",
        b"CONNECT",
        b"+CME ERROR",
        b"\xff",
        b"AT+CSQ",
        b"+CSQ: 1,2",
        b"\0",
        b"q" * 300,
    )
    for _ in range(300):
        reader = asked("AT+CSQ", "+CSQ:")
        data = b""
        for _ in range(rnd.below(20)):
            data += pieces[rnd.below(len(pieces))] if rnd.below(3) else rnd(8)
        read(reader, data, 1 + rnd.below(40))
        read(reader, b"\r\n")  # the end of whatever was half said
        reader.expect("AT", "")
        assert read(reader, b"\r\nOK\r\n")[-1] == (at.DONE, "OK")
