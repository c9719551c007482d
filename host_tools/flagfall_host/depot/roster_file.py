"""The office's list of drivers, `office/drivers.toml`: who may sign in on which unit, and by what.

PINs and cards stand in it as hashes, as they go to the units (flagfall.roster); what was typed is
nowhere kept. `flagfall driver` writes the file.
"""

import csv
import enum
import hashlib
import json
import os
import re
import secrets
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flagfall import roster

from flagfall_host.errors import FlagfallError

FILE = "drivers.toml"
ROUNDS = 1_000
_HASH = 8  # bytes
_PIN = re.compile(r"[0-9]{4,12}")
_UID = re.compile(r"(?:[0-9A-F]{2}){4}|(?:[0-9A-F]{2}){7}|(?:[0-9A-F]{2}){10}")
_COLUMNS = {"number", "pin", "card", "units"}


class SignIn(enum.StrEnum):
    """What a driver signs in by."""

    NUMBER = "number"
    PIN = "pin"
    CARD = "card"
    PIN_OR_CARD = "pin-or-card"
    CARD_AND_PIN = "card-and-pin"


_MODES = {
    SignIn.NUMBER: roster.NUMBER,
    SignIn.PIN: roster.PIN,
    SignIn.CARD: roster.CARD,
    SignIn.PIN_OR_CARD: roster.PIN_OR_CARD,
    SignIn.CARD_AND_PIN: roster.CARD_AND_PIN,
}


class DriverError(FlagfallError):
    """A driver, or the list of them, that makes no sense."""


@dataclass
class Driver:
    """`pin` and `card` are hashes, empty for none; no `units`: he may drive any."""

    number: str
    pin: bytes = b""
    card: bytes = b""
    units: list[str] = field(default_factory=list)


class DriversFile:
    """The list in `path`; a new one if there is no such file. Raises DriverError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sign_in = SignIn.PIN_OR_CARD
        self.rounds = ROUNDS
        self.salt = secrets.token_bytes(roster.SALT)
        self.drivers: dict[str, Driver] = {}
        if path.is_file():
            self._load()

    def _load(self) -> None:
        try:
            fields = tomllib.loads(self.path.read_text(encoding="utf-8"))
            self.sign_in = SignIn(fields.pop("sign_in"))
            self.rounds = fields.pop("rounds")
            self.salt = bytes.fromhex(fields.pop("salt"))
            rows = fields.pop("driver", [])
            if fields or not 1 <= self.rounds <= roster.MAX_ROUNDS:
                raise ValueError
            for row in rows:
                self._take(row)
        except OSError as e:
            raise DriverError(f"{self.path}: cannot be read: {e.strerror}") from e
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise DriverError(
                f"{self.path}: not a list of drivers as `flagfall driver` writes it: restore it "
                "from the backup, or import your drivers anew"
            ) from e

    def _take(self, row: dict[str, Any]) -> None:
        driver = Driver(
            row["number"],
            bytes.fromhex(row.get("pin", "")),
            bytes.fromhex(row.get("card", "")),
            list(row.get("units", [])),
        )
        roster.packed_number(driver.number)
        if driver.number in self.drivers or {len(driver.pin), len(driver.card)} - {0, _HASH}:
            raise ValueError
        if not all(isinstance(unit, str) for unit in driver.units):
            raise ValueError
        self.drivers[driver.number] = driver

    def put(
        self, number: str, pin: str | None, card: str | None, units: list[str] | None
    ) -> Driver:
        """Add driver `number`, or change what is given of him: PIN (4 to 12 digits), UID of his
        card (hex), units. An empty text takes it away. Raises DriverError."""
        if not re.fullmatch(r"[0-9]{1,16}", number):
            raise DriverError(f"driver {number!r}: a number has 1 to {roster.MAX_NUMBER} digits")
        known = self.drivers.get(number, Driver(number))
        made = Driver(number, known.pin, known.card, known.units if units is None else units)
        if pin is not None:
            made.pin = self._pin_hash(number, pin) if pin else b""
        if card is not None:
            made.card = self._card_hash(number, card) if card else b""
        self.drivers[number] = made
        return made

    def _pin_hash(self, number: str, pin: str) -> bytes:
        if not _PIN.fullmatch(pin):
            raise DriverError(f"driver {number}: a PIN has 4 to 12 digits")
        if pin in number or len(set(pin)) == 1 or pin in "01234567890123" or pin in "98765432109":
            raise DriverError(f"driver {number}: this PIN is among the first that anyone tries")
        return self._hash(pin.encode(), roster.pin_salt(self.salt, number))

    def _card_hash(self, number: str, text: str) -> bytes:
        plain = re.sub(r"[\s:-]", "", text).upper()
        if not _UID.fullmatch(plain):
            raise DriverError(f"driver {number}: a card's UID is 4, 7 or 10 bytes of hex")
        uid = bytes.fromhex(plain)
        if roster.changing_uid(uid):
            raise DriverError(
                f"driver {number}: a UID that begins with 08 changes with each tap (a phone?): "
                "take another card"
            )
        made = self._hash(uid, self.salt)
        for other in self.drivers.values():
            if other.card == made and other.number != number:
                raise DriverError(f"driver {number}: this card is driver {other.number}'s already")
        return made

    def _hash(self, secret: bytes, salt: bytes) -> bytes:
        return hashlib.pbkdf2_hmac("sha256", secret, salt, self.rounds)[:_HASH]

    def remove(self, number: str) -> None:
        """Take a driver off the list. Raises DriverError."""
        if self.drivers.pop(number, None) is None:
            raise DriverError(f"{self.path}: there is no driver {number}")

    def take_csv(self, path: Path) -> int:
        """Add or change the drivers of a CSV file with the columns number, pin, card and units
        (several with spaces between), of which only the first must be there. An empty PIN or
        card leaves what there is. Whole or not at all. Returns how many. Raises DriverError."""
        before = dict(self.drivers)
        try:
            with path.open(encoding="utf-8-sig", newline="") as f:
                rows = csv.DictReader(f, restkey="more")
                columns = set(rows.fieldnames or ())
                if "number" not in columns or columns - _COLUMNS:
                    raise DriverError(
                        f"{path}: the first line names the columns: number, and of pin, card, "
                        "units those that there are"
                    )
                count = 0
                for row in rows:
                    if "more" in row:
                        raise DriverError(
                            f"{path}: line {rows.line_num} has more cells than names"
                        )
                    units = row.get("units")
                    self.put(
                        row["number"] or "",
                        row.get("pin") or None,
                        row.get("card") or None,
                        None if units is None else units.split(),
                    )
                    count += 1
        except DriverError as e:
            self.drivers = before
            raise DriverError(f"{path}: {e}".replace(f"{path}: {path}", str(path))) from e
        except OSError as e:
            raise DriverError(f"{path}: cannot be read: {e.strerror}") from e
        except (UnicodeDecodeError, csv.Error) as e:
            raise DriverError(f"{path}: not a CSV file in UTF-8: {e}") from e
        return count

    def content(self, unit_id: str) -> bytes:
        """What goes to a unit: its own drivers and those of all. Raises DriverError."""
        mode = _MODES[self.sign_in]
        own = [d for d in self.drivers.values() if not d.units or unit_id in d.units]
        if len(own) > roster.MAX_DRIVERS:
            raise DriverError(
                f"{self.path}: {len(own)} drivers for {unit_id}; a unit holds "
                f"{roster.MAX_DRIVERS}: say by `--unit` who drives which"
            )
        if not own and mode != roster.NUMBER:
            raise DriverError(
                f"{self.path}: no driver for {unit_id}: nobody could sign in there. "
                "`flagfall driver put` adds one"
            )
        for driver in own:
            lacks = _lacks(driver, mode)
            if lacks:
                raise DriverError(
                    f"{self.path}: driver {driver.number} has no {lacks} to sign in by "
                    f"{self.sign_in}: flagfall driver put {driver.number} gives him one"
                )
        return roster.pack(mode, self.rounds, self.salt, [(d.number, d.pin, d.card) for d in own])

    def save(self) -> None:
        """Write the file, for nobody else to read. Raises DriverError."""
        lines = [
            "# Who may sign in. `flagfall driver` writes this file; PINs and cards are hashes.",
            f"sign_in = {json.dumps(self.sign_in)}",
            f"rounds = {self.rounds}",
            f'salt = "{self.salt.hex()}"',
        ]
        for number in sorted(self.drivers, key=lambda n: (len(n), n)):
            driver = self.drivers[number]
            lines += ["", "[[driver]]", f'number = "{number}"']
            lines += [f'pin = "{driver.pin.hex()}"'] if driver.pin else []
            lines += [f'card = "{driver.card.hex()}"'] if driver.card else []
            lines += [f"units = {json.dumps(driver.units)}"] if driver.units else []
        beside = self.path.with_name(FILE + ".new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(fd, "w", encoding="utf-8") as f:
                f.write("\n".join(lines) + "\n")
                f.flush()
                os.fsync(f.fileno())
            beside.replace(self.path)
        except OSError as e:
            raise DriverError(f"{self.path}: cannot be written: {e.strerror}") from e


def _lacks(driver: Driver, mode: int) -> str:
    """What a driver would need for this mode and has not; empty: nothing."""
    if mode in (roster.PIN, roster.CARD_AND_PIN) and not driver.pin:
        return "PIN"
    if mode in (roster.CARD, roster.CARD_AND_PIN) and not driver.card:
        return "card"
    if mode == roster.PIN_OR_CARD and not driver.pin and not driver.card:
        return "PIN and no card"
    return ""
