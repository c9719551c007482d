"""An update on its way into a unit: what stands against it, the push, and the restart after it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flagfall.link import messages

from flagfall_host.depot.link import Link
from flagfall_host.depot.link_errors import LinkError
from flagfall_host.depot.push import Progress, push
from flagfall_host.errors import FlagfallError
from flagfall_host.updates.bundle_file import BundleFile

WAIT_S = 180.0  # for the restart, and until the new program is confirmed
_LOOK_S = 1.0
_FOR_HIRE = 0


class UpdateRefused(FlagfallError):
    """The unit does not take this update, or not now. Its program is as it was."""

    exit_code = 4


class NotConfirmed(FlagfallError):
    """The unit has the update, but it has not been seen to run it."""

    exit_code = 5


class GivenUp(FlagfallError):
    """The unit tried the update three times and went back to the program before it."""

    exit_code = 6


@dataclass(frozen=True)
class Programs:
    """What the unit runs and what waits. Hashes in hex; `release` 0: from the workshop."""

    unit_id: str
    board: str
    slot: str
    release: int
    on_trial: bool
    metrology: str
    audit: int
    position: int
    given_up: int
    waiting: dict[str, Any]


def programs(link: Link) -> Programs:
    """Ask the unit on `link`. Raises UpdateRefused if it has no slots, or no settings yet."""
    info = link.ask(messages.INFO)
    program, metrology = info.get("program"), info.get("metrology")
    if not isinstance(program, dict) or not isinstance(metrology, dict) or link.unit is None:
        raise UpdateRefused(
            f"{link.wire.name}: this unit takes no updates: provision it first, or flash it once "
            "more with `flagfall flash`"
        )
    return Programs(
        link.unit.unit_id,
        link.unit.model,
        str(program.get("slot", "")),
        int(program.get("release", 0)),
        bool(program.get("trial")),
        str(metrology.get("sha256", "")),
        _number(info.get("audit")),
        _number(info.get("position")),
        int(program.get("given_up", 0)),
        program.get("waiting") or {},
    )


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def must_fit(there: Programs, update: BundleFile, permitted: bool) -> None:
    """Raise UpdateRefused, with what to do, if the unit would not take the update now."""
    unit = there.unit_id
    if update.board != there.board:
        raise UpdateRefused(f"{unit} is a {there.board}, the update is for {update.board}")
    if update.release < there.release:
        raise UpdateRefused(
            f"{unit} runs release {there.release}; release {update.release} is older and is "
            "never taken: build the old state anew, as a higher release"
        )
    if there.position != _FOR_HIRE:
        raise UpdateRefused(
            f"{unit} is hired: an update is taken For Hire only; run this again after the trip"
        )
    if update.metrology != there.metrology and not permitted:
        raise UpdateRefused(
            f"{unit}: this update changes the metrology files\n"
            f"  from {there.metrology}\n"
            f"  to   {update.metrology}\n"
            "It needs the inspector's permit, or the opened seal switch (--seal-open):\n"
            f"  flagfall update permit FILE --unit {unit} --change {there.audit + 1} -o PERMIT\n"
            f"  flagfall unit update FILE --permit PERMIT"
        )


def send(
    link: Link, update: BundleFile, permit: bytes | None, progress: Progress | None = None
) -> None:
    """Push the permit, if there is one, and the bundle; return when the unit has verified it.

    A push that broke off goes on where it was. Raises LinkError.
    """
    if permit is not None:
        push(link, "permit", permit)
    push(link, "firmware", update.data, progress)


def wait_until_in_force(
    opened: Callable[[], Link],
    update: BundleFile,
    seconds: float = WAIT_S,
    told: Callable[[str], None] = lambda _: None,
) -> Programs:
    """Wait until the unit runs the update and has confirmed it.

    `opened` dials the unit anew; `told` hears each new state. Raises NotConfirmed, GivenUp.
    """
    until = time.monotonic() + seconds
    last = ""
    while time.monotonic() < until:
        state = "starts anew"
        try:
            with opened() as link:
                there = programs(link)
        except LinkError:
            pass  # it is just starting
        else:
            if there.given_up == update.release:
                raise GivenUp(
                    f"{there.unit_id} tried release {update.release} three times in vain and is "
                    f"back at release {there.release}: `flagfall unit log` says when; ask whoever "
                    "built the update"
                )
            if there.release == update.release and not there.on_trial:
                return there
            state = "waits for its restart, For Hire"
            if there.release == update.release:
                state = "runs it on trial"
        if state != last:
            told(state)
            last = state
        time.sleep(_LOOK_S)
    raise NotConfirmed(
        f"the unit has release {update.release}, but was not seen to run it within {seconds:.0f} "
        "s: look with `flagfall unit info`"
    )
