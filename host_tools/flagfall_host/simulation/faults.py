"""What may go wrong, each with its rate; a file names those that differ from the default."""

import random
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

from flagfall_host.errors import FlagfallError


class FaultsError(FlagfallError):
    """The file of fault rates cannot be used."""


@dataclass(frozen=True)
class Faults:
    """Rates from 0 to 1, each for one occasion (docs/simulation.md)."""

    # A unit, for each trip
    power_cut_in_flash: float = 0.08  # at a program or erase, in one of four modes
    power_cut: float = 0.04  # between two things that it does
    power_cut_in_ride: float = 0.5  # of the long rides: somewhere in it
    boot_loop: float = 0.15  # of cuts: the power comes and goes a few times
    clock_lost: float = 0.02  # of cuts: the battery of the clock is dead
    clock_drift: float = 0.02  # the clock is a few seconds off
    wrong_read: float = 0.02  # a marginal bit reads wrong once
    bad_sector: float = 0.0005  # a sector takes no program any more
    sensor_noise: float = 0.01  # pulses that no wheel gave
    no_paper: float = 0.03

    # A tap
    torn_request: float = 0.05  # the card leaves before it hears a command
    torn_answer: float = 0.08  # the card leaves after it has done a command
    torn_late: float = 0.5  # of both: near the record that debits
    power_cut_at_tap: float = 0.03  # at one of the next programs
    same_card_again: float = 0.5  # after a torn tap; else another card, or cash
    power_cut_at_return: float = 0.5  # at one of the next programs when it comes back
    two_cards: float = 0.02
    changed_mind: float = 0.03  # the driver presses another key while a card is waited for
    unpaid: float = 0.01

    # The cable, for each write on it
    lose: float = 0.01
    damage: float = 0.01
    double: float = 0.005
    delay: float = 0.005
    pull: float = 0.002

    # 4G: of the units; for each connection, that which was lost
    uplink: float = 0.6  # has a modem
    radio_cut: float = 0.08  # the carrier goes within seconds
    old_connection: float = 0.4  # of those lost: what was under way comes late, the gateway waits
    radio_stall: float = 0.03  # nothing moves for up to a minute
    radio_gone: float = 0.004  # no coverage for hours
    modem_hangs: float = 0.004  # it hears and says nothing until it is switched off and on
    gateway_killed: float = 0.05  # for each five minutes of each gateway

    # Files of the office: of the units; every few minutes for each; for each of them
    two_programs: float = 0.5  # has two slots, a deny list and files that a cut may meet
    pushes: float = 0.5  # something new: tariff, settings, keys, texts, campaigns, list, program
    power_cut_in_files: float = 0.3  # at one of the changes of files that follow
    bad_program: float = 0.3  # of updates: does not start, hangs, or crashes soon

    # The office, for each commit; for each visit
    killed_before_commit: float = 0.01
    killed_after_commit: float = 0.01
    database_refuses: float = 0.01
    receipt_kept: float = 0.03  # booked, and the program ends before it hands the receipt over
    two_gateways: float = 0.05  # a second program pulls the same unit right after
    operator: float = 0.4  # for each visit: one of the mistakes of mistakes.py

    # The acquirer, for each message
    acquirer: float = 0.15  # something of acquirer/faults.MENU
    acquirer_restarted: float = 0.01  # its host starts anew, and is away for up to a minute
    acquirer_forgets: float = 0.5  # of those: the terminals' sign-ins are lost
    acquirer_down: float = 0.1  # for each visit: it cannot be reached at all

    def healed(self) -> "Faults":
        """Nothing goes wrong any more; people behave."""
        calm = {f.name: 0.0 for f in fields(self)}
        return replace(self, **{**calm, "same_card_again": 1.0})

    def played(self) -> "Faults":
        """Only what the bench has too, so that a recorded shift can be played there: no
        marginal bits, failing sectors or radio."""
        return replace(self.healed(), **{name: getattr(self, name) for name in _PLAYED})


# What the world does to one unit, and what its office and acquirer do, who need not be played.
_PLAYED = (
    "power_cut_in_flash",
    "power_cut",
    "power_cut_in_ride",
    "boot_loop",
    "clock_lost",
    "clock_drift",
    "sensor_noise",
    "no_paper",
    "torn_request",
    "torn_answer",
    "torn_late",
    "power_cut_at_tap",
    "power_cut_at_return",
    "same_card_again",
    "two_cards",
    "changed_mind",
    "unpaid",
    "lose",
    "damage",
    "double",
    "delay",
    "pull",
    "killed_before_commit",
    "killed_after_commit",
    "database_refuses",
    "receipt_kept",
    "two_gateways",
    "acquirer",
    "acquirer_restarted",
    "acquirer_forgets",
    "acquirer_down",
)


def read(path: Path) -> Faults:
    """Rates from a TOML file: `name = rate` for each that differs. Raises FaultsError."""
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise FaultsError(f"{path}: cannot be read: {e.strerror}") from e
    except tomllib.TOMLDecodeError as e:
        raise FaultsError(f"{path}: not TOML: {e}") from e
    known = {f.name for f in fields(Faults)}
    for name, rate in given.items():
        if name not in known:
            raise FaultsError(f"{path}: no fault {name}; there are: {', '.join(sorted(known))}")
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
            raise FaultsError(f"{path}: {name} must be a rate from 0 to 1, not {rate!r}")
    return replace(Faults(), **given)


def strikes(
    chance: random.Random, faults: Faults, fault: str, strike: Callable[[str], None]
) -> bool:
    """Whether this fault happens now, by its rate; `strike` hears of it."""
    if chance.random() >= getattr(faults, fault):
        return False
    strike(fault)
    return True
