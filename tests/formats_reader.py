"""A second reader of flash images, written from docs/formats.md alone. It imports nothing of
Flagfall, so that what it reads is what the document says.
"""

import hashlib
import hmac
import struct
import zlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

# Section 3. I u32, H u16, B u8, Q u64, digits: number of bytes.
BODIES = {
    1: "trip:I shift:I start_time:I end_time:I distance_mm:I pulses:I slow_ms:I hired_ms:I fare:I "
    "supplements:I currency:H paid:B flags:B tariff_version:I tariff:str",
    2: "trip:I shift:I outcome:B profile:B amount:I currency:H last_digits:2 atc:H "
    "balance_after:I torn_seq:I card_tag:8 reason:str sealed:var",
    3: "shift:I event:B trips:I fares:I card_payments:I card_amount:I driver:str",
    4: "distance_mm:Q hired_distance_mm:Q hirings:I supplements:Q fares:Q card_payments:I "
    "card_amount:Q",
    5: "code:H text:str",
    6: "epoch:I upto_seq:I link:4",
    7: "key_number:H fleet_key_id:8 wrapped:var",
}


NEWER = {(1, 2): " discount:I campaign:H"}


def fields(type_, body):
    """Section 3: the fields of a body."""
    more = NEWER[type_, body[0]] if body[0] != 1 else ""
    at = 1
    out = {}
    for item in (BODIES[type_] + more).split():
        name, kind = item.split(":")
        if kind in "BHIQ":
            size = struct.calcsize("<" + kind)
            out[name] = struct.unpack_from("<" + kind, body, at)[0]
        elif kind == "str":
            size = 1 + body[at]
            out[name] = body[at + 1 : at + size].decode()
        elif kind == "var":
            size = 2 + int.from_bytes(body[at : at + 2], "little")
            out[name] = body[at + 2 : at + size]
        else:
            size = int(kind)
            out[name] = body[at : at + size]
        at += size
    assert at == len(body)
    return out


def good_record(data, at, end):
    """Section 2.2: the record at `at` as (type, seq, epoch, time, link, body, mac, bytes)."""
    if at + 36 > end or data[at] != 0xA7:
        return None
    n = struct.unpack_from("<H", data, at + 2)[0]
    if n > 1200 or at + 36 + n > end:
        return None
    if zlib.crc32(data[at : at + 32 + n]) != struct.unpack_from("<I", data, at + 32 + n)[0]:
        return None
    seq, epoch, time = struct.unpack_from("<III", data, at + 4)
    body = data[at + 20 : at + 20 + n]
    mac = data[at + 20 + n : at + 32 + n]
    return data[at + 1], seq, epoch, time, data[at + 16 : at + 20], body, mac, 36 + n


def mac_is_good(key, data, at, length):
    want = hmac.new(key, data[at : at + length - 16], hashlib.sha256).digest()[:12]
    return want == data[at + length - 16 : at + length - 4]


def walk(data, base, key):
    """Section 2.3: the good records of one sector, in order."""
    out = []
    at, after_other = base + 32, False
    while at < base + 4096:
        record = good_record(data, at, base + 4096)
        if record and after_other and not mac_is_good(key, data, at, record[7]):
            record = None
        if record:
            out.append(record)
            at += (record[7] + 31) // 32 * 32
            after_other = False
        else:
            at += 32
            after_other = True
    return out


def header(data, base):
    """Section 2.1: (generation, first seq, acked or None, state), or None."""
    raw = data[base : base + 32]
    if zlib.crc32(raw[:28]) != struct.unpack("<I", raw[28:])[0]:
        return None
    if raw[:4] not in (b"FFJ1", b"FFJ2") or raw[4] != raw[3] - ord("0"):
        return None
    generation, first = struct.unpack_from("<II", raw, 8)
    acked = struct.unpack_from("<I", raw, 20)[0]
    return generation, first, None if acked == 0xFFFFFFFF else acked, raw[5]


def read(data, key):
    """The records that count as {seq: record}, and what receipts cover."""
    sectors = []  # (generation, first seq, records, state)
    loose = []
    acked = 0
    for base in range(0, len(data), 4096):
        head = header(data, base)
        records = walk(data, base, key)
        if head and head[3] == 0x52:
            continue
        if head:
            sectors.append((head[0], head[1], records, head[3]))
            acked = max(acked, head[2] or 0)
        elif records and data[base : base + 32] != b"\xff" * 32:
            loose.append(records)
    sectors.sort(key=lambda sector: sector[0])
    for records in loose:
        seq = records[0][1]
        at = next((i for i, s in enumerate(sectors) if s[1] > seq), len(sectors))
        sectors.insert(at, (0, seq, records, 0xFF))
    counting = {}
    for _, first, records, state in sectors:
        before = max(counting, default=0)
        if state == 0x4D:
            before = first - 1  # repeats what may stand before it
        for record in records:
            if record[1] >= before:
                counting[record[1]] = record
                before = record[1]
    for record in counting.values():
        if record[0] == 6:
            acked = max(acked, fields(6, record[5])["upto_seq"])
    return counting, acked


def journal_key(master, unit_id):
    """Section 1: the journal key of a unit."""
    unit = HKDF(hashes.SHA256(), 32, b"flagfall", b"unit" + unit_id.encode()).derive(master)
    return hmac.new(unit, b"journal", hashlib.sha256).digest()


def card_data(counting, seq, private_key):
    """Section 4: the TLV that was sealed in PAYMENT `seq`, as [(tag, value)]."""
    epoch, sealed = counting[seq][2], fields(2, counting[seq][5])["sealed"]
    number = int.from_bytes(sealed[:2], "little")
    wrapped = None
    for other in sorted(counting):
        record = counting[other]
        if record[0] == 7 and record[2] <= epoch:
            key = fields(7, record[5])
            if key["key_number"] == number:
                wrapped = key["wrapped"]
    mgf1 = padding.MGF1(hashes.SHA256())
    data_key = private_key.decrypt(wrapped, padding.OAEP(mgf1, hashes.SHA256(), None))
    cbc = Cipher(algorithms.AES(data_key), modes.CBC(sealed[2:18])).decryptor()
    plain = cbc.update(sealed[18:]) + cbc.finalize()
    assert plain[-plain[-1] :] == plain[-1:] * plain[-1]
    return tlv(plain[: -plain[-1]])


def tlv(data):
    """BER-TLV of short lengths and tags of one or two bytes."""
    out = []
    at = 0
    while at < len(data):
        n = 2 if data[at] & 0x1F == 0x1F else 1
        tag, length = data[at : at + n].hex().upper(), data[at + n]
        assert length < 128
        out.append((tag, data[at + n + 1 : at + n + 1 + length]))
        at += n + 1 + length
    return out


def checkpoint(body):
    """Sections 3 and 8: the fields of a CHECKPOINT body, but for what only the unit reads."""
    names = ("trip", "shift", "paid", "flags", "journal_seq", "shift_trips", "shift_fares",
             "shift_cards", "shift_card_amount", "audit")  # fmt: skip
    out = dict(zip(names, struct.unpack_from("<IIBBIIIIII", body, 2), strict=True))
    out["position"] = body[1]
    at = 2 + struct.calcsize("<IIBBIIIIII")
    for flag, name, kind in ((4, "discounts", "I"), (8, "wrong_tries", "B"), (16, "files", "I")):
        if out["flags"] & flag:
            out[name] = struct.unpack_from("<" + kind, body, at)[0]
            at += struct.calcsize("<" + kind)
    out["driver"] = body[at + 1 : at + 1 + body[at]].decode()
    at += 1 + body[at]
    out["totals"] = fields(4, b"\x01" + body[at : at + 48])
    at += 48
    out["torn"] = []
    torn = body[at]
    at += 1
    for _ in range(torn):
        out["torn"].append(struct.unpack_from("<III8s", body, at))
        at += 21 + body[at + 20]
    at += 2 + struct.unpack_from("<H", body, at)[0]
    assert len(body) - at == 208
    return out
