"""The TOML schema of a tariff: what may stand in the file, and what it must satisfy.

`read_tariff` gives a checked `TariffFile` or all problems at once. The rules (T01 ...) are listed
in docs/tariffs.md. Money becomes minor units, distance 0.1 mm, time ms: integers, exact; a figure
that is not a whole number of those is refused rather than rounded.
"""

import datetime
import tomllib
from decimal import Decimal
from typing import Any

from flagfall_host.tariffs.errors import Problem, TariffFileError
from flagfall_host.tariffs.lines import Path, find_lines
from flagfall_host.tariffs.reading import Reader
from flagfall_host.tariffs.tariff_file import (
    CERTAINTY,
    CURRENCIES,
    DAYS,
    EPOCH,
    MODES,
    ROUNDING,
    SURCHARGED,
    TariffFile,
)

_TOP = {
    "format", "name", "title", "version", "valid_from", "valid_until", "currency", "minor_digits",
    "utc_offset", "summer_time", "mode", "threshold_kmh", "threshold_inclusive", "precharge",
    "precharge_time", "freeze_at_hire", "free_time_s", "surcharge_cap_percent", "holidays",
    "options", "rounding", "discount", "windows", "flagfall", "distance", "time", "surcharge",
    "fee", "sources", "supplements", "evidence", "notes", "template",
}  # fmt: skip
_EVIDENCE = (
    "mode", "threshold_kmh", "threshold_inclusive", "precharge", "precharge_time", "free_time_s",
    "surcharge_cap_percent", "freeze_at_hire", "holidays", "valid_from",
)  # fmt: skip


def read_tariff(text: str, name: str) -> TariffFile:
    """Check the text of a tariff file. Raises TariffFileError with every problem found."""
    try:
        raw = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as e:
        line = getattr(e, "lineno", None) or _line_in(str(e)) or text.count("\n") + 1
        raise TariffFileError(name, [Problem(line, "T01", f"not TOML: {e}")]) from e
    reader = _TariffReader(raw, find_lines(text))
    tariff = reader.read()
    if reader.problems:
        raise TariffFileError(name, sorted(reader.problems, key=lambda p: p.line))
    return tariff


def _line_in(message: str) -> int:
    digits = message.partition("line ")[2].partition(",")[0]
    return int(digits) if digits.isdigit() else 0


class _TariffReader(Reader):
    # --- the file -----------------------------------------------------------------------------

    def read(self) -> TariffFile:
        self.unknown(self.raw, (), _TOP)
        if self.raw.get("format") != 1:
            self.problem(("format",), "T07", "format must be 1")
        if self.raw.get("template"):
            self.problem(
                ("template",),
                "T08",
                "this is a template: its operator fills in the figures and removes `template`",
            )
        self.head()
        self.time_rules()
        self.read_windows()
        self.read_prices()
        self.read_extras()
        self.read_sources()
        self.relations()
        return self.tariff

    def head(self) -> None:
        t = self.tariff
        t.name = self.text("name")
        t.title = self.text("title")
        version = self.raw.get("version")
        if isinstance(version, bool) or not isinstance(version, int) or not 0 < version < 1 << 32:
            self.problem(("version",), "T02", "version must be a whole number from 1")
        else:
            t.version = version
        t.currency = self.choice(self.raw.get("currency"), ("currency",), CURRENCIES)
        digits = self.raw.get("minor_digits", CURRENCIES[t.currency][1])
        if isinstance(digits, bool) or not isinstance(digits, int) or not 0 <= digits <= 4:
            self.problem(("minor_digits",), "T03", "minor_digits must be 0 to 4")
        else:
            t.minor_digits = digits
        t.mode = MODES[self.choice(self.raw.get("mode"), ("mode",), MODES)]
        t.threshold_m_h = self.scaled(self.raw, (), "threshold_kmh", 1000, 0, "m/h")
        t.free_ms = self.scaled(self.raw, (), "free_time_s", 1000, 0, "ms")
        t.cap_percent = self.scaled(self.raw, (), "surcharge_cap_percent", 1, 0, "percent")
        names = ("threshold_inclusive", "precharge", "precharge_time", "freeze_at_hire")
        for bit, name in enumerate(names):
            t.flags |= self.flag(name) << bit
        options = self.raw.get("options", [])
        if not isinstance(options, list) or not all(isinstance(o, str) and o for o in options):
            self.problem(("options",), "T03", "options must be a list of names")
        elif len(options) > 8 or len(set(options)) != len(options):
            self.problem(("options",), "T09", "at most 8 options, each named once")
        else:
            t.options = options
        if t.threshold_m_h > 100_000:
            self.problem(("threshold_kmh",), "T10", "threshold_kmh must be at most 100")
        if t.cap_percent > 255:
            self.problem(("surcharge_cap_percent",), "T10", "surcharge_cap_percent: at most 255")

    def time_rules(self) -> None:
        t = self.tariff
        offset = self.raw.get("utc_offset")
        try:
            if not isinstance(offset, str) or offset[0] not in "+-":
                raise ValueError
            hours, _, minutes = offset[1:].partition(":")
            t.utc_offset_min = (int(hours) * 60 + int(minutes)) * (-1 if offset[0] == "-" else 1)
            if not -840 <= t.utc_offset_min <= 840:
                raise ValueError
        except (ValueError, IndexError):
            self.problem(("utc_offset",), "T11", 'utc_offset must be like "+08:00"')
        t.summer_time = self.choice(
            self.raw.get("summer_time", "none"), ("summer_time",), ("none", "EU", "US")
        )
        for key in ("valid_from", "valid_until"):
            value = self.raw.get(key)
            if value is None:
                continue
            if isinstance(value, datetime.datetime) and value.tzinfo is None:
                setattr(t, key, value)
            elif isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
                setattr(t, key, datetime.datetime.combine(value, datetime.time()))
            else:
                self.problem((key,), "T11", f"{key} must be a local date or date and time")
        if t.valid_from and t.valid_until and t.valid_until <= t.valid_from:
            self.problem(("valid_until",), "T11", "valid_until must be after valid_from")
        days = self.raw.get("holidays", [])
        if not isinstance(days, list) or not all(type(d) is datetime.date for d in days):
            self.problem(("holidays",), "T11", "holidays must be a list of dates")
        else:
            t.holidays = sorted({self.day(d, ("holidays",)) for d in days})
        if len(t.holidays) > 255:
            self.problem(("holidays",), "T09", "at most 255 holidays")

    def day(self, date: datetime.date, path: Path) -> int:
        days = (date - EPOCH).days
        if not 0 <= days <= 65535:
            self.problem(path, "T11", f"{date} is out of range (2000 to 2179)")
            return 0
        return days

    def read_windows(self) -> None:
        windows = self.raw.get("windows", {})
        if not isinstance(windows, dict):
            self.problem(("windows",), "T03", "windows must be [windows.NAME] tables")
            return
        if len(windows) > 16:
            self.problem(("windows",), "T09", "at most 16 windows")
        allowed = {"from", "to", "days", "first", "last", "source", "certainty", "note"}
        for name, window in windows.items():
            path: Path = ("windows", name)
            if not isinstance(window, dict):
                self.problem(path, "T03", f"windows.{name} must be a table")
                continue
            self.unknown(window, path, allowed)
            start = self.minute(window.get("from", "00:00"), (*path, "from"))
            end = self.minute(window.get("to", "24:00"), (*path, "to"))
            mask = 0
            for day in window.get("days", DAYS):
                mask |= 1 << DAYS.index(self.choice(day, (*path, "days"), DAYS))
            if not mask:
                self.problem((*path, "days"), "T12", f"windows.{name} holds on no day")
            first = window.get("first", EPOCH)
            last = window.get("last", EPOCH + datetime.timedelta(days=65535))
            if type(first) is not datetime.date or type(last) is not datetime.date or last < first:
                self.problem((*path, "first"), "T12", "first and last must be dates in order")
                continue
            self.tariff.window_names.append(name)
            self.tariff.windows.append(
                (start, end, mask, self.day(first, path), self.day(last, path))
            )

    def minute(self, value: Any, path: Path) -> int:
        try:
            hours, _, minutes = value.partition(":")
            result = int(hours) * 60 + int(minutes)
            if not (0 <= int(minutes) < 60 and 0 <= result <= 1440):
                raise ValueError
        except (ValueError, AttributeError):
            self.problem(path, "T12", f'{path[-1]} must be a time such as "23:00", not {value!r}')
            return 0
        return result

    # --- prices -------------------------------------------------------------------------------

    def condition(self, path: Path, row: dict[str, Any]) -> tuple[int, int, int]:
        masks = []
        sources = (
            ("when", self.tariff.window_names, "window"),
            ("with", self.tariff.options, "option"),
            ("without", self.tariff.options, "option"),
        )
        for key, names, what in sources:
            mask = 0
            value = row.get(key, [])
            if not isinstance(value, list):
                self.problem((*path, key), "T13", f"{key} must be a list of {what}s")
                value = []
            for name in value:
                if name in names:
                    mask |= 1 << names.index(name)
                else:
                    self.problem((*path, key), "T13", f"there is no {what} {name!r}")
            masks.append(mask)
        return masks[0], masks[1], masks[2]

    def read_prices(self) -> None:
        t = self.tariff
        for path, row in self.rows("flagfall", {"amount", "distance_m", "time_s"}):
            distance = self.scaled(row, path, "distance_m", 10_000, 0, "0.1 mm")
            time = self.scaled(row, path, "time_s", 1000, 0, "ms")
            amount = self.money(row, path, "amount")
            t.flagfalls.append((*self.condition(path, row), amount, distance, time))
        keys = {"amount", "step", "from_m", "from_fare"}
        for path, row in self.rows("distance", keys | {"per_m"}):
            per = self.scaled(row, path, "per_m", 10_000, 10_000_000, "0.1 mm")
            t.distances.append(self.rate(path, row, per, "per_m", True))
        for path, row in self.rows("time", keys | {"per_s"}):
            per = self.scaled(row, path, "per_s", 1000, 60_000, "ms")
            t.times.append(self.rate(path, row, per, "per_s", False))
        for key, rows in (("flagfall", t.flagfalls), ("distance", t.distances)):
            if not rows:
                self.problem((key,), "T14", f"at least one [[{key}]] is needed")
            elif rows[0][0] or rows[0][1] or rows[0][2]:
                self.problem((key, 0), "T14", f"the first [[{key}]] must hold always")
        if t.distances and (t.distances[0][3] or t.distances[0][4]):
            self.problem(("distance", 0), "T14", "the first [[distance]] must begin at 0")

    def rate(
        self, path: Path, row: dict[str, Any], per: int, per_key: str, default_step: bool
    ) -> tuple[int, ...]:
        amount = self.money(row, path, "amount")
        step = self.money(row, path, "step", amount or 1 if default_step else 0)
        from_x = self.scaled(row, path, "from_m", 10_000, 0, "0.1 mm")
        from_fare = self.money(row, path, "from_fare", 0)
        if not per:
            self.problem((*path, per_key), "T15", "a price per nothing")
        if default_step and not step:
            self.problem((*path, "step"), "T15", "a distance price needs a step above 0")
        if step and amount > step * 1000:
            self.problem((*path, "step"), "T15", "the step is too small for the price")
        for key, value in ((per_key, per), ("from_m", from_x)):
            if value > 1_000_000_000:
                self.problem((*path, key), "T10", f"{key} is too large")
        return (*self.condition(path, row), from_x, from_fare, amount, per or 1, step)

    def read_extras(self) -> None:
        t = self.tariff
        for path, row in self.rows("surcharge", {"percent", "on"}):
            percent = row.get("percent")
            if isinstance(percent, bool) or not isinstance(percent, int):
                self.problem((*path, "percent"), "T03", "percent must be a whole number")
                percent = 0
            elif not -90 <= percent <= 300:
                self.problem((*path, "percent"), "T10", "percent must be -90 to 300")
                percent = 0
            on = 0
            for what in row.get("on", ["flagfall", "distance", "time"]):
                on |= SURCHARGED[self.choice(what, (*path, "on"), SURCHARGED)]
            if not on:
                self.problem((*path, "on"), "T05", "on names nothing")
            t.surcharges.append((*self.condition(path, row), on, percent))
        for path, row in self.rows("fee", {"name", "amount", "in", "at"}):
            kind = self.choice(row.get("in", "fare"), (*path, "in"), ("fare", "supplement"))
            at = self.choice(row.get("at", "hire"), (*path, "at"), ("hire", "window"))
            amount = self.money(row, path, "amount")
            t.fees.append(
                (*self.condition(path, row), amount, int(kind != "fare"), int(at != "hire"))
            )
            t.fee_names.append(str(row.get("name", f"fee {path[-1]}")))
        rounding = self.table("rounding", {"to", "rule"})
        if rounding is not None:
            t.round_to = self.money(rounding, ("rounding",), "to")
            rule = self.choice(rounding.get("rule"), ("rounding", "rule"), ROUNDING)
            t.round_rule = ROUNDING[rule]
            if not 1 <= t.round_to <= 10_000:
                self.problem(("rounding", "to"), "T10", "to must be 1 to 10,000 minor units")
        discount = self.table("discount", {"above", "percent"})
        if discount is not None:
            t.discount_above = self.money(discount, ("discount",), "above")
            t.discount_percent = self.scaled(
                discount, ("discount",), "percent", 1, None, "percent"
            )
            if t.discount_percent > 100:
                self.problem(("discount", "percent"), "T10", "a discount of more than 100 percent")
        supplements = self.raw.get("supplements", {})
        if not isinstance(supplements, dict) or not all(
            isinstance(row, dict) for row in supplements.values()
        ):
            self.problem(("supplements",), "T03", "supplements must be [supplements.NAME] tables")
            return
        for name, row in supplements.items():
            self.unknown(row, ("supplements", name), {"amount", "source", "certainty", "note"})
            t.supplements[name] = self.money(row, ("supplements", name), "amount")

    def table(self, key: str, allowed: set[str]) -> dict[str, Any] | None:
        value = self.raw.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.problem((key,), "T03", f"{key} must be a table")
            return None
        self.unknown(value, (key,), allowed | {"source", "certainty", "note"})
        return value

    # --- evidence and relations ---------------------------------------------------------------

    def read_sources(self) -> None:
        sources = self.raw.get("sources")
        if not isinstance(sources, dict) or not sources:
            self.problem(("sources",), "T16", "[sources.NAME] must say where the figures are from")
            return
        for name, source in sources.items():
            if not isinstance(source, dict) or not isinstance(source.get("text"), str):
                self.problem(("sources", name), "T16", f"sources.{name} needs a text")
        tables: list[tuple[Path, Any]] = [
            ((key, i), row)
            for key in ("flagfall", "distance", "time", "surcharge", "fee")
            for i, row in enumerate(self.raw.get(key, []))
        ]
        for key in ("windows", "supplements"):
            value = self.raw.get(key, {})
            tables += (
                [((key, n), row) for n, row in value.items()] if isinstance(value, dict) else []
            )
        tables += [((key,), self.raw[key]) for key in ("rounding", "discount") if key in self.raw]
        tables += self.evidence()
        for path, row in tables:
            if not isinstance(row, dict):
                continue
            if row.get("source") not in sources:
                self.problem((*path, "source"), "T16", "each figure names one of [sources]")
            if row.get("certainty") not in CERTAINTY:
                self.problem((*path, "certainty"), "T16", "certainty must be V, S or U")
            else:
                self.tariff.certainties.add(row["certainty"])

    def evidence(self) -> list[tuple[Path, Any]]:
        """The figures at the top of the file have theirs in [evidence]."""
        evidence = self.raw.get("evidence", {})
        if not isinstance(evidence, dict):
            self.problem(("evidence",), "T16", "evidence must be a table")
            return []
        self.unknown(evidence, ("evidence",), set(_EVIDENCE))
        found: list[tuple[Path, Any]] = []
        for key in _EVIDENCE:
            if key in self.raw and key not in evidence:
                self.problem((key,), "T16", f"[evidence] must say where {key} is from")
            elif key in evidence:
                found.append((("evidence", key), evidence[key]))
        return found

    def relations(self) -> None:
        t = self.tariff
        if t.mode == MODES["waiting"] and not t.threshold_m_h:
            self.problem(("mode",), "T17", "waiting-only needs threshold_kmh")
        if t.mode != MODES["waiting"] and not t.times and t.mode != MODES["partial-D"]:
            self.problem(("mode",), "T17", "modes S and D need a [[time]] price")
        own = {row[7] > 0 for row in t.times}
        if len(own) > 1:
            self.problem(("time", 0), "T17", "time has its own steps in all its prices or in none")
        if t.flags & 4 and own != {True}:
            self.problem(("precharge_time",), "T17", "precharge_time needs [[time]] with a step")
        for i, row in enumerate(t.flagfalls):
            if row[5] and not self.problems:
                self.initial(i, row)

    def initial(self, index: int, row: tuple[int, ...]) -> None:
        """An initial distance OR time must be the same number of steps, or it means nothing."""
        t = self.tariff
        holding = [d for d in t.distances if _implied(d, row) and not d[3] and not d[4]]
        timed = [d for d in t.times if _implied(d, row) and not d[3] and not d[4]]
        if not holding or not timed or timed[-1][7]:
            self.problem(("flagfall", index, "time_s"), "T18", "an initial time needs joint steps")
            return
        d, w = holding[-1], timed[-1]
        if row[4] * d[5] * w[6] != row[5] * w[5] * d[6]:
            text = "the initial distance and the initial time must cost the same"
            self.problem(("flagfall", index, "time_s"), "T18", text)


def _implied(rate: tuple[int, ...], row: tuple[int, ...]) -> bool:
    """True if a rate holds whenever the flagfall row's own condition does."""
    windows = not rate[0] or (row[0] and not row[0] & ~rate[0])
    return bool(windows and not rate[1] & ~row[1] and not rate[2] & ~row[2])
