"""The issuer behind the simulated acquirer: does this cryptogram come from one of our cards?

Keys by pyemv (EMV Book 2, A1.4.1 option A); UnionPay's session key and the input of its
cryptogram version 01 as in docs/acquirer.md.
"""

import json
from pathlib import Path

from pyemv import ac, kd
from pyemv.ac import PaddingType
from pyemv.tools import encrypt_tdes_ecb

from flagfall_host.acquirer.errors import KeysError

_INPUT = (0x9F02, 0x9F03, 0x9F1A, 0x95, 0x5F2A, 0x9A, 0x9C, 0x9F37, 0x82, 0x9F36)
_CVN_PLACE = 2  # of the cryptogram version in 9F10, after length and key index
_CVN_UNIONPAY, _CVN_18 = 0x01, 0x12
_CVR = slice(3, 7)  # in 9F10: 03 and three bytes
_TC, _ARQC = 0x10, 0x20  # bits 6 and 5 of CVR byte 1


def load_master_key(path: Path) -> bytes:
    """The issuer's test master key: `test_imk_ac` in hex, in a JSON file, on its own or in
    `master`. Raises KeysError."""
    try:
        data = json.loads(path.read_text(encoding="ascii"))
        key = bytes.fromhex(data.get("master", data)["test_imk_ac"])
    except (OSError, ValueError, KeyError, AttributeError) as e:
        raise KeysError(f"{path}: no test_imk_ac there ({type(e).__name__})") from e
    if len(key) != 16:
        raise KeysError(f"{path}: test_imk_ac has 16 bytes, not {len(key)}")
    return key


def session_key(master: bytes, pan: str, psn: str, atc: int) -> bytes:
    """The 16-byte session key of one transaction counter."""
    card = kd.derive_icc_mk_a(master, pan, psn)
    left, right = atc.to_bytes(8, "big"), (atc ^ 0xFFFF).to_bytes(8, "big")
    return encrypt_tdes_ecb(card, left) + encrypt_tdes_ecb(card, right)


def cryptogram_good(
    master: bytes, pan: str, psn: str, tags: dict[int, bytes], *, online: bool = False
) -> bool:
    """Whether 9F26 is the cryptogram of this card over these data: a TC, or with `online` an ARQC.

    Versions 01 (UnionPay) and 18 (Kernel 3 cards; EMV Book 2 A1.3.1 session key, all of 9F10).
    """
    issuer_data = tags[0x9F10]
    if len(issuer_data) < _CVR.stop or len(tags[0x9F36]) != 2:
        return False
    cvr, version = issuer_data[_CVR], issuer_data[_CVN_PLACE]
    if cvr[1] & 0x30 != (_ARQC if online else _TC):
        return False
    atc = tags[0x9F36]
    data = b"".join(tags[tag] for tag in _INPUT)
    if version == _CVN_UNIONPAY:
        session = session_key(master, pan, psn, int.from_bytes(atc, "big"))
        data += cvr
    elif version == _CVN_18:
        session = kd.derive_common_sk(kd.derive_icc_mk_a(master, pan, psn), atc + bytes(6))
        data += issuer_data
    else:
        return False
    return ac.generate_ac(session, data, PaddingType.EMV, 8) == tags[0x9F26]
