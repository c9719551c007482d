"""A unit's two programs: what the real chooser starts, and the bundles that bring another.

Every slot holds the firmware that the simulation runs; one small file says how the program behaves
when it starts, for a program that does not start is what a trial is for.
"""

import random
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from flagfall import bundle
from flagfall.meter import identity

from flagfall_host.simulation import firmware_modules
from flagfall_host.updates.bundle_file import sign

GOOD, DIES, HANGS, SICK = "good", "dies", "hangs", "sick"
_BEHAVIOUR = "taximeter.mpy"
_FILES = ("app/meter.mpy", "app/payment.mpy", "flagfall/record.mpy", "unit.mpy")
_CHOOSER = firmware_modules.FIRMWARE / "boot" / "chooser.py"


class Restarted(BaseException):
    """The unit asks for a fresh start of the chip. Not an Exception: no handler sees it."""


class NotWhole(Exception):
    """A program was started that is not, byte for byte, one that the office signed."""


class Release:
    """One program: its number, how it behaves, and its files."""

    def __init__(self, number: int, behaviour: str, measuring: int) -> None:
        self.number = number
        self.behaviour = behaviour
        chance = random.Random(number)  # noqa: S311 - the same number is the same program
        self.measuring = {
            f"{bundle.METROLOGY}{name}{bundle.SUFFIX}": f"{name} {measuring}\n".encode() * 20
            for name in identity.FILES
        }
        self.others = {name: chance.randbytes(chance.randrange(300, 2_500)) for name in _FILES}
        self.others[_BEHAVIOUR] = f"{behaviour} {number}\n".encode()
        self.metrology = identity.fingerprint(
            lambda name: (self.measuring[f"{bundle.METROLOGY}{name}{bundle.SUFFIX}"],),
            identity.FILES,
        )

    @property
    def version(self) -> str:
        return f"1.0.{self.number}"

    def bundle(self, key: RSAPrivateKey, made: int) -> bytes:
        """The signed update."""
        content = bundle.pack(
            "simulation", self.version, self.metrology, self.measuring, self.others
        )
        return sign(content, key, self.number, made)


class Releases:
    """All programs that the office has ever built; 0 is the one from the workshop."""

    def __init__(self) -> None:
        self.all: dict[int, Release] = {0: Release(0, GOOD, 0)}

    def next(self, behaviour: str, other_metrology: bool) -> Release:
        number = len(self.all)
        newest = list(self.all.values())[-1]
        measuring = int(newest.measuring[f"{bundle.METROLOGY}fare{bundle.SUFFIX}"].split()[1])
        self.all[number] = Release(number, behaviour, measuring + other_metrology)
        return self.all[number]


class Slots:
    """A unit's folder of two programs. `may_restart()` raises when a start would be a crime."""

    def __init__(self, folder: Path, releases: Releases) -> None:
        self.root = folder / "slots"
        self.may_restart: Callable[[], None] = lambda: None
        self.restarts = 0
        self._releases = releases
        first = releases.all[0]
        for path, content in {**first.measuring, **first.others}.items():
            place = self.root / "a" / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        (self.root / "b").mkdir()
        fields = {
            "release": 0,
            "version": first.version,
            "board": "simulation",
            "metrology": first.metrology.hex(),
        }
        self._chooser().mark("a", fields)

    def _chooser(self) -> Any:
        module = firmware_modules.fresh(_CHOOSER)
        module.root = str(self.root)
        module.restart = self._restart
        return module

    def _restart(self) -> None:
        self.may_restart()
        self.restarts += 1
        raise Restarted

    def behaviour(self, slot: str) -> str:
        """How the program in a slot behaves."""
        return (self.root / slot / _BEHAVIOUR).read_text(encoding="utf-8").split()[0]

    def start(self) -> tuple[types.ModuleType, Path, str]:
        """As firmware/boot/main.py: the chooser that chose, the slot's folder, and how its program
        behaves. Raises NotWhole."""
        chooser = self._chooser()
        chooser.running = chooser.choose()
        chooser.trial = chooser.state()["trial"] == chooser.running
        folder = self.root / chooser.running
        mark = chooser.program(chooser.running)
        if mark is None or mark["release"] not in self._releases.all:
            raise NotWhole(f"slot {chooser.running} has no program")
        release = self._releases.all[mark["release"]]
        for path, content in {**release.measuring, **release.others}.items():
            there = folder / path
            if not there.is_file() or there.read_bytes() != content:
                raise NotWhole(f"slot {chooser.running}, release {release.number}: {path}")
        return chooser, folder, release.behaviour
