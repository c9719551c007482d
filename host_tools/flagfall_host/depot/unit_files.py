"""What a unit has against what the office has, and the signed file that closes the gap."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from flagfall.link import messages

from flagfall_host.depot.fleet import Fleet
from flagfall_host.depot.link import Link
from flagfall_host.depot.link_errors import UnitFault
from flagfall_host.depot.office_folder import BUILT, PER_UNIT, OfficeFolder
from flagfall_host.depot.office_register import Register
from flagfall_host.depot.permit import push_permit
from flagfall_host.depot.push import Progress, push
from flagfall_host.depot.pushed_files import PushKind, deny_entries
from flagfall_host.depot.signed_files import sign_file
from flagfall_host.emv import deny_list_build

SEALED = (PushKind.TARIFF, PushKind.CONFIG, PushKind.CAPK)


@dataclass(frozen=True)
class InForce:
    """What the unit says of one kind. `version` 0: given in the workshop, unsigned; `newest`: the
    highest version that the unit ever had."""

    version: int
    made: int
    sha256: str
    newest: int


@dataclass(frozen=True)
class Prepared:
    """A file made for one unit. Nothing is `signed` if the unit has this content already."""

    kind: PushKind
    version: int
    made: int
    sha256: str
    signed: bytes = b""
    delta: bool = False


class UnitFiles:
    """The files of the unit on `link`. `now`: UTC seconds since 2000, the date of new versions."""

    def __init__(self, link: Link, fleet: Fleet, now: int) -> None:
        self._link = link
        self._key: RSAPrivateKey = fleet.private_key
        self._now = now
        self.office = OfficeFolder(fleet.folder)
        self.register = Register(fleet.folder / BUILT)
        self.unit_id = link.unit.unit_id if link.unit else ""

    def in_force(self) -> dict[str, InForce]:
        """What the unit has, by kind; a tariff that waits for its day is `tariff-next`."""
        answer = self._link.ask(messages.FILES)
        kinds = answer.get("kinds")
        if not isinstance(kinds, dict):
            raise UnitFault(f"{self._link.wire.name}: the unit does not say what is in force")
        return {str(kind): _in_force(fields) for kind, fields in kinds.items()}

    def from_office(self, kind: PushKind) -> Prepared:
        """The office's newest of this kind."""
        if kind is PushKind.DENY:
            return self._deny(*self.office.deny())
        return self._of_content(kind, self.office.content(kind, self.unit_id))

    def from_file(self, kind: PushKind, name: str) -> Prepared:
        """What a person named, for this unit."""
        if kind is PushKind.DENY:
            return self._deny(*deny_entries(Path(name)))
        return self._of_content(kind, self.office.named(kind, name, self.unit_id))

    def office_sha256(self, kind: PushKind) -> str:
        """SHA-256 of what the office has of this kind, as a unit would say it."""
        if kind is PushKind.DENY:
            return _body(deny_list_build.build(*self.office.deny(), 1, self.register.salt))
        return hashlib.sha256(self.office.content(kind, self.unit_id)).hexdigest()

    def _of_content(self, kind: PushKind, content: bytes) -> Prepared:
        sha256 = hashlib.sha256(content).hexdigest()
        there, newest = self._there(kind)
        if there is not None and there.sha256 == sha256:
            return Prepared(kind, there.version, there.made, sha256)
        scope = self.unit_id if kind in PER_UNIT else ""
        issue = self.register.issue(kind, scope, sha256, self._now, newest)
        signed = sign_file(self._key, kind, content, issue.version, issue.made, scope)
        return Prepared(kind, issue.version, issue.made, sha256, signed)

    def _there(self, kind: PushKind) -> tuple[InForce | None, int]:
        """What counts as in force, and the highest version that there was."""
        found = self.in_force()
        both = [found[name] for name in (f"{kind}-next", kind) if name in found]
        there = next((f for f in both if f.sha256), None)
        return there, max((f.newest for f in both), default=0)

    def _deny(self, pans: Iterable[str], ranges: Iterable[tuple[str, str]]) -> Prepared:
        there, newest = self._there(PushKind.DENY)
        pans, ranges = list(pans), list(ranges)
        digest = _body(deny_list_build.build(pans, ranges, 1, self.register.salt))
        if there is not None and there.sha256 == digest:
            return Prepared(PushKind.DENY, there.version, there.made, digest)
        issue = self.register.issue(PushKind.DENY, "", digest, self._now, newest)
        whole = deny_list_build.build(pans, ranges, issue.version, self.register.salt)
        self.register.keep_list(issue.version, whole)
        content = whole
        old = None if there is None else self.register.kept_list(there.version)
        if old is not None and there is not None and _body(old) == there.sha256:
            change = deny_list_build.delta(old, whole)
            content = change if len(change) < len(whole) else whole
        signed = sign_file(self._key, PushKind.DENY, content, issue.version, issue.made)
        delta = content is not whole
        return Prepared(PushKind.DENY, issue.version, issue.made, digest, signed, delta)

    def push(self, prepared: Prepared, progress: Progress | None = None) -> None:
        """Put it in force on the unit, under a permit where the seal asks for one."""
        if prepared.kind in SEALED:
            push_permit(self._link, self._key, prepared.kind, prepared.signed)
        push(self._link, prepared.kind, prepared.signed, progress)


def signed_unasked(fleet: Fleet, kind: PushKind, name: str, now: int, unit_id: str = "") -> bytes:
    """A file for a unit that is not there to be asked what it has: one that comes for it at the
    gateway. From what a person named; a deny list is whole. Raises PushedFileError."""
    register = Register(fleet.folder / BUILT)
    scope = unit_id if kind in PER_UNIT else ""
    if kind is PushKind.DENY:
        pans, ranges = deny_entries(Path(name))
        digest = _body(deny_list_build.build(pans, ranges, 1, register.salt))
        issue = register.issue(kind, "", digest, now)
        content = deny_list_build.build(pans, ranges, issue.version, register.salt)
        register.keep_list(issue.version, content)
    else:
        content = OfficeFolder(fleet.folder).named(kind, name, unit_id)
        issue = register.issue(kind, scope, hashlib.sha256(content).hexdigest(), now)
    return sign_file(fleet.private_key, kind, content, issue.version, issue.made, scope)


def _body(deny_list: bytes) -> str:
    """SHA-256 of a deny list's body, in hex, as its header says it."""
    return deny_list[48:80].hex()


def _in_force(fields: Any) -> InForce:
    if not isinstance(fields, dict):
        return InForce(0, 0, "", 0)
    version = int(fields.get("version", 0))
    return InForce(
        version,
        int(fields.get("made", 0)),
        str(fields.get("sha256", "")),
        max(version, int(fields.get("newest", 0))),
    )
