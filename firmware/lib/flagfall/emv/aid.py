# The acquirer's parameters for one application: what a card may be asked, and for how much.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# The layout is the TLV row of the UnionPay POS parameter download (DE62 of network management
# 380), as terminals in the field read it.

from flagfall.emv import bcd
from flagfall.emv.tlv import TlvError, parse

KERNEL_7 = 7  # UnionPay QuickPass, and qPBOC before it
KERNEL_3 = 3  # Visa

# Book B, table 3-6, as far as this unit has kernels: registered provider -> default kernel.
_KERNEL_OF_RID = {
    b"\xa0\x00\x00\x03\x33": KERNEL_7,
    b"\xa0\x00\x00\x06\x32": KERNEL_7,  # China T-Union, same flow
    b"\xa0\x00\x00\x00\x03": KERNEL_3,
}


class ParameterError(ValueError):
    """An acquirer parameter row that makes no sense. The text names tag and fault."""


class AidParameters:
    """One row. Limits are in minor units, None where the row has none.

    `aid`, `exact` (DF01 = 1: the card's name must be the same; 0: it may be longer),
    `version` (9F09, else 9F08), `kernel`, `floor` (9F1B, a binary number), `offline_floor` (DF19),
    `transaction_limit` (DF20), `cvm_limit` (DF21), `ecash_limit` (9F7B), `extended_selection`
    (DF7F = 01, ours: take 9F29 into the SELECT), `tac` (default, online, denial).
    """

    def __init__(self, aid, exact=False, kernel=None):
        if not 5 <= len(aid) <= 16:
            raise ParameterError("AID must have 5 to 16 bytes")
        self.aid = bytes(aid)
        self.exact = exact
        self.version = b"\x00\x30"
        self.kernel = _KERNEL_OF_RID.get(self.aid[:5]) if kernel is None else kernel
        if self.kernel not in (KERNEL_7, KERNEL_3):
            raise ParameterError("no kernel in this unit for AID " + self.aid.hex())
        self.floor = None
        self.offline_floor = None
        self.transaction_limit = None
        self.cvm_limit = None
        self.ecash_limit = None
        self.extended_selection = False
        self.tac = (bytes(5), bytes(5), bytes(5))

    def rid(self):
        return self.aid[:5]

    def matches(self, adf_name):
        """True if the card's application `adf_name` is this one (Book B, 3.3.2.4)."""
        if self.exact:
            return adf_name == self.aid
        return adf_name[: len(self.aid)] == self.aid

    def offline_limit(self):
        """The contactless offline floor limit, or 9F1B in its place, or None."""
        return self.floor if self.offline_floor is None else self.offline_floor


def _amount(value, tag):
    if not 1 <= len(value) <= 6:
        raise ParameterError("tag %X is no amount" % tag)
    try:
        return bcd.to_int(value)
    except ValueError:
        raise ParameterError("tag %X is no amount" % tag) from None


def _exactly(value, size, tag):
    if len(value) != size:
        raise ParameterError("tag %X must have %d bytes" % (tag, size))
    return value


def parse_aid(row, kernel=None):
    """Read one parameter row (9F06 first or anywhere). Raises ParameterError.

    `kernel` (7 or 3) is for providers other than UnionPay, T-Union and Visa.
    """
    try:
        items = parse(row)
    except TlvError as e:
        raise ParameterError("AID parameters: %s" % e) from None
    got = {}
    for tag, value in items:
        if tag in got:
            raise ParameterError("tag %X occurs twice" % tag)
        got[tag] = value
    if 0x9F06 not in got:
        raise ParameterError("tag 9F06 (AID) is missing")
    asi = got.get(0xDF01, b"\x00")
    if asi not in (b"\x00", b"\x01"):
        raise ParameterError("tag DF01 must be 00 or 01")
    result = AidParameters(got[0x9F06], asi == b"\x01", kernel)
    version = got.get(0x9F09, got.get(0x9F08))
    if version is not None:
        result.version = _exactly(version, 2, 0x9F09)
    if 0x9F1B in got:
        result.floor = int.from_bytes(_exactly(got[0x9F1B], 4, 0x9F1B), "big")
    for tag, name in (
        (0xDF19, "offline_floor"),
        (0xDF20, "transaction_limit"),
        (0xDF21, "cvm_limit"),
        (0x9F7B, "ecash_limit"),
    ):
        if tag in got:
            setattr(result, name, _amount(got[tag], tag))
    result.tac = tuple(
        _exactly(got.get(tag, bytes(5)), 5, tag) for tag in (0xDF11, 0xDF12, 0xDF13)
    )
    result.extended_selection = got.get(0xDF7F) == b"\x01"
    return result
