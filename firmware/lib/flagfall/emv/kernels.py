# What differs between the kernels of this unit, as data.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Kernel 7 and qPBOC (EMV Book C-7; JR/T 0025.12-2013) grew out of Kernel 3 (Book C-3), so one
# machine runs them all. Clauses and doubts are mapped in docs/contactless.md.

from flagfall.emv.aid import KERNEL_3, KERNEL_7
from flagfall.emv.outcome import END, OTHER_INTERFACE, TRY_AGAIN

V00_NEVER = 0
V00_OLD_CARDS = 1  # only from cards whose application version 9F08 is below 0030


class KernelRules:
    """`pdol` tags that must be asked for (else the next candidate), `mandatory` tags of the GPO
    answer, signature formats accepted beside a TC and an ARQC, the rule for fDDA version 00,
    status words of GPO, and whether FCI tag DF61 says if the card does transit ODA."""

    def __init__(self, number, pdol, mandatory, tc_formats, arqc_formats, v00, status, asks_df61):
        self.number = number
        self.pdol = pdol
        self.mandatory = mandatory
        self.tc_formats = tc_formats
        self.arqc_formats = arqc_formats
        self.v00 = v00
        self.status = status
        self.asks_df61 = asks_df61


_SM2 = 0x15  # our analogy to format 05, see oda_sm2.py

_STATUS = {
    0x6985: (END, "card-ends"),  # contactless: no next candidate
    0x6986: (TRY_AGAIN, "phone"),
    0x6984: (OTHER_INTERFACE, "other-interface"),
    0x6283: (END, "blocked"),
    0x6A81: (END, "blocked"),
}

_MANDATORY = (0x82, 0x9F36, 0x57, 0x9F10, 0x9F26)

_RULES = {
    KERNEL_7: KernelRules(
        KERNEL_7,
        (0x9F66, 0x9F37, 0x9F02, 0x5F2A),
        _MANDATORY,
        (0x05, _SM2),
        (0x05, _SM2),
        V00_OLD_CARDS,
        _STATUS,
        True,
    ),
    KERNEL_3: KernelRules(
        KERNEL_3, (0x9F66,), _MANDATORY, (0x05,), (0x05, 0x95), V00_NEVER, _STATUS, False
    ),
}


def rules(number):
    """The KernelRules of kernel `number`."""
    return _RULES[number]
