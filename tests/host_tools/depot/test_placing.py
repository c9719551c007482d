"""A file placed for the real firmware: the permits that the office made from its books fit."""

from pathlib import Path

import pytest
from bench_taxi import Garage
from flagfall.link import messages
from flagfall_host.bench.install import UNIT_ID
from flagfall_host.depot.link import Link
from flagfall_host.depot.placing import PERMITS, file_for, last_audit
from flagfall_host.depot.pull import pull
from flagfall_host.depot.push import NotAccepted, push
from flagfall_host.depot.pushed_files import PushKind
from flagfall_host.depot.serial_wire import SerialWire
from flagfall_host.depot.signed_files import sign_file
from flagfall_host.ledger import Ledger
from flagfall_host.ledger.placements import without_permits
from flagfall_host.tariffs.compiler import compile_tariff


def test_the_units_seal_takes_the_permit_for_its_next_change(garage: Garage, tmp_path: Path):
    fleet = garage.fleet
    with garage.taxi(tmp_path / "taxi") as taxi, Ledger.open(tmp_path / "ledger") as ledger:
        taxi.unit.power_on()
        taxi.world.run(200)
        with Link(SerialWire(taxi.port), fleet.unit_key) as link:
            link.open()
            pull(link, ledger)
            audit = link.ask(messages.INFO)["audit"]
            for version, name in enumerate(("hong-kong-urban-2022", "hefei"), 1):
                tariff = compile_tariff(name)
                content = sign_file(fleet.private_key, "tariff", tariff, version, 1, UNIT_ID)
                placed = file_for(fleet.private_key, ledger, UNIT_ID, PushKind.TARIFF, content)
                file, permits = without_permits(placed)
                assert file == content and len(permits) == PERMITS
                with pytest.raises(NotAccepted):
                    push(link, "tariff", file)
                # The second time the books are one change behind: another of the permits fits.
                push(link, "permit", permits[link.ask(messages.INFO)["audit"] + 1])
                push(link, "tariff", file)
            assert link.ask(messages.INFO)["audit"] == audit + 2
            assert last_audit(ledger, UNIT_ID) == audit
            pull(link, ledger)
        assert last_audit(ledger, UNIT_ID) == audit + 2


def test_what_is_not_sealed_needs_no_permit_and_an_unknown_unit_begins_at_one(tmp_path: Path):
    assert without_permits(b"anything") == (b"anything", {})
    with Ledger.open(tmp_path / "ledger") as ledger:
        assert last_audit(ledger, "CAB-1") == 0
