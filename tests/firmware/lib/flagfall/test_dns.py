# Questions and answers of the name server.
# MIT licence, (c) 2026 The Flagfall contributors.

import sys
from binascii import unhexlify

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/link")

import expect  # noqa: E402
from fake_unit import Stream  # noqa: E402
from flagfall import dns  # noqa: E402

# An answer as a name server gives it: an alias first, then two addresses, names as pointers.
ANSWER = unhexlify(
    "1234818000010003000000000767617465776179047465737400"
    "00010001c00c00050001000000050006036677 31c014".replace(" ", "")
    + "c02a00010001000000050004c0000207"
    + "c02a00010001000000050004c0000208"
)


def test_the_question():
    assert dns.question(0x1234, "gateway.test") == unhexlify(
        "123401000001000000000000" + "0767617465776179047465737400" + "00010001"
    )
    for name in ("", "a..b", "x" * 64 + ".test"):
        expect.raises(ValueError, dns.question, 1, name)


def test_the_first_address_behind_an_alias():
    assert dns.address(0x1234, ANSWER) == "192.0.2.7"


def test_answers_that_are_none():
    assert dns.address(0x1235, ANSWER) is None  # to another question
    assert dns.address(0x1234, ANSWER[:11]) is None
    assert dns.address(0x1234, dns.question(0x1234, "gateway.test")) is None  # a question
    assert dns.address(0x1234, ANSWER[:2] + b"\x81\x83" + ANSWER[4:]) == ""  # no such name
    assert dns.address(0x1234, ANSWER[:6] + b"\0\0" + ANSWER[8:]) == ""  # no record


def test_what_is_an_address_already():
    for host in ("127.0.0.1", "10.0.255.3"):
        assert dns.is_address(host)
    for host in ("gateway.test", "1.2.3", "1.2.3.256", "1.2.3.x", "1.2.3.4.5", "", "1..2.3"):
        assert not dns.is_address(host), host


def test_any_bytes_give_an_address_or_none():
    rnd = Stream(b"dns")
    for _ in range(3000):
        data = bytearray(ANSWER[: rnd.below(len(ANSWER) + 1)] + rnd(rnd.below(8)))
        for _ in range(rnd.below(6)):
            if data:
                data[rnd.below(len(data))] = rnd.below(256)
        dns.address(0x1234, bytes(data))
