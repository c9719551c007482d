# Which application of the card to use (EMV Book B, section 3.3; PPSE: Book B, annex A).
# MIT licence, (c) 2026 The Flagfall contributors.

from flagfall.emv import dol
from flagfall.emv.tlv import TlvError, first, is_constructed, only, parse

PPSE = b"2PAY.SYS.DDF01"
MAX_CANDIDATES = 16

SELECT_PPSE = b"\x00\xa4\x04\x00\x0e" + PPSE + b"\x00"


def select_command(name):
    """SELECT by name, first occurrence (Book 1, section 11.3.2)."""
    return b"\x00\xa4\x04\x00" + bytes((len(name),)) + name + b"\x00"


class Candidate:
    """A card's application that the terminal takes: `name` for SELECT, `adf` (tag 4F),
    `combination` (of preprocessing.py), `priority` 1 (highest) to 15, 16 for none."""

    def __init__(self, name, adf, combination, priority):
        self.name = name
        self.adf = adf
        self.combination = combination
        self.priority = priority


def kernel_id(value, default):
    """Kernel that an entry's 9F2A asks for (Book B, 3.3.2.5), or None if it is not supported.

    0 means that any kernel will do; absent or of impossible length means `default`.
    """
    if value is None or len(value) not in (1, 3, 4, 5, 6, 7, 8):
        return default
    if value[0] & 0x80 == 0:
        return value[0]
    if len(value) < 3 or value[0] & 0x3F == 0:
        return None
    return value[0] << 16 | value[1] << 8 | value[2]


def _best(adf, combinations):
    """The combination with the longest AID that matches `adf`, or None."""
    best = None
    for combination in combinations:
        aid = combination.parameters.aid
        if not combination.parameters.matches(adf):
            continue
        if best is None or len(aid) > len(best.parameters.aid):
            best = combination
    return best


def directory(body):
    """The entries of the PPSE's answer: (AID, kernel identifier, extended selection, priority),
    the middle ones as they came or None, priority 0 for none. Raises TlvError."""
    fci = parse(only(body, 0x6F))
    if first(fci, 0x84) != PPSE:
        raise TlvError("not the answer of a PPSE")
    proprietary = first(fci, 0xA5)
    discretionary = first(parse(proprietary), 0xBF0C) if proprietary is not None else None
    if discretionary is None:
        raise TlvError("PPSE without a directory")
    found = []
    for tag, entry in parse(discretionary):
        if tag != 0x61:
            continue
        fields = parse(entry)
        adf = first(fields, 0x4F)
        if adf is None or not 5 <= len(adf) <= 16:
            raise TlvError("directory entry without an AID")
        api = first(fields, 0x87)
        priority = api[0] & 0x0F if api else 0
        found.append((adf, first(fields, 0x9F2A), first(fields, 0x9F29), priority))
    return found


def candidates(entries, combinations):
    """The candidates among the entries of a `directory`, the one to try first in front.

    Highest priority first, equal ones in the card's order. Raises TlvError.
    """
    found = []
    for adf, kernel, extended, priority in entries:
        if len(found) >= MAX_CANDIDATES:
            raise TlvError("too many directory entries")
        combination = _best(adf, combinations)
        if combination is None:
            continue
        ours = combination.parameters.kernel
        asked = kernel_id(kernel, ours)
        if asked not in (0, ours):
            continue
        name = adf
        if combination.parameters.extended_selection and extended:
            name = adf + extended
            if len(name) > 16:
                continue
        found.append(Candidate(name, adf, combination, priority or 16))
    order = [(c.priority, at) for at, c in enumerate(found)]
    order.sort()
    return [found[at] for _, at in order]


class Fci:
    """What the terminal needs of a SELECT answer: `name` (84), `asked` (the PDOL as a list of
    (tag, length), empty if there is none) and `tags` of it, `oda` (DF61 bit 7: the card does
    ODA for online)."""

    def __init__(self, name, asked, oda):
        self.name = name
        self.asked = asked
        self.tags = [tag for tag, _ in asked]
        self.oda = oda


def _find(items, tag, depth):
    for got, value in items:
        if got == tag:
            return value
        if is_constructed(got) and depth:
            inner = _find(parse(value), tag, depth - 1)
            if inner is not None:
                return inner
    return None


def parse_fci(body):
    """Read the answer to SELECT. Raises TlvError."""
    items = parse(only(body, 0x6F))
    name = first(items, 0x84)
    if name is None or len(name) > 16:
        raise TlvError("FCI without a name")
    proprietary = first(items, 0xA5)
    if proprietary is None:
        raise TlvError("FCI without its proprietary template")
    items = parse(proprietary)
    pdol = first(items, 0x9F38)
    flags = _find(items, 0xDF61, 2)
    asked = dol.parse(pdol) if pdol is not None else []
    return Fci(name, asked, bool(flags and flags[0] & 0x40))


def answers(fci, candidate):
    """True if it is `candidate`'s application that answered with `fci`."""
    return fci.name[: len(candidate.adf)] == candidate.adf
