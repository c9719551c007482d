"""Old copies of a unit's small files are put back when the office has pushed newer ones."""

import json
import shutil
from pathlib import Path

from bench_taxi import START, Garage, ride
from flagfall.journal import schema
from flagfall.link.proof import journal_key
from flagfall_host.bench.cards import catalogue
from flagfall_host.bench.install import UNIT_ID
from flagfall_host.bench.taxi import Taxi
from flagfall_host.depot.journal_image import read_image
from flagfall_host.depot.link import Link
from flagfall_host.depot.push import push
from flagfall_host.depot.serial_wire import SerialWire
from flagfall_host.depot.signed_files import sign_file

WARNING = "Old files: the office must push, no cards"


def push_revoked(taxi: Taxi, garage: Garage, version: int) -> None:
    blob = json.dumps([f"a0000003330b{n:06x}" for n in range(version)]).encode()
    signed = sign_file(garage.fleet.private_key, "revoked", blob, version, START, UNIT_ID)
    with Link(SerialWire(taxi.port), garage.fleet.unit_key) as link:
        link.open()
        push(link, "revoked", signed)
    taxi.world.run(1_500)  # housekeeping looks once a second


def rolled_back(taxi: Taxi, garage: Garage) -> list[str]:
    image = read_image(taxi.unit.journal, journal_key(garage.fleet.unit_key(UNIT_ID)))
    bodies = [schema.unpack(r.type, r.body) for r in image.records if r.type == schema.EVENT]
    return [b["text"] for b in bodies if b["code"] == schema.FILES_ROLLED_BACK]


def test_old_files_keep_cards_away_until_the_office_pushes(garage: Garage, tmp_path: Path) -> None:
    with garage.taxi(tmp_path / "taxi") as taxi:
        files, copy = tmp_path / "taxi" / "files", tmp_path / "copy"
        taxi.unit.power_on()
        taxi.world.run(200)
        push_revoked(taxi, garage, 1)
        shutil.copytree(files, copy)
        push_revoked(taxi, garage, 2)
        taxi.unit.power_off()

        taxi.unit.power_on()
        taxi.world.run(1_500)
        assert taxi.face.get("warning", "") == "" and rolled_back(taxi, garage) == []
        taxi.unit.power_off()

        shutil.rmtree(files)
        shutil.copytree(copy, files)
        taxi.unit.power_on()
        taxi.world.run(1_500)
        assert taxi.face.get("warning", "") == WARNING
        # The fare is metered all the same, and paid in cash.
        assert ride(taxi) > 0
        taxi.press("CARD", what="no cards", message="Old files: the office must push. Take cash.")
        taxi.press("CASH", what="the cash", paid=schema.CASH)
        taxi.press("FOR_HIRE", what="the next", position="FOR HIRE")
        (text,) = rolled_back(taxi, garage)
        assert text.startswith("versions come to ")
        taxi.unit.power_off()

        # It is not forgotten by another start, and over when the office has pushed what there was.
        taxi.unit.power_on()
        taxi.world.run(1_500)
        assert taxi.face.get("warning", "") == WARNING
        push_revoked(taxi, garage, 2)
        assert taxi.face.get("warning", "") == ""
        due = ride(taxi)
        taxi.press("CARD", what="the request", message=f"Tap card: {due / 100:.2f}")
        taxi.hold(catalogue.make("ecash"))
        taxi.world.wait_face("the payment", paid=schema.CARD)
