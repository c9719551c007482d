# Before a card is asked for: which applications the amount allows, and with which TTQ.
# JR/T 0025.12-2013, section 6.2; EMV Book A, section 5.
# MIT licence, (c) 2026 The Flagfall contributors.

from flagfall.emv.outcome import OTHER_INTERFACE, Stop
from flagfall.emv.terminal import ODA

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_BASE = const(0x7E)  # byte 1 of the TTQ before the terminal's mask
_FULL_PBOC = const(0x40)  # this unit has no full PBOC path, whatever the mask says
_OFFLINE_ONLY = const(0x08)
_ODA_FOR_ONLINE = const(0x01)
_ONLINE_REQUIRED = const(0x80)
_CVM_REQUIRED = const(0x40)
_FDDA_V01 = const(0x80)


class Combination:
    """One application that the amount allows. `over_floor`: only with an online cryptogram;
    `cvm`: the cardholder must be verified; `oda`: transit ODA is possible for this amount."""

    def __init__(self, parameters, over_floor, cvm, oda):
        self.parameters = parameters
        self.over_floor = over_floor
        self.cvm = cvm
        self.oda = oda

    def ttq(self, mask, profile):
        """The four TTQ bytes for `profile` under the terminal's `mask`."""
        b1 = _BASE
        b2 = 0
        if profile == ODA:
            b1 = (b1 | _ODA_FOR_ONLINE) & ~_OFFLINE_ONLY
            b2 |= _ONLINE_REQUIRED
        if self.over_floor:
            b2 |= _ONLINE_REQUIRED
        if self.cvm:
            b2 |= _CVM_REQUIRED
        return bytes((b1 & mask[0] & ~_FULL_PBOC, b2 & mask[1], 0, _FDDA_V01 & mask[3]))


def check_stored(limits, stored, amount):
    """Refuse a tap while too much waits for upload. `stored` is (count, amount, age in s)."""
    count, total, age_s = stored
    if count >= limits.count:
        raise Stop(OTHER_INTERFACE, "stored-count")
    if total + amount > limits.amount:
        raise Stop(OTHER_INTERFACE, "stored-amount")
    if age_s > limits.age_s:
        raise Stop(OTHER_INTERFACE, "stored-age")


def combinations(terminal, amount):
    """The list of Combination for `amount` (minor units). Raises Stop if there is none.

    Step numbers are those of JR/T 0025.12-2013, 6.2. Step 1 (status check) is not offered.
    """
    if amount <= 0:  # step 2: this terminal has no online interface at the tap
        raise Stop(OTHER_INTERFACE, "amount")
    allowed = []
    without_limit = 0
    for parameters in terminal.aids:
        ceiling = parameters.transaction_limit
        if ceiling is not None and amount >= ceiling:  # step 3
            continue
        floor = parameters.offline_limit()
        if floor is None:  # step 5
            without_limit += 1
            continue
        cvm = parameters.cvm_limit is not None and amount >= parameters.cvm_limit  # step 4
        over_floor = amount > floor  # step 5
        if parameters.ecash_limit is not None and amount > parameters.ecash_limit:
            over_floor = True
        oda_limit = floor if terminal.oda_limit is None else terminal.oda_limit
        oda = ODA in terminal.profiles and amount <= oda_limit
        allowed.append(Combination(parameters, over_floor, cvm, oda))
    if not allowed:
        only_limits_missing = without_limit == len(terminal.aids)
        raise Stop(OTHER_INTERFACE, "no-limit" if only_limits_missing else "limit")
    return allowed
