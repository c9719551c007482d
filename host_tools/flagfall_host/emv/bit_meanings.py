"""What the bits of bit fields mean, and how composite values fall apart."""

from collections.abc import Callable

from flagfall.emv import bcd, dol
from flagfall.emv.tlv import TlvError

from flagfall_host.emv.tag_names import name

# tag -> one list for each byte, of (mask, meaning)
_BITS: dict[int, list[list[tuple[int, str]]]] = {
    0x82: [
        [
            (0x40, "static data authentication"),
            (0x20, "dynamic data authentication (fDDA)"),
            (0x10, "cardholder verification"),
            (0x08, "terminal risk management is to be performed"),
            (0x04, "issuer authentication"),
            (0x01, "combined DDA/AC generation"),
        ],
        [(0x80, "contactless full PBOC / mag-stripe profile choice")],
    ],
    0x9F66: [
        [
            (0x80, "mag-stripe mode"),
            (0x40, "contactless full PBOC (ignored in Kernel 7)"),
            (0x20, "qPBOC / EMV mode"),
            (0x10, "contact chip"),
            (0x08, "offline-only reader"),
            (0x04, "online PIN"),
            (0x02, "signature"),
            (0x01, "ODA for online authorisations"),
        ],
        [
            (0x80, "online cryptogram required"),
            (0x40, "cardholder verification required"),
            (0x20, "offline PIN (contact chip)"),
        ],
        [(0x80, "issuer update"), (0x40, "consumer device CVM")],
        [(0x80, "fDDA version 01")],
    ],
    0x9F6C: [
        [
            (0x80, "online PIN required"),
            (0x40, "signature required"),
            (0x20, "go online if ODA fails"),
            (0x10, "switch interface if ODA fails"),
            (0x08, "go online if application has expired"),
            (0x04, "switch interface for cash"),
            (0x02, "switch interface for cashback"),
            (0x01, "not valid at contactless ATMs"),
        ],
        [(0x80, "consumer device CVM performed"), (0x40, "issuer update at the point of sale")],
    ],
    0x95: [
        [
            (0x80, "offline data authentication was not performed"),
            (0x40, "SDA failed"),
            (0x20, "ICC data missing"),
            (0x10, "card is on the exception file"),
            (0x08, "DDA failed"),
            (0x04, "CDA failed"),
        ],
        [
            (0x80, "card and terminal have different application versions"),
            (0x40, "expired application"),
            (0x20, "application not yet effective"),
            (0x10, "service not allowed for the card product"),
            (0x08, "new card"),
        ],
        [
            (0x80, "cardholder verification was not successful"),
            (0x40, "unrecognised CVM"),
            (0x20, "PIN try limit exceeded"),
            (0x10, "PIN entry required, PIN pad missing or broken"),
            (0x08, "PIN entry required, PIN not entered"),
            (0x04, "online PIN entered"),
        ],
        [
            (0x80, "amount above the floor limit"),
            (0x40, "lower consecutive offline limit exceeded"),
            (0x20, "upper consecutive offline limit exceeded"),
            (0x10, "selected at random for online processing"),
            (0x08, "merchant forced online"),
        ],
        [
            (0x80, "default TDOL used"),
            (0x40, "issuer authentication failed"),
            (0x20, "script failed before final GENERATE AC"),
            (0x10, "script failed after final GENERATE AC"),
        ],
    ],
    0x9F33: [
        [(0x80, "manual key entry"), (0x40, "magnetic stripe"), (0x20, "chip with contacts")],
        [
            (0x80, "plaintext PIN for ICC"),
            (0x40, "enciphered PIN for online"),
            (0x20, "signature"),
            (0x10, "enciphered PIN for offline"),
            (0x08, "no CVM required"),
        ],
        [(0x80, "SDA"), (0x40, "DDA"), (0x20, "card capture"), (0x08, "CDA")],
    ],
    0xDF61: [[(0x40, "ODA for online (transit) supported")]],
}


def _bits(tag: int, value: bytes) -> list[str]:
    lines = []
    for at, byte in enumerate(value):
        known = _BITS[tag][at] if at < len(_BITS[tag]) else []
        for mask, meaning in known:
            if byte & mask:
                lines.append(f"byte {at + 1} bit {mask.bit_length()}: {meaning}")
    return lines


def _cid(value: bytes) -> list[str]:
    kinds = {0x00: "AAC (declined)", 0x40: "TC (approved offline)", 0x80: "ARQC (go online)"}
    return [kinds.get(value[0] & 0xC0, "RFU")] if value else []


def _issuer_data(value: bytes) -> list[str]:
    """UnionPay and Visa form: length, key index, version, CVR, ...; PBOC e-cash balance."""
    if len(value) < 7 or value[3] != 3:
        return []
    kind = {0x10: "TC", 0x20: "ARQC"}.get(value[4] & 0x30, "AAC")
    lines = [
        f"key index {value[1]:02X}, cryptogram version {value[2]:02X}",
        f"card verification results {value[4:7].hex().upper()}: {kind}",
    ]
    if len(value) > 7:
        lines.append("algorithm " + {1: "3DES", 4: "SM4"}.get(value[7], f"{value[7]:02X}"))
    if len(value) >= 15 and value[8] >= 6 and value[9] == 1:
        lines.append(f"e-cash balance {value[10:15].hex()}, MAC {value[15:19].hex().upper()}")
    return lines


def _afl(value: bytes) -> list[str]:
    if len(value) % 4:
        return ["length is no multiple of four"]
    return [
        f"SFI {value[i] >> 3}, records {value[i + 1]} to {value[i + 2]}, {value[i + 3]} signed"
        for i in range(0, len(value), 4)
    ]


def _track2(value: bytes) -> list[str]:
    pan, found, rest = value.hex().partition("d")
    if not found or len(rest) < 7:
        return ["no track 2"]
    return [f"PAN {pan}, expires 20{rest[:2]}-{rest[2:4]}, service code {rest[4:7]}"]


def _cvm_results(value: bytes) -> list[str]:
    if len(value) != 3:
        return []
    methods = {0x1F: "no CVM", 0x1E: "signature", 0x02: "online PIN", 0x01: "plaintext PIN / CD"}
    results = {0: "unknown", 1: "failed", 2: "successful"}
    method = methods.get(value[0] & 0x3F, f"method {value[0] & 0x3F:02X}")
    return [f"{method}, condition {value[1]:02X}, {results.get(value[2], 'RFU')}"]


def _related(value: bytes) -> list[str]:
    if not value:
        return []
    lines = [f"fDDA version {value[0]:02X}"]
    if len(value) >= 7:
        lines.append(
            f"card's unpredictable number {value[1:5].hex().upper()}, CTQ {value[5:7].hex()}"
        )
    return lines


def _text(value: bytes) -> list[str]:
    try:
        return [f'"{value.decode("gb18030")}"']
    except UnicodeDecodeError:
        return []


def _dol(value: bytes) -> list[str]:
    try:
        return [f"{tag:X} {name(tag)}, {length} bytes" for tag, length in dol.parse(value)]
    except TlvError as e:
        return [str(e)]


def _number(value: bytes) -> list[str]:
    try:
        return [str(bcd.to_int(value))]
    except ValueError:
        return ["not a decimal number"]


_COMPOSITE: dict[int, Callable[[bytes], list[str]]] = {
    0x9F27: _cid,
    0x9F10: _issuer_data,
    0x94: _afl,
    0x57: _track2,
    0x9F34: _cvm_results,
    0x9F69: _related,
    0x9F36: lambda value: [f"counter {int.from_bytes(value, 'big')}"],
}


def meanings(tag: int, value: bytes, form: str) -> list[str]:
    """Lines that explain `value`; empty if there is nothing to say."""
    if tag in _BITS:
        return _bits(tag, value)
    if tag in _COMPOSITE:
        return _COMPOSITE[tag](value)
    if form in ("an", "ans"):
        return _text(value)
    if form == "dol":
        return _dol(value)
    if form == "n" and len(value) == 6:
        return _number(value)
    return []
