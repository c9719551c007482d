"""What a unit says of itself, and what a pull brought, in a person's words."""

import datetime
from typing import Any

from flagfall import clock
from flagfall.receipt import kilometres, money

_POSITIONS = ("For Hire", "Hired", "Stopped")
_TOTALS = {
    "hirings": "hirings",
    "distance_mm": "km driven",
    "hired_distance_mm": "km hired",
    "fares": "fares",
    "supplements": "supplements",
    "card_payments": "taps",
    "card_amount": "by tap",
}
# Said in other words below, or of use to a developer only (--json has every field).
_LEFT_OUT = {"unit_id", "last_seq", "heap_free", "heap_peak", "pulses"}


def info_words(fields: dict[str, Any], now: int) -> dict[str, str]:
    """The fields of INFO as name and text. `now`: this machine's time, seconds since 2000."""
    out: dict[str, str] = {}
    for name, value in fields.items():
        if name in _LEFT_OUT:
            continue
        if name == "position" and value in (0, 1, 2):
            out[name] = _POSITIONS[value]
        elif name == "time" and isinstance(value, int):
            out["clock"] = f"{clock.iso8601(value)}, {_apart(value - now)}"
        elif name == "totals" and isinstance(value, dict):
            out[name] = _totals(value)
        elif name == "journal" and isinstance(value, dict):
            out[name] = _journal(value)
        elif name == "metrology" and isinstance(value, dict):
            digest = str(value.get("sha256", ""))[:16]
            out[name] = f"{value.get('name')} {value.get('version')}, sha256 {digest}..."
        elif name == "uplink" and isinstance(value, dict):
            out[name] = _uplink(value)
        elif name == "program" and isinstance(value, dict):
            out |= _programs(value)
        elif name == "driver":
            out[name] = str(value) or "nobody is signed in"
        elif name == "audit":
            out["changes under the seal"] = str(value)
        elif name == "receipt_due":
            if value:
                out["receipt"] = "of the last trip is not printed yet"
        elif isinstance(value, dict):
            out[name] = ", ".join(f"{k} {v}" for k, v in value.items())
        else:
            out[name.replace("_", " ")] = str(value)
    return out


def _uplink(figures: dict[str, Any]) -> str:
    """How the unit gets on by 4G."""
    parts = [str(figures.get("state"))]
    if figures.get("why"):
        parts.append(f"failed {figures.get('failures')} times, last: {figures['why']}")
    if figures.get("modem"):
        signal = figures.get("signal_dbm")
        parts.append(f"{figures['modem']}, " + (f"{signal} dBm" if signal else "no signal yet"))
    last = figures.get("last")
    parts.append(f"all said at {clock.iso8601(last)}" if last else "nothing said yet")
    up, down = int(figures.get("up_today", 0)), int(figures.get("down_today", 0))
    parts.append(f"today {figures.get('calls_today')} calls, {up:,} bytes up, {down:,} down")
    return "; ".join(parts)


def _programs(program: dict[str, Any]) -> dict[str, str]:
    """What runs, what waits, what was given up."""
    release = program.get("release")
    what = f"release {release}" if release else "from the workshop's cable"
    on_trial = ", on trial" if program.get("trial") else ""
    out = {"program": f"{what}, slot {program.get('slot')}{on_trial}"}
    waiting = program.get("waiting")
    if isinstance(waiting, dict):
        out["program that waits"] = (
            f"release {waiting.get('release')} ({waiting.get('version')}), slot "
            f"{waiting.get('slot')}, metrology {str(waiting.get('metrology'))[:16]}..."
        )
    if program.get("given_up"):
        out["program given up"] = f"release {program['given_up']}: it did not start three times"
    return out


def pull_words(result: dict[str, Any]) -> list[str]:
    """One line for a pull that brought something, and one for each thing to look at."""
    unit, records = result["unit"], result["records"]
    if not records:
        out = [f"{unit}: nothing new, {result['receipt_up_to']} records are booked in all"]
    else:
        fresh = f"{records} new records" if records > 1 else "1 new record"
        out = [
            f"{unit}: {fresh}, {result['bytes']:,} bytes in {result['seconds']:.1f} s; "
            f"booked, and the unit knows it up to record {result['receipt_up_to']}"
        ]
    if result["repeated"]:
        out.append(f"{unit}: {result['repeated']} of them were booked before")
    out += [f"{unit}: {text}" for text in (*result["refused"], *result["findings"])]
    return out


def _apart(seconds: int) -> str:
    if abs(seconds) <= 1:
        return "right"
    span = datetime.timedelta(seconds=abs(seconds))
    return f"{span} {'ahead of' if seconds > 0 else 'behind'} this machine"


def _totals(totals: dict[str, Any]) -> str:
    parts = []
    for name, label in _TOTALS.items():
        value = totals.get(name)
        if not isinstance(value, int):
            continue
        if name.endswith("_mm"):
            parts.append(f"{label} {kilometres(value)}")
        elif name in ("fares", "supplements", "card_amount"):
            parts.append(f"{label} {money(value)}")
        else:
            parts.append(f"{label} {value}")
    return ", ".join(parts)


def _journal(journal: dict[str, Any]) -> str:
    last, acked = journal.get("last_seq"), journal.get("acked_seq")
    used, capacity = journal.get("used"), journal.get("capacity")
    parts = []
    if isinstance(used, int) and isinstance(capacity, int) and capacity:
        parts.append(f"{used * 100 // capacity} % full")
    if isinstance(last, int) and isinstance(acked, int):
        waiting = last - acked
        parts.append(f"{waiting} of {last} records not pulled yet" if waiting else "all pulled")
    if journal.get("drops"):
        parts.append(f"{journal['drops']} RECORDS DROPPED because it was full")
    return ", ".join(parts)
