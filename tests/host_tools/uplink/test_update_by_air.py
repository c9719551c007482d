"""An update that waits at a gateway: fetched over TLS by 4G, tried, confirmed, booked."""

import sys
import time
from pathlib import Path

from bench_taxi import START
from flagfall.journal import schema
from flagfall_host.flashing.program_files import BENCH, slot_files
from flagfall_host.updates import bundle_file
from passing_world import PassingWorld

sys.path.insert(0, str(Path(__file__).parent))

from dialling_taxi import NAME, PORT, DiallingGarage, info, rows, short_trip  # noqa: E402
from plain_gateway import PlainGateway  # noqa: E402

_PATIENCE_S = 100


def test_an_update_comes_down_and_the_unit_tells_that_it_runs(tmp_path):
    garage = DiallingGarage(tmp_path / "garage", every_s=60)
    ledger = tmp_path / "ledger.sqlite"
    content = bundle_file.content_of(BENCH, slot_files(BENCH))
    data = bundle_file.sign(content, garage.fleet.private_key, 3, START)
    with (
        PlainGateway(tmp_path / "gateway", garage.fleet, ledger) as gateway,
        garage.dialling(tmp_path / "taxi", slots=True) as taxi,
    ):
        gateway.pushes = [("firmware", data)]
        taxi.network.routes[NAME, PORT] = gateway.address
        taxi.unit.power_on()
        short_trip(taxi)

        def told() -> list[str]:
            events = rows(ledger, "events") if ledger.exists() else []
            return [row["text"] for row in events if row["code"] == schema.PROGRAM]

        limit = time.monotonic() + _PATIENCE_S
        with PassingWorld(taxi) as world:
            while not any("release 3 (" in text and "in force" in text for text in told()):
                assert time.monotonic() < limit, f"{told()} {taxi.unit.log()}"
                time.sleep(0.1)
        assert world.restarts == 1 and not gateway.pushes
        assert info(taxi, garage.fleet)["program"] == {"slot": "b", "release": 3, "trial": False}
        assert any("whole in slot b" in text for text in told())
