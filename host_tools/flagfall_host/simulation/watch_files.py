"""What must hold of the office's files in a unit: versions only grow, a trip keeps its tariff."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from flagfall_host.ledger.ledger import Ledger
from flagfall_host.ledger.tables import TRIPS
from flagfall_host.simulation.slots import GOOD, Slots
from flagfall_host.simulation.taxi import Taxi
from flagfall_host.simulation.watch import Violation


class WatchFiles:
    """Looks at one unit's files, its meter and its programs. Every method raises Violation."""

    def __init__(self, taxi: Taxi, strike: Callable[[str], None]) -> None:
        self._taxi = taxi
        self._strike = strike
        self._failed = 0  # the release that was given up last
        self._newest: dict[str, int] = {}  # kind: the highest version that was in force
        self._release = 0
        self._tariffs: dict[int, int] = {}  # trip: the version that it began with
        before = taxi.on_face

        def on_face(face: dict[str, Any]) -> None:
            before(face)
            self._tariff_of(face)

        taxi.on_face = on_face
        if taxi.outside.slots is not None:
            taxi.outside.slots.may_restart = self._may_restart

    def _may_restart(self) -> None:
        meter = self._taxi.board.meter if self._taxi.board is not None else None
        if meter is not None and meter.position != 0:
            raise Violation(f"{self._taxi.name}: another program is started during a trip")

    def _tariff_of(self, face: dict[str, Any]) -> None:
        board = self._taxi.board
        if face.get("position") == "FOR HIRE":
            # A trip that was seen, but not kept when the power went: its number comes again.
            self._tariffs.pop(face["trip"] + 1, None)
        if board is None or board.meter is None or face.get("position") != "HIRED":
            return
        version = board.meter.tariff.version
        began = self._tariffs.setdefault(face["trip"], version)
        if version != began:
            raise Violation(
                f"{self._taxi.name}: trip {face['trip']} began with tariff version {began} and "
                f"goes on with {version}"
            )

    def look(self) -> None:
        """Now and then: nothing that was in force is gone or older."""
        name, unit, board = self._taxi.name, self._taxi.unit, self._taxi.board
        if unit is None or board is None or not self._taxi.face:
            return  # it is just starting
        in_force = self._in_force(unit)
        gone = set(self._newest) - set(in_force)
        if gone:
            raise Violation(f"{name}: {sorted(gone)} was in force and is gone")
        for kind, version in in_force.items():
            if version < self._newest.get(kind, 0):
                raise Violation(
                    f"{name}: {kind} version {version} is in force after {self._newest[kind]}"
                )
            if version > self._newest.get(kind, 0):
                self._strike(f"in_force_{kind}")
            self._newest[kind] = version
        if board.chooser is not None and not board.chooser.trial:
            release = board.chooser.program(board.chooser.running)["release"]
            if release < self._release:
                raise Violation(f"{name}: runs release {release} after {self._release}")
            if release > self._release:
                self._strike("in_force_firmware")
            self._release = release
            failed = board.chooser.state()["failed"]
            if failed and failed != self._failed:
                self._strike("program_given_up")
            self._failed = failed

    @staticmethod
    def _in_force(unit: Any) -> dict[str, int]:
        """Kind: version; 0 of what came unsigned from the workshop."""
        files = unit._configuration
        workshop = {"tariff": files.tariff_blob, "config": files.settings, "capk": files.capks}
        found = {kind: 0 for kind, content in workshop.items() if content}
        signed = files.signed.items()
        return found | {k: header.version for k, header in signed if not k.endswith("-next")}

    def at_the_end(self, ledger: Ledger) -> None:
        """Trips are recorded with the tariff that they began with; a good program runs."""
        name = self._taxi.name
        self.look()
        with ledger.reading() as db:
            query = sa.select(TRIPS.c.trip, TRIPS.c.tariff_version)
            for trip, version in db.execute(query.where(TRIPS.c.unit_id == name)):
                if self._tariffs.get(trip, version) != version:
                    raise Violation(
                        f"{name}: trip {trip} began with tariff version {self._tariffs[trip]} "
                        f"and is recorded with {version}"
                    )
        self._program_is_good(self._taxi.outside.slots)

    def _program_is_good(self, slots: Slots | None) -> None:
        if slots is None:
            return
        chooser = self._taxi.board.chooser if self._taxi.board is not None else None
        if chooser is None or chooser.trial or slots.behaviour(chooser.running) != GOOD:
            raise Violation(f"{self._taxi.name}: no good program runs at the end")
