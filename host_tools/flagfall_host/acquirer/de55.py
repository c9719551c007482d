"""DE55: the chip's data for the issuer, in the order that UnionPay hosts expect."""

from flagfall.emv.tlv import TlvError, encode, parse

from flagfall_host.acquirer.errors import FrameError
from flagfall_host.acquirer.sealed import CardData

MAX_BYTES = 255
# Offline e-cash sale: the standard set, then 9F74 (authorisation code) and 8A, which says "Y1".
ORDER = (
    0x9F26,
    0x9F27,
    0x9F10,
    0x9F37,
    0x9F36,
    0x95,
    0x9A,
    0x9C,
    0x9F02,
    0x5F2A,
    0x82,
    0x9F1A,
) + (0x9F03, 0x9F33, 0x9F34, 0x9F35, 0x9F1E, 0x84, 0x9F09, 0x9F41, 0x9F63, 0x9F74)
REQUIRED = (0x9F26, 0x9F10, 0x9F37, 0x9F36, 0x95, 0x9A, 0x9C, 0x9F02, 0x5F2A, 0x82, 0x9F1A, 0x9F03)
RESPONSE_CODE = 0x8A
_CID, _AUTHORISATION = 0x9F27, 0x9F74
_CVR_PLACE = 4  # of the byte in 9F10 whose bits 6 and 5 say what the cryptogram is
_CID_BY_CVR = {0x10: b"\x40", 0x20: b"\x80"}  # TC, ARQC; else AAC


def build(card: CardData, response_code: bytes = b"", authorisation: bytes = b"") -> bytes:
    """DE55 of a payment: `response_code` is tag 8A, `authorisation` 9F74 if the card has none.

    Raises FrameError if a required tag is missing or it grows too long.
    """
    for tag in REQUIRED:
        if card.get(tag) is None:
            raise FrameError(f"DE55: the card data hold no tag {tag:X}")
    spare = {_CID: _cid_of(card), _AUTHORISATION: authorisation}
    out = b""
    for tag in ORDER:
        value = card.get(tag) or spare.get(tag)
        if value:
            out += encode(tag, value)
    if response_code:
        out += encode(RESPONSE_CODE, response_code)
    if len(out) > MAX_BYTES:
        raise FrameError(f"DE55 of {len(out)} bytes; at most {MAX_BYTES} fit")
    return out


def _cid_of(card: CardData) -> bytes:
    """9F27 from the CVR in 9F10, for cards that leave it out of their answer."""
    issuer_data = card.get(0x9F10) or b""
    if len(issuer_data) <= _CVR_PLACE:
        raise FrameError("DE55: tag 9F10 is too short")
    return _CID_BY_CVR.get(issuer_data[_CVR_PLACE] & 0x30, b"\0")


def read(data: bytes) -> dict[int, bytes]:
    """DE55 as tag -> value. Raises FrameError."""
    try:
        items = parse(data)
    except TlvError as e:
        raise FrameError(f"DE55: {e}") from None
    tags = dict(items)
    if len(tags) != len(items):
        raise FrameError("DE55: a tag occurs twice")
    return tags
