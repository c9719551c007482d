"""What the office gives out: tariffs, settings, keys, texts, campaigns, deny lists and programs.

Each is signed with a version that only grows, as `flagfall unit push` and `flagfall update build`
sign it; what the office once gave out is kept, so that somebody may push it again by mistake.
"""

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flagfall import bundle, permit

from flagfall_host.bench.cards import catalogue
from flagfall_host.depot.fleet import Fleet
from flagfall_host.depot.signed_files import sign_file
from flagfall_host.emv import deny_list_build
from flagfall_host.simulation.installer import TARIFF
from flagfall_host.simulation.slots import DIES, GOOD, HANGS, SICK, Releases
from flagfall_host.simulation.story import Story
from flagfall_host.tariffs.compiler import compile_tariff

FIRMWARE = bundle.KIND
KINDS = ("tariff", "config", "capk", "texts", "campaigns", "deny", FIRMWARE)
PERMITS = {"tariff": permit.TARIFF, "config": permit.CONFIG, "capk": permit.CAPK}
_SALT = bytes(range(16))
_BAD = (DIES, HANGS, SICK)


@dataclass(frozen=True)
class Issue:
    """A signed file. `permitted`: the bytes that a permit must name, for what is under the seal;
    `behaviour`: of a program."""

    kind: str
    version: int
    blob: bytes
    action: str = ""
    permitted: bytes = b""
    behaviour: str = ""


class Press:
    """`issue` makes the next version of a kind for a unit; `given` are all that there were."""

    def __init__(
        self,
        fleet: Fleet,
        folder: Path,
        chance: random.Random,
        story: Story,
        utc_s: Callable[[], int],
        numbers: list[str],
    ) -> None:
        self.releases = Releases()
        self.given: dict[tuple[str, str], list[Issue]] = {}
        self._fleet = fleet
        self._folder = folder
        self._chance = chance
        self._story = story
        self._utc_s = utc_s
        self._numbers = numbers  # of the city's cards, for the deny list
        self._lists: dict[int, bytes] = {}

    def newest(self, unit_id: str, kind: str) -> Issue | None:
        given = self.given.get((unit_id, kind))
        return given[-1] if given else None

    def issue(
        self, unit_id: str, kind: str, settings: dict[str, Any], *, bad: bool, whole: bool
    ) -> Issue:
        """`settings` are the unit's own; `bad`: a program that does not stand its trial; `whole`:
        a deny list that needs no other before it."""
        given = self.given.setdefault((unit_id, kind), [])
        version = given[-1].version + 1 if given else 2
        if kind == FIRMWARE:
            issue = self._program(bad)
        elif kind == "deny":
            issue = self._deny(unit_id, whole)
        else:
            content = getattr(self, f"_{kind}")(version, settings)
            made = self._sign(kind, content, version, unit_id if kind in PERMITS else "")
            action = PERMITS.get(kind, "")
            issue = Issue(kind, version, made, action, made if action else b"")
        self._story.tell("office", f"issues {kind} {issue.version} for {unit_id}")
        given.append(issue)
        return issue

    def _sign(self, kind: str, content: bytes, version: int, unit_id: str = "") -> bytes:
        key = self._fleet.private_key
        return sign_file(key, kind, content, version, self._utc_s(), unit_id)

    # --- the kinds -----------------------------------------------------------------------------

    def _tariff(self, version: int, _settings: dict[str, Any]) -> bytes:
        text = TARIFF.read_text(encoding="utf-8")
        text = text.replace("version = 1", f"version = {version}", 1)
        text = re.sub(r'amount = "5.00"', f'amount = "{5 + version % 4}.00"', text, count=1)
        path = self._folder / f"tariff-{version}.toml"
        path.write_text(text, encoding="utf-8")
        return compile_tariff(path)

    def _config(self, version: int, settings: dict[str, Any]) -> bytes:
        fields = {name: value for name, value in settings.items() if name != "k"}
        fields["company"] = f"COMPANY {version}"
        return json.dumps(fields, sort_keys=True).encode()

    def _capk(self, _version: int, _settings: dict[str, Any]) -> bytes:
        rows = [row.hex() for row in catalogue.capk_tlvs()]
        return json.dumps({"live": False, "keys": rows}).encode()

    def _texts(self, version: int, _settings: dict[str, Any]) -> bytes:
        return json.dumps({"header": [f"HEADER {version}"]}).encode()

    def _campaigns(self, version: int, _settings: dict[str, Any]) -> bytes:
        now = self._utc_s()
        row = {"id": version, "name": f"C{version}", "from": now, "until": now + 86_400}
        row |= {"percent": 10} if version % 2 else {"off": 50}
        return json.dumps([row]).encode()

    def _deny(self, unit_id: str, must_be_whole: bool) -> Issue:
        """A whole list, or the change from the one before it."""
        version = len(self._lists) + 1
        some = self._chance.sample(self._numbers, 2)
        whole = deny_list_build.build(some, [("6299", "6299")], version, _SALT)
        before = self.newest(unit_id, "deny")
        content = whole
        if before is not None and not must_be_whole:
            content = deny_list_build.delta(self._lists[before.version], whole)
        self._lists[version] = whole
        return Issue("deny", version, self._sign("deny", content, version))

    def _program(self, bad: bool) -> Issue:
        behaviour = self._chance.choice(_BAD) if bad else GOOD
        release = self.releases.next(behaviour, self._chance.random() < 0.3)
        blob = release.bundle(self._fleet.private_key, self._utc_s())
        return Issue(
            FIRMWARE, release.number, blob, permit.METROLOGY, release.metrology, behaviour
        )
