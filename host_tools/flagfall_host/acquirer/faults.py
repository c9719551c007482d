"""What goes wrong between a terminal and its host: a menu, and a plan of what comes when."""

import json
import random
from collections.abc import Mapping
from pathlib import Path

from flagfall_host.acquirer.errors import AcquirerError

# name: (what happens, the message type that it happens to unless one is named)
MENU = {
    "lose-request": ("the question is lost; nothing is booked", "0200"),
    "lose-answer": ("booked, but the answer is lost", "0200"),
    "hang-up": ("the connection is dropped before anything is booked", "0200"),
    "drop": ("booked, then the connection is dropped without an answer", "0200"),
    "cut": ("booked; the connection is dropped in the middle of the answer", "0200"),
    "garble": ("booked; the answer is noise of the right length", "0200"),
    "late": ("booked; the answer comes after the terminal has stopped waiting", "0200"),
    "twice": ("booked; the answer comes twice", "0200"),
    "stray": ("booked; an answer to another question comes first", "0200"),
    "bad-mac": ("booked; the answer carries a wrong MAC", "0200"),
    "mac-error": ("answered A0; nothing is booked", "0200"),
    "decline": ("answered 51, not enough money, and so is each repeat; not booked", "0200"),
    "busy": ("answered 91; nothing is booked", "0200"),
    "busy-booked": ("booked, yet answered 91", "0200"),
    "unbalanced": ("the totals do not balance", "0500"),
    "error": ("the totals are answered by 3, error", "0500"),
}
FAULTS = tuple(MENU)
_ANY = tuple(name for name in MENU if name not in ("decline", "unbalanced", "error"))


class Faults:
    """`plan`: "NAME" or "NAME@MTI" -> how many of the next messages of that type it happens to.

    `chaos`: a seed; then every second message of any type meets a fault drawn by lot.
    """

    def __init__(self, plan: Mapping[str, int] | None = None, chaos: int | None = None) -> None:
        self._left: dict[tuple[str, str], int] = {}
        self._chance = None if chaos is None else random.Random(chaos)  # noqa: S311 - a simulation
        for entry, count in (plan or {}).items():
            name, _, mti = entry.partition("@")
            if name not in MENU or count < 0 or (mti and not (mti.isdigit() and len(mti) == 4)):
                raise AcquirerError(
                    f"fault {entry}={count}: NAME or NAME@MTI and a count, with one of "
                    f"{', '.join(MENU)}"
                )
            self._left[mti or MENU[name][1], name] = count

    def next(self, mti: str) -> str | None:
        """The fault that the next message of this type meets, if any."""
        for (kind, name), left in self._left.items():
            if kind == mti and left:
                self._left[kind, name] = left - 1
                return name
        if self._chance is not None and self._chance.random() < 0.5:
            return self._chance.choice(_ANY)
        return None


def read_plan(path: Path) -> tuple[dict[str, int], int | None]:
    """A plan and a chaos seed from a JSON file: {"lose-answer": 2, "drop@0500": 1, "chaos": 7}."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        plan = {str(name): int(count) for name, count in data.items()}
    except (OSError, ValueError, TypeError, AttributeError) as e:
        raise AcquirerError(f"{path}: not a JSON object of faults and counts: {e}") from e
    chaos = plan.pop("chaos", None)
    return plan, chaos
