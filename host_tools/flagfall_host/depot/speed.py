"""The cable's speed: up once the session stands, back when the line does not carry it.

docs/formats.md section 6, BAUD; the unit's half is flagfall/link/speed.py.
"""

from flagfall.link import messages
from flagfall.link.speed import TRIAL_MS

from flagfall_host.depot.link import ANSWER_S, Link
from flagfall_host.depot.link_errors import NoAnswer, SessionLost, UnitRefused
from flagfall_host.depot.serial_wire import BASE_BAUD

FAST_BAUD = 921_600
_PROBES = 5  # INFOs sent at the new speed,
_GOOD = 3  # of which so many must be answered
_PROBE_S = 0.3  # for the answer to one
_SETTLE_S = 0.05  # in which the unit changes over
_CONFIRMATIONS = 3
_MARGIN_S = 0.3
_GREETINGS = 2  # HELLOs at one speed


def raise_speed(link: Link, wanted: int = FAST_BAUD) -> int:
    """Move link and unit up to `wanted` bit/s; return the speed that they then talk at.

    A unit that cannot, or a line that does not carry it, leaves both where they were.
    """
    before = link.wire.baud
    if wanted <= before:
        return before
    rate = messages.pack_u32(wanted)
    try:
        # Without an answer the unit may have changed all the same: the line tells.
        link.ask_once(messages.BAUD, rate, ANSWER_S)
        link.wire.set_baud(wanted)
        link.pause(_SETTLE_S)
        if _carries(link) and _confirmed(link, rate):
            return wanted
    except UnitRefused:
        return before
    except SessionLost:
        pass
    link.wire.set_baud(before)
    link.pause(TRIAL_MS / 1_000 + _MARGIN_S)  # the unit goes back by itself
    return _settle(link)


def lower_speed(link: Link) -> int:
    """Move link and unit back down; return the speed they then talk at. Raises NoAnswer."""
    wanted = link.base_baud
    if link.wire.baud <= wanted:
        return link.wire.baud
    for _ in range(_CONFIRMATIONS):
        try:
            if link.ask_once(messages.BAUD, messages.pack_u32(wanted), _PROBE_S) is not None:
                break
        except (UnitRefused, SessionLost):
            break
    link.wire.set_baud(wanted)
    link.pause(_SETTLE_S)
    return _settle(link)


def _settle(link: Link) -> int:
    """Make sure that both ends are at one speed, and say which."""
    if not _carries(link):
        find_unit(link)
        link.open()
    return link.wire.baud


def _confirmed(link: Link, rate: bytes) -> bool:
    return any(
        link.ask_once(messages.BAUD, rate, _PROBE_S) is not None for _ in range(_CONFIRMATIONS)
    )


def _carries(link: Link) -> bool:
    good = 0
    for sent in range(_PROBES):
        try:
            good += link.ask_once(messages.INFO, b"", _PROBE_S) is not None
        except (UnitRefused, SessionLost):
            return False
        if good == _GOOD or good + _PROBES - sent - 1 < _GOOD:
            break
    return good == _GOOD


def find_unit(link: Link, speeds: tuple[int, ...] = (BASE_BAUD, FAST_BAUD)) -> None:
    """Set the wire to the speed at which a unit answers a greeting. Raises NoAnswer.

    A unit whose host died stays at the speed they had for ten seconds.
    """
    first = link.wire.baud
    error: NoAnswer | None = None
    for speed in (first, *(s for s in speeds if s != first), first):
        link.wire.set_baud(speed)
        try:
            link.greet(tries=_GREETINGS)
            return
        except NoAnswer as e:
            error = error or e
    if error is not None:
        raise error
