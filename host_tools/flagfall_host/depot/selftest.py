"""A unit's self-test as the desk sees it: each part asked for, and what to do about a failure."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from flagfall import clock
from flagfall.link import messages

from flagfall_host.depot.link import Link
from flagfall_host.depot.link_errors import LinkError, UnitFault, UnitRefused

PASS, FAIL, ABSENT = "pass", "fail", "absent"
_RUNNING, _LOOK = "running", "look"
_EVERY_S = 0.3  # between two questions about a test that runs
_LONGEST_S = 60.0  # a part's test; the unit's own limits end it sooner
_CLOCK_OFF_S = 120  # what the unit lets anybody correct in a week


@dataclass(frozen=True)
class Part:
    """What is tested: its name, what a person must do or look at, and what mends a failure."""

    name: str
    mend: str
    ask: str = ""  # of a person, while it runs
    look: str = ""  # a question to a person, afterwards


PARTS = (
    Part("reader", "check the reader's cable and supply; if it stays, replace the reader"),
    Part(
        "printer",
        "check paper, cover, cable and supply; if it stays, replace the printer",
        look="Is SELF-TEST on paper, in clear print",
    ),
    Part(
        "display",
        "check the display's cable; if it stays, replace the display",
        ask="Look at the display.",
        look="Did it show 0123456789, and did a tone sound",
    ),
    Part("flash", "pull the unit, then replace its board: it must not take cards like this"),
    Part("clock", "`flagfall unit time`; if the date is lost again, replace the clock's battery"),
    Part(
        "sensor",
        "check the sensor's plug and its wire to the unit, then the sensor",
        ask="Move the car by a metre, or turn the sensor by hand.",
    ),
    Part(
        "keys",
        "check the keypad's cable; if it stays, replace the keypad",
        ask="Press every function key once, SIGN to FOR_HIRE.",
    ),
    Part("supply", "measure the vehicle's battery, then the fuse and the supply's plug"),
)
NAMES = tuple(part.name for part in PARTS)


class SelfTestRefused(LinkError):
    """The unit does not test itself now."""


@dataclass(frozen=True)
class PartResult:
    """How one part fared. `state`: pass, fail or absent; `do` is empty unless it failed."""

    part: str
    state: str
    detail: str
    do: str = ""


def self_test(
    link: Link,
    parts: tuple[Part, ...],
    person: Callable[[str], bool] | None,
    tell: Callable[[Part, str], None],
) -> Iterator[PartResult]:
    """Test `parts` of the unit on an opened `link`, one after the other.

    `person(question)` asks somebody who looks, None where nobody does: then the unit's own word
    counts. `tell(part, text)` shows how a test is getting on. Raises SelfTestRefused.
    """
    for part in parts:
        tell(part, part.ask)
        state, detail = _one(link, part, tell)
        if state == _LOOK:
            state = PASS
            if person is not None:
                seen = person(part.look)
                state = PASS if seen else FAIL
                detail += ", and so it is" if seen else ", but nobody sees it"
        if part.name == "clock" and state == PASS:
            state, detail = _compared(link)
        yield PartResult(part.name, state, detail, part.mend if state == FAIL else "")


def _one(link: Link, part: Part, tell: Callable[[Part, str], None]) -> tuple[str, str]:
    question = messages.pack_str(part.name)
    deadline = time.monotonic() + _LONGEST_S
    while True:
        try:
            answer = link.ask(messages.SELFTEST, question)
        except UnitRefused as e:
            if e.code == messages.UNKNOWN_MESSAGE:
                why = "its firmware has no self-test: flash a newer release"
            else:
                why = e.text
            raise SelfTestRefused(f"{link.wire.name}: {why}") from e
        state, detail = answer.get("state"), answer.get("detail")
        if not isinstance(state, str) or not isinstance(detail, str):
            raise UnitFault(f"{link.wire.name}: the unit's answer to a self-test has no state")
        if state != _RUNNING:
            if state not in (PASS, FAIL, ABSENT, _LOOK):
                raise UnitFault(f"{link.wire.name}: the unit answers {state!r} to a self-test")
            return state, detail
        if time.monotonic() > deadline:
            return FAIL, f"not over after {_LONGEST_S:.0f} s"
        if detail:
            tell(part, detail)
        link.pause(_EVERY_S)


def _compared(link: Link) -> tuple[str, str]:
    """The unit's clock runs: is it right by this machine's?"""
    there = link.ask(messages.INFO).get("time")
    if not isinstance(there, int):
        raise UnitFault(f"{link.wire.name}: the unit names no time")
    off = there - clock.from_unix(time.time())
    text = f"it runs, and is {abs(off)} s {'ahead of' if off > 0 else 'behind'} this machine"
    if abs(off) > _CLOCK_OFF_S:
        return FAIL, text
    return PASS, text if off else "it runs, and is right"
