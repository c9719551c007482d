"""Frames: length, TPDU, header, and the ISO 8583 message by the profile's field table."""

from dataclasses import dataclass

import iso8583
from flagfall.emv.tlv import TlvError, parse

from flagfall_host.acquirer.errors import FrameError
from flagfall_host.acquirer.mac import Mac
from flagfall_host.acquirer.profile import Profile

MAX_FRAME = 2_048  # bytes; no message of this protocol comes near
_MAC_FIELD = "64"
_SECRET = frozenset({"35", "36", "45", "52"})  # track data and PIN blocks
_NO_CHIP_DATA = ("57", "5A", "5F20", "5F24", "5F34", "56", "9F6B")  # tags of DE55 that name a card
_LAST_DIGITS = 4


@dataclass
class Message:
    """A decoded message. `fields`: number -> text (hex for binary fields, digits for numbers)."""

    mti: str
    fields: dict[str, str]
    tpdu: bytes = b""
    header: bytes = b""
    mac_input: bytes = b""  # what DE64 covers

    def __repr__(self) -> str:
        return f"Message({self.mti}, {masked(self.fields)})"


def masked(fields: dict[str, str]) -> dict[str, str]:
    """The fields as they may be shown: of a card number the last four digits, no track data."""
    out = {}
    for number, value in fields.items():
        if number == "2":
            out[number] = "*" * (len(value) - _LAST_DIGITS) + value[-_LAST_DIGITS:]
        elif number in _SECRET:
            out[number] = "***"
        elif number == "55":
            out[number] = _masked_chip_data(value)
        else:
            out[number] = value
    return out


def _masked_chip_data(value: str) -> str:
    try:
        items = parse(bytes.fromhex(value))
    except (TlvError, ValueError):
        return "*** (no chip data)"
    tags = ((f"{tag:02X}", content) for tag, content in items)
    return " ".join(
        f"{tag}={'***' if tag in _NO_CHIP_DATA else content.hex().upper()}"
        for tag, content in tags
    )


def encode(profile: Profile, message: Message, mac: Mac | None = None) -> bytes:
    """The frame without its length prefix; with DE64 by `mac` if given. Raises FrameError."""
    document = {"h": "", "t": message.mti, **message.fields}
    try:
        raw, _ = iso8583.encode(document, profile.spec)
    except iso8583.EncodeError as e:
        raise FrameError(f"{message.mti}: field {e.field} does not fit: {_why(e)}") from None
    tpdu = message.tpdu or profile.tpdu
    frame = tpdu + (message.header or profile.header) + bytes(raw)
    return frame if mac is None else signed(profile, frame, mac)


def signed(profile: Profile, frame: bytes, mac: Mac) -> bytes:
    """A frame that ends before DE64, with bit 64 set and DE64 behind it."""
    start = len(profile.tpdu) + len(profile.header)
    last = start + profile.mti_bytes + 7  # the byte of the bitmap that holds bit 64
    body = frame[start:last] + bytes([frame[last] | 1]) + frame[last + 1 :]
    return frame[:start] + body + mac(body)


def decode(profile: Profile, frame: bytes) -> Message:
    """A frame (without its length prefix) as a Message. Raises FrameError."""
    start = len(profile.tpdu) + len(profile.header)
    if len(frame) < start + profile.mti_bytes + 8:
        raise FrameError(f"a frame of {len(frame)} bytes is too short for a message")
    body = frame[start:]
    try:
        document, encoded = iso8583.decode(body, profile.spec)
    except iso8583.DecodeError as e:
        raise FrameError(f"field {e.field} cannot be read: {_why(e)}") from None
    except KeyError as e:
        raise FrameError(f"field {e} is not in the profile {profile.name}") from None
    fields = {n: v for n, v in document.items() if n.isdigit() and n != "1"}
    covered = body[:-8] if _MAC_FIELD in fields else body
    tpdu = frame[: len(profile.tpdu)]
    return Message(document["t"], fields, tpdu, frame[len(tpdu) : start], covered)


def mac_good(message: Message, mac: Mac) -> bool:
    """Whether DE64 is there and right."""
    got = message.fields.get(_MAC_FIELD)
    return got is not None and bytes.fromhex(got) == mac(message.mac_input)


def with_length(profile: Profile, frame: bytes) -> bytes:
    return len(frame).to_bytes(profile.length_bytes, "big") + frame


def _why(error: iso8583.EncodeError | iso8583.DecodeError) -> str:
    """The library's words without its copy of the data."""
    return str(error.msg)
