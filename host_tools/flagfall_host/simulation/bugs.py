"""Bugs on purpose: what the simulation must catch if it is worth anything (docs/simulation.md).

Each takes a piece out of the project's own code for the length of a run.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from flagfall_host.errors import FlagfallError
from flagfall_host.simulation import firmware_modules

Patch = contextlib.AbstractContextManager[Any]
_BUGS: dict[str, tuple[str, Callable[[], Patch]]] = {}


class NoSuchBug(FlagfallError):
    """The list has no bug of that name."""


def described() -> list[tuple[str, str]]:
    """(name, what is wrong) of each."""
    return [(name, what) for name, (what, _) in _BUGS.items()]


@contextlib.contextmanager
def switched_on(name: str | None) -> Iterator[None]:
    """Run with this bug; None: without any. Raises NoSuchBug."""
    if name is None:
        yield
        return
    if name not in _BUGS:
        raise NoSuchBug(f"no bug {name}; `flagfall simulate --bug list` names them")
    firmware_modules.load()
    with _BUGS[name][1]():
        yield


def _bug(name: str, what: str) -> Callable[[Callable[[], Patch]], Callable[[], Patch]]:
    def keep(make: Callable[[], Patch]) -> Callable[[], Patch]:
        _BUGS[name] = (what, make)
        return make

    return keep


def _app(module: str) -> Any:
    return sys.modules[f"app.{module}"]


# --- the unit -----------------------------------------------------------------------------------


@_bug("beep-before-flash", "the unit says Paid before the payment is in flash")
def _beep_before_flash() -> Patch:
    payment = _app("payment").Payment
    conclude = payment._conclude

    def early(self: Any, tx: Any) -> Any:
        if tx.outcome.code == _app("payment").oc.APPROVED:
            self._screen.tone("approved")
        return conclude(self, tx)

    return mock.patch.object(payment, "_conclude", early)


@_bug("no-intent", "a debit that is about to happen is not made durable first")
def _no_intent() -> Patch:
    return mock.patch.object(_app("payment").Payment, "_intend", lambda *_: None)


@_bug("forget-torn", "a torn payment is not kept for its card's return")
def _forget_torn() -> Patch:
    return mock.patch.object(_app("payment").Payment, "_add_torn", lambda *_: None)


@_bug("intent-not-recovered", "after a power cut nobody looks whether a debit was on its way")
def _intent_not_recovered() -> Patch:
    return mock.patch.object(_app("payment").Payment, "_recover_intent", lambda self: None)


@_bug("count-twice", "a card payment goes into the totals twice")
def _count_twice() -> Patch:
    duty = _app("duty").Duty
    paid = duty.card_paid

    def twice(self: Any, amount: int) -> None:
        paid(self, amount)
        self.totals.add_card_payment(amount)

    return mock.patch.object(duty, "card_paid", twice)


@_bug("replay-nothing", "after a power cut the journal's news are not applied to the checkpoint")
def _replay_nothing() -> Patch:
    return mock.patch.object(_app("duty").Duty, "replay", lambda *_: None)


@_bug("no-checkpoints", "the running trip is not kept once a second")
def _no_checkpoints() -> Patch:
    meter = _app("meter")
    return mock.patch.multiple(meter, _CHECKPOINT_MS=10**9, _STILL_CHECKPOINT_MS=10**9)
