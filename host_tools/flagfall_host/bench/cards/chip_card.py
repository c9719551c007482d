"""A card's operating system: command APDUs, selection, and one or more applications."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from flagfall_host.bench.cards import memory
from flagfall_host.bench.cards import status_words as sw
from flagfall_host.bench.cards.applet import Applet
from flagfall_host.bench.cards.card import Card
from flagfall_host.bench.cards.personalisation import Personalisation
from flagfall_host.bench.cards.tlv import template, tlv

PPSE = b"2PAY.SYS.DDF01"

_SELECT = 0xA4
_READ_RECORD = 0xB2
_GET_PROCESSING_OPTIONS = 0xA8
_GET_DATA = 0xCA


class ChipCard(Card):
    """A contactless payment card. Every APDU gets a status word; none raises.

    With `store`, a file, the card lives on between processes: its memory is read from there if
    the file exists and is written before the answer that follows from it goes out. A card with
    `random_uid` has a new 4-byte UID each time the field comes up, as phones do.
    """

    def __init__(
        self,
        name: str,
        persons: Sequence[Personalisation],
        *,
        seed: int = 1,
        blocked: bool = False,
        store: Path | None = None,
        random_uid: bool = False,
    ) -> None:
        self.name = name
        self._uid_source = f"{name} {seed}" if random_uid else ""
        self._times_on = 0
        self.blocked = blocked
        self._store = store
        kept = memory.load(store) if store is not None and store.exists() else {}
        self.memories = {
            person.aid: kept.get(person.aid, memory.CardMemory(balance=person.balance))
            for person in persons
        }
        self.applets = [
            Applet(person, self.memories[person.aid], seed, self._changed) for person in persons
        ]
        self._selected: Applet | None = None
        self._ask_owner = False

    @property
    def balance(self) -> int:
        """Balance of the first application, minor units."""
        return self.applets[0].memory.balance

    @property
    def atc(self) -> int:
        """Transaction counter of the first application."""
        return self.applets[0].memory.atc

    def save(self, path: Path) -> None:
        """Write the card's memory to `path`, to be given as `store` later."""
        memory.save(path, self.memories)

    def _changed(self) -> None:
        if self._store is not None:
            memory.save(self._store, self.memories)

    def field_on(self) -> None:
        self._deselect()
        if self._uid_source:
            # ISO/IEC 14443-3, 6.5.4: a UID that begins with 08 is random, new in each field.
            self._times_on += 1
            source = f"{self._uid_source} {self._times_on}"
            self.uid = b"\x08" + hashlib.sha256(source.encode("ascii")).digest()[:3]

    def field_off(self) -> None:
        self._deselect()
        if self._ask_owner:
            # Between the taps the owner looks at the phone and unlocks it.
            self._ask_owner = False
            for kept in self.memories.values():
                kept.owner_present = True
            self._changed()

    def _deselect(self) -> None:
        self._selected = None
        for applet in self.applets:
            applet.deselect()

    def apdu(self, command: bytes) -> bytes:
        try:
            return self._execute(bytes(command))
        except sw.Refused as refused:
            if refused.status_word == sw.OWNER_WANTED:
                self._ask_owner = True
            return refused.status_word.to_bytes(2, "big")

    def _execute(self, command: bytes) -> bytes:
        if len(command) < 4:
            raise sw.Refused(sw.WRONG_LENGTH)
        cla, ins, p1, p2 = command[:4]
        if cla not in (0x00, 0x80):
            raise sw.Refused(sw.WRONG_CLA)
        data, le = _body(command[4:])
        if (cla, ins) == (0x00, _SELECT):
            return self._select(p1, p2, data, le)
        if (cla, ins) == (0x00, _READ_RECORD):
            return self._read_record(p1, p2, data, le)
        if (cla, ins) == (0x80, _GET_PROCESSING_OPTIONS):
            if p1 or p2:
                raise sw.Refused(sw.WRONG_P1_P2)
            if le != 0:
                raise sw.Refused(sw.WRONG_LENGTH)
            return _ok(self._application().processing_options(data))
        if (cla, ins) == (0x80, _GET_DATA):
            if data:
                raise sw.Refused(sw.WRONG_LENGTH)
            value = self._application().data_object(f"{p1:02X}{p2:02X}")
            _require_le(value, le)
            return _ok(value)
        raise sw.Refused(sw.WRONG_INS)

    def _application(self) -> Applet:
        if self._selected is None:
            raise sw.Refused(sw.CONDITIONS_NOT_SATISFIED)
        return self._selected

    def _select(self, p1: int, p2: int, name: bytes, le: int | None) -> bytes:
        if self.blocked:
            raise sw.Refused(sw.FUNCTION_NOT_SUPPORTED)
        if p1 != 0x04 or p2 not in (0x00, 0x02):
            raise sw.Refused(sw.WRONG_P1_P2)
        if name == PPSE:
            answer = self._directory()
            _require_le(answer, le)
            self._deselect()
            return _ok(answer)
        matches = [a for a in self.applets if len(name) >= 5 and a.aid.startswith(name)]
        if p2 == 0x02:
            # The next one after the application selected now.
            now = self._selected
            matches = matches[matches.index(now) + 1 :] if now and now in matches else []
        if not matches:
            raise sw.Refused(sw.FILE_NOT_FOUND)
        applet = matches[0]
        answer = applet.fci()
        _require_le(answer, le)
        self._deselect()
        if applet.person.blocked:
            return answer + sw.SELECTED_FILE_INVALIDATED.to_bytes(2, "big")
        self._selected = applet
        return _ok(answer)

    def _directory(self) -> bytes:
        entries = template("BF0C", [applet.directory_entry() for applet in self.applets])
        return template("6F", (tlv("84", PPSE), template("A5", (entries,))))

    def _read_record(self, number: int, p2: int, data: bytes, le: int | None) -> bytes:
        if data or le is None:
            raise sw.Refused(sw.WRONG_LENGTH)
        sfi = p2 >> 3
        if p2 & 0x07 != 0x04 or not 1 <= sfi <= 30 or number == 0:
            raise sw.Refused(sw.WRONG_P1_P2)
        return _ok(self._application().record(sfi, number, lambda value: _require_le(value, le)))


def _body(rest: bytes) -> tuple[bytes, int | None]:
    """Data and Le of a short APDU; Le is None if there is none (ISO/IEC 7816-4, 5.1)."""
    if not rest:
        return b"", None
    if len(rest) == 1:
        return b"", rest[0]
    lc, after = rest[0], rest[1:]
    if lc and len(after) == lc:
        return after, None
    if lc and len(after) == lc + 1:
        return after[:lc], after[lc]
    raise sw.Refused(sw.WRONG_LENGTH)


def _require_le(answer: bytes, le: int | None) -> None:
    """Le must be there, and 00 or the exact length."""
    if le is None:
        raise sw.Refused(sw.WRONG_LENGTH)
    if le not in (0, len(answer)):
        raise sw.Refused(sw.WRONG_LE | len(answer) & 0xFF)


def _ok(answer: bytes) -> bytes:
    return answer + sw.OK.to_bytes(2, "big")
