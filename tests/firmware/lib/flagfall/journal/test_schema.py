# Record bodies against bytes laid out by hand from docs/formats.md section 3.

from expect import raises
from flagfall.hmac_sha256 import hmac_sha256
from flagfall.journal import schema

EXAMPLES = (
    (
        schema.TRIP,
        dict(
            trip=1,
            shift=2,
            start_time=3,
            end_time=4,
            distance_mm=5,
            pulses=6,
            slow_ms=7,
            hired_ms=8,
            fare=9,
            supplements=10,
            currency=156,
            paid=schema.CARD,
            flags=1,
            tariff_version=11,
            tariff="Hefei",
        ),
        "01 01000000 02000000 03000000 04000000 05000000 06000000 07000000 08000000 09000000"
        "0a000000 9c00 02 01 0b000000 05 4865666569",
    ),
    (
        schema.PAYMENT,
        dict(
            trip=1,
            shift=2,
            outcome=schema.APPROVED,
            profile=schema.ECASH,
            amount=2000,
            currency=156,
            last_digits="1234",
            atc=0x0102,
            balance_after=schema.UNKNOWN_BALANCE,
            torn_seq=0,
            card_tag=b"ABCDEFGH",
            reason="",
            sealed=b"xyz",
        ),
        "01 01000000 02000000 01 01 d0070000 9c00 3412 0201 ffffffff 00000000 4142434445464748"
        "00 0300 78797a",
    ),
    (
        schema.SHIFT,
        dict(
            shift=1,
            event=schema.SIGN_OUT,
            trips=2,
            fares=3,
            card_payments=4,
            card_amount=5,
            driver="\u738b",
        ),
        "01 01000000 02 02000000 03000000 04000000 05000000 03 e78e8b",
    ),
    (
        schema.TOTALS,
        dict(
            distance_mm=1 << 40,
            hired_distance_mm=2,
            hirings=3,
            supplements=4,
            fares=5,
            card_payments=6,
            card_amount=7,
        ),
        "01 0000000000010000 0200000000000000 03000000 0400000000000000 0500000000000000"
        "06000000 0700000000000000",
    ),
    (schema.EVENT, dict(code=schema.STARTED, text="on"), "01 0100 02 6f6e"),
    (
        schema.ACK,
        dict(epoch=3, upto_seq=0x01020304, link=b"\x0a\x0b\x0c\x0d"),
        "01 03000000 04030201 0a0b0c0d",
    ),
    (
        schema.KEY,
        dict(key_number=1, fleet_key_id=b"12345678", wrapped=b"www"),
        "01 0100 3132333435363738 0300 777777",
    ),
    (schema.CHECKPOINT, dict(position=2, snapshot=b"snap"), "01 02 736e6170"),
)


def hexed(text):
    return bytes.fromhex(text.replace(" ", ""))


def test_bodies_as_the_format_says():
    for type, fields, text in EXAMPLES:
        assert schema.pack(type, **fields) == hexed(text), schema.type_name(type)
        back = schema.unpack(type, hexed(text))
        assert back.pop("version") == 1
        assert back == fields, schema.type_name(type)
        assert list(back) and set(schema.fields_of(type, 1)) == set(fields)


def test_a_trip_that_a_campaign_paid_a_part_of():
    type, fields, text = EXAMPLES[0]
    more = dict(fields)
    more["discount"] = 300
    more["campaign"] = 7
    body = schema.pack(type, **more)
    assert body == b"\x02" + hexed(text)[1:] + hexed("2c010000 0700")
    back = schema.unpack(type, body)
    assert back.pop("version") == 2 and back == more
    del more["campaign"]
    raises(schema.SchemaError, schema.pack, type, **more)


def test_every_cut_and_every_byte_too_many_is_refused():
    for type, _, text in EXAMPLES:
        body = hexed(text)
        if type == schema.CHECKPOINT:
            continue  # its last field takes what is left
        for n in range(len(body)):
            raises(schema.SchemaError, schema.unpack, type, body[:n])
        raises(schema.SchemaError, schema.unpack, type, body + b"\0")


def test_unknown_versions_and_types():
    for type, _, text in EXAMPLES:
        body = hexed(text)
        raises(schema.UnknownVersion, schema.unpack, type, b"\x03" + body[1:])
        raises(schema.UnknownVersion, schema.unpack, type, b"\0" + body[1:])
    raises(schema.UnknownVersion, schema.unpack, 99, b"\x01")
    raises(schema.UnknownVersion, schema.pack, 99)
    assert schema.type_name(99) == "TYPE 99" and schema.type_name(2) == "PAYMENT"


def test_missing_and_unknown_fields():
    raises(schema.SchemaError, schema.pack, schema.EVENT, code=1)
    raises(schema.SchemaError, schema.pack, schema.EVENT, code=1, text="", more=1)
    raises(schema.SchemaError, schema.pack, schema.EVENT, code=1, texts="")


def test_values_that_do_not_fit():
    def event(code=1, text=""):
        schema.pack(schema.EVENT, code=code, text=text)

    event(65535, "x" * 255)
    raises(schema.SchemaError, event, 65536)
    raises(schema.SchemaError, event, -1)
    raises(schema.SchemaError, event, 1, "x" * 256)
    raises(schema.SchemaError, event, 1, b"bytes")
    raises(schema.SchemaError, event, "1")
    ack = dict(epoch=1, upto_seq=1)
    raises(schema.SchemaError, schema.pack, schema.ACK, link=b"abc", **ack)
    payment = dict(EXAMPLES[1][1])
    for digits in ("123", "12345", "12a4", 1234):
        payment["last_digits"] = digits
        raises(schema.SchemaError, schema.pack, schema.PAYMENT, **payment)


def test_bad_text_and_bad_digits_in_flash():
    raises(schema.SchemaError, schema.unpack, schema.EVENT, b"\x01\x01\x00\x01\xff")
    body = bytearray(hexed(EXAMPLES[1][2]))
    at = 1 + 4 + 4 + 1 + 1 + 4 + 2
    body[at] = 0x3A
    raises(schema.SchemaError, schema.unpack, schema.PAYMENT, body)


def test_card_tag():
    key = bytes(range(32))
    tag = schema.card_tag(key, "6210948000000011", 1)
    assert tag == hmac_sha256(key, b"card6210948000000011\x01")[:8]
    assert tag != schema.card_tag(key, "6210948000000011", 0)
