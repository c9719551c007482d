# The list of drivers: who is known, by what, and what no file may hold.

from expect import raises
from flagfall import roster
from flagfall.roster import Roster, RosterError, SlowHash, pack

SALT = bytes(range(16))


def made(work):
    while work.work():
        pass
    return work.made


def pin(number, text, rounds=20):
    return made(SlowHash(text.encode(), roster.pin_salt(SALT, number), rounds))


def card(uid, rounds=20):
    return made(SlowHash(uid, SALT, rounds))


ROWS = (
    ("340023", pin("340023", "246810"), card(b"\x04ABCDEF")),
    ("7", pin("7", "246810"), b""),
    ("0007", b"", card(b"\x62ABC")),
)
BLOB = pack(roster.PIN_OR_CARD, 20, SALT, ROWS)


def test_a_driver_is_known_by_his_pin_or_his_card():
    drivers = Roster(BLOB)
    assert (drivers.mode, drivers.rounds, len(drivers)) == (roster.PIN_OR_CARD, 20, 3)
    assert [drivers.knows(n) for n in ("7", "0007", "340023")] == [True] * 3
    assert not any(drivers.knows(n) for n in ("", "07", "70", "x", "1" * 17))
    right = made(drivers.pin_hash("340023", "246810"))
    assert drivers.is_pin("340023", right)
    # The same PIN of another driver is another hash, and nobody's PIN is no PIN.
    assert not drivers.is_pin("7", right)
    assert drivers.is_pin("7", made(drivers.pin_hash("7", "246810")))
    assert not drivers.is_pin("340023", made(drivers.pin_hash("340023", "246811")))
    assert not drivers.is_pin("0007", bytes(8))
    assert not drivers.is_pin("8", made(drivers.card_hash(b"246810")))
    assert drivers.driver_of(made(drivers.card_hash(b"\x62ABC"))) == "0007"
    assert drivers.driver_of(made(drivers.card_hash(b"\x62ABD"))) == ""
    assert drivers.driver_of(bytes(8)) == ""


def test_the_hash_is_the_same_however_it_is_sliced():
    whole = SlowHash(b"246810", b"salt", 100, 1000)
    assert not whole.work()
    fine = SlowHash(b"246810", b"salt", 100, 7)
    slices = 1
    while fine.work():
        slices += 1
    assert slices == 15 and fine.made == whole.made


def test_what_makes_no_sense():
    for blob in (
        b"",
        BLOB[:-1],
        BLOB + b"\0",
        b"FFDX" + BLOB[4:],
        BLOB[:4] + b"\x02" + BLOB[5:],
        BLOB[:5] + b"\x05" + BLOB[6:],
        BLOB[:8] + bytes(4) + BLOB[12:],
        BLOB[:8] + b"\xff\xff\xff\x7f" + BLOB[12:],
        BLOB[:28] + bytes.fromhex("AAFFFFFFFFFFFFFF") + BLOB[36:],
        pack(1, 20, SALT, (ROWS[0], ROWS[0])),
        BLOB[:28] + BLOB[52:76] + BLOB[28:52] + BLOB[76:],
    ):
        raises(RosterError, Roster, blob)
    for number in ("", "12a", "1" * 17, "F"):
        raises(RosterError, roster.packed_number, number)


def test_a_phone_names_nobody():
    assert roster.changing_uid(bytes.fromhex("08A1B2C3"))
    assert not roster.changing_uid(bytes.fromhex("62A1B2C3"))
    assert not roster.changing_uid(bytes.fromhex("08A1B2C3D4E5F6"))
