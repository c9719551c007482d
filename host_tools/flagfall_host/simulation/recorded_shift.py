"""A recorded shift: what the world did to one simulated unit, and what came of it, as a file.

The file is JSON. `events` are lists, a verb first, in the order in which they happened:

    ["step", ms, times]      the unit's clock moves on        ["drive", at_ms, mm_s]  the road
    ["key", key, text]       the driver presses a key         ["jump", mm]    pulses of no wheel
    ["hold", card]           a card is held to the reader     ["paper", there]   the printer's
    ["gone"]                 all cards are taken away         ["clock", error_s] is off by that
    ["tear", apdu, moment]   ... the next card held leaves at that APDU: request or answer
    ["cut", flash, n, mode]  ... the power will go at that flash operation after what follows
    ["dark"]                 it has gone there                ["off"], ["on", at_ms]   the power
    ["receipt", seq]         the unit took a receipt          ["time", utc_s]  its clock was set
    ["sees", {...}]          what the unit showed by then: changed fields of the face, new tones,
                             slips of paper, the reader's light when it waits for a card

A tear and a cut are what happened, not what was drawn by lot. Steps end where the unit was quiet:
no card was being read. So the same events give the same books on any runtime.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from flagfall_host.errors import FlagfallError

FORMAT = 1
_TOLD = {
    "step": "the clock moves on by {0} ms, {1} times",
    "drive": "the taxi drives at {1} mm/s",
    "key": "key {0} {1}",
    "jump": "pulses of no wheel, {0} mm of them",
    "hold": "card {0} is held to the reader",
    "paper": "paper in the printer: {0}",
    "gone": "the card is taken away",
    "clock": "the clock is {0} s off",
    "tear": "the next card will leave at APDU {0} ({1})",
    "cut": "the power will go in the {0} flash after {1} operations ({2})",
    "dark": "the power has gone there",
    "off": "the power is switched off",
    "on": "the power is switched on",
    "receipt": "the office pulls and gives a receipt up to record {0}",
    "time": "the office sets the clock to {0}",
}


class NoRecording(FlagfallError):
    """The file is no recorded shift, or not one that this release can play."""


@dataclass
class Books:
    """What a shift came to, as far as it must be the same wherever it is played."""

    records: list[dict[str, Any]] = field(default_factory=list)  # the journal's, by seq
    summary: dict[str, Any] = field(default_factory=dict)  # the ledger's of the unit
    balances: dict[str, int] = field(default_factory=dict)  # of the cards held, by their number
    sales: list[tuple[str, int, int]] = field(default_factory=list)  # the acquirer's book


@dataclass
class RecordedShift:
    """One unit's shift. `cards` names the kind of each card that was held, by its number."""

    seed: int
    unit_id: str
    k: int
    profiles: list[str]
    campaigns: list[dict[str, Any]]
    utc_start: int  # UTC seconds since 2000 at 0 ms
    begun_ms: int
    journal_bytes: int
    trips_bytes: int
    cards: dict[str, str] = field(default_factory=dict)
    events: list[list[Any]] = field(default_factory=list)
    books: Books = field(default_factory=Books)
    format: int = FORMAT

    def save(self, path: Path) -> None:
        """Write the file. Raises NoRecording."""
        try:
            path.write_text(json.dumps(asdict(self), separators=(",", ":")), encoding="utf-8")
        except OSError as e:
            raise NoRecording(f"{path}: cannot be written: {e.strerror}") from e

    @classmethod
    def load(cls, path: Path) -> "RecordedShift":
        """Read what `save` wrote. Raises NoRecording."""
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
        except OSError as e:
            raise NoRecording(f"{path}: cannot be read: {e.strerror}") from e
        except ValueError as e:
            raise NoRecording(f"{path}: not JSON: {e}") from e
        if not isinstance(fields, dict) or fields.get("format") != FORMAT:
            raise NoRecording(
                f"{path}: no recorded shift of format {FORMAT}: record it anew with "
                "`flagfall simulate --seed N --record FILE`"
            )
        try:
            books = Books(**fields.pop("books"))
            shift = cls(**fields, books=books)
        except (KeyError, TypeError) as e:
            raise NoRecording(f"{path}: a field is missing or unknown: {e}") from e
        books.sales = [(str(d), int(a), int(m)) for d, a, m in books.sales]
        return shift


def told(shift: RecordedShift) -> list[str]:
    """The events, a line each, with the time of the unit's clock."""
    out = []
    now_ms = shift.begun_ms
    for verb, *what in shift.events:
        if verb == "step":
            now_ms += what[0] * what[1]
        elif verb == "on":
            now_ms = what[0]
        out.append(f"{now_ms // 60_000:3d}:{now_ms % 60_000 / 1_000:06.3f} {_words(verb, what)}")
    return out


def _words(verb: str, what: list[Any]) -> str:
    if verb == "sees":
        news = what[0]
        words = [f"{name} {value!r}" for name, value in news.get("face", {}).items()]
        words += [f"tone {name}" for name in news.get("tones", [])]
        words += [f"{news['paper']} on paper"] if "paper" in news else []
        words += [f"the reader {news['light']}"] if "light" in news else []
        return "shows " + ", ".join(words)
    return _TOLD[verb].format(*what).rstrip()
