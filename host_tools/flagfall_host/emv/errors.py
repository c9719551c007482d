"""What can be wrong with what a person hands to the card tools."""

from flagfall_host.errors import FlagfallError


class BadCardInput(FlagfallError):
    """Hex, JSON or a transcript that cannot be read; the message says where and what to do."""


def from_hex(text: str, what: str) -> bytes:
    """Bytes of hex digits with any white space between. Raises BadCardInput."""
    digits = "".join(text.split())
    if digits[:2] in ("0x", "0X"):
        digits = digits[2:]
    for at, digit in enumerate(digits):
        if digit not in "0123456789abcdefABCDEF":
            raise BadCardInput(f"{what}: {digit!r} at place {at + 1} is no hex digit")
    if len(digits) % 2:
        raise BadCardInput(f"{what}: odd number of hex digits, one is missing or too many")
    return bytes.fromhex(digits)
