"""CA keys that the card tools know without being given: public test keys only."""

import json
from pathlib import Path

from flagfall.emv.capk import Capk, CapkError, CapkStore, parse_capk
from flagfall.emv.tlv import encode

from flagfall_host.emv.errors import BadCardInput, from_hex

_FILE = Path(__file__).with_name("unionpay_test_keys.json")


def capk_row(rid: bytes, index: int, modulus: bytes, exponent: bytes) -> bytes:
    """A CA key in the acquirers' download form, with its checksum; 64 bytes are an SM2 point."""
    sm2 = len(modulus) == 64
    key = Capk(rid, index, 4 if sm2 else 1, modulus, exponent)
    return b"".join(
        (
            encode(0x9F06, rid),
            encode(0x9F22, bytes([index])),
            encode(0xDF02, modulus),
            encode(0xDF04, exponent or b"\x03"),
            encode(0xDF07, b"\x04" if sm2 else b"\x01"),
            encode(0xDF03, key.checksum()),
        )
    )


def test_store() -> CapkStore:
    """UnionPay's public test keys and the bench's own."""
    from flagfall_host.bench.cards import catalogue

    store = CapkStore(False)
    data = json.loads(_FILE.read_text(encoding="utf-8"))
    for entry in data["keys"]:
        store.add(
            capk_row(
                bytes.fromhex(data["rid"]),
                int(entry["index"], 16),
                bytes.fromhex(entry["modulus"]),
                bytes.fromhex(entry["exponent"]),
            ),
            False,
        )
    for row in catalogue.capk_tlvs():
        store.add(row, False)
    for revoked in catalogue.revocations():
        store.revoke(*revoked)
    return store


def add_from_file(store: CapkStore, path: Path) -> None:
    """Add keys from a text file of one CAPK download row in hex per line. Raises BadCardInput."""
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as e:
        raise BadCardInput(f"{path}: cannot be read as text: {e}") from e
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        row = from_hex(line, f"{path} line {number}")
        try:
            parse_capk(row)
            store.add(row, False)
        except CapkError as e:
            raise BadCardInput(f"{path} line {number}: {e}") from e
