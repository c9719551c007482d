"""A certified ISU on the bench unit's meter port: asked and told as JT/T 905 has it."""

import json
from binascii import crc32
from pathlib import Path

import pytest
from bench_taxi import START, Garage, ride
from flagfall.clock import civil
from flagfall.jt905 import bodies
from flagfall_host.bench.isu import Isu
from flagfall_host.bench.taxi import Taxi

_OFFSET_S = 8 * 3600  # China


def _taxi(garage: Garage, folder: Path, isu: Isu) -> Taxi:
    """A taxi whose settings name the ISU's maker."""
    taxi = garage.taxi(folder, isu=isu)
    path = folder / "files" / "settings.json"
    settings = json.loads(path.read_bytes()[:-8])
    settings["isu_vendor"] = isu.vendor
    blob = json.dumps(settings).encode()
    path.write_bytes(blob + b"%08x" % crc32(blob))
    return taxi


def _paid_trip(taxi: Taxi) -> int:
    due = ride(taxi)
    taxi.press("CASH", what="the cash payment", paid=1)
    taxi.press("FOR_HIRE", what="the end", position="FOR HIRE")
    taxi.stand(2)
    return due


def test_questions_are_answered(garage: Garage, tmp_path: Path) -> None:
    isu = Isu(vendor=3)
    with _taxi(garage, tmp_path, isu) as taxi:
        taxi.unit.power_on()
        taxi.stand(1)
        status = isu.ask(bodies.STATUS, bodies.stamp(0, 7))
        assert len(status) == 5 + 3 + 2 + 6 + 16 + 19 + 4
        assert status[:2].hex() == "0302"
        assert status[10:16] == b"ST-001"
        clock = isu.ask(bodies.CLOCK_CHECK, bodies.stamp(0, 7)).hex()
        year, month, day, hour, *_ = civil(START + 600 + _OFFSET_S)
        assert clock[:10] == f"{year:04}{month:02}{day:02}{hour:02}"
        tariff = isu.ask(bodies.TARIFF_QUERY)
        # Hefei: 2.00 a km, 2.40 at night; flagfall 10.00 for 2.5 km, 12.00 at night; 3.00 beyond
        # 12 km; waiting 0.40 a minute after 3 minutes; night 23:00 to 05:00.
        figures = [tariff[at : at + 2].hex() for at in range(5, 41, 2)]
        assert figures[:4] == ["0200", "0240", "0300", "0360"]
        assert figures[6:8] == ["1000", "1200"]
        assert figures[9:11] == ["0250", "1200"]
        assert figures[12] == "0040"
        assert figures[14] == "0300"
        assert figures[16:] == ["2300", "0500"]
        assert isu.ask(bodies.TARIFF_SET, tariff)[0] == bodies.UNSUPPORTED
        # Noise, and frames for other devices, change nothing.
        isu.send(b"\x55\xaa\x00" + bytes(range(256)) + b"\x55")
        assert isu.ask(bodies.TARIFF_QUERY) == tariff


def test_a_shift_is_told(garage: Garage, tmp_path: Path) -> None:
    isu = Isu()
    with _taxi(garage, tmp_path, isu) as taxi:
        taxi.unit.power_on()
        taxi.stand(1)
        due = _paid_trip(taxi)
        trip = isu.wait_told(bodies.TRIP)[0]
        assert trip[58:61].hex() == f"{due // 10:06}"
        assert (trip[65], len(trip)) == (bodies.CASH, 66)
        assert len(isu.wait_told(bodies.HIRED)[0]) == 7
        driver = taxi.face["driver"]
        assert trip[22:41].rstrip(b"\0").decode() == driver
        taxi.press("SIGN", what="the sign-out", driver="")
        taxi.stand(3)
        shift = isu.wait_told(bodies.SIGNED_OUT)[0]
        assert shift[66:69].hex() == f"{due // 10:06}", shift.hex()
        taxi.press("SIGN", "7001", what="the sign-in", driver="7001")
        taxi.stand(3)
        isu.wait_told(bodies.SIGN_IN)
        assert b"7001" in isu.wait_told(bodies.SIGNED_IN)[0]
        assert isu.wait_told(bodies.HEARTBEAT)


@pytest.mark.parametrize("how", ["silent", "refuses", "power"])
def test_what_was_not_acknowledged_is_sent_again(garage: Garage, tmp_path: Path, how: str) -> None:
    isu = Isu()
    with _taxi(garage, tmp_path, isu) as taxi:
        taxi.unit.power_on()
        taxi.stand(1)
        isu.silent = how != "refuses"
        isu.refusals = 6 if how == "refuses" else 0
        due = _paid_trip(taxi)
        if how == "power":
            taxi.unit.power_off()
            taxi.world.pass_without_power(1_000)
            isu.silent = False
            taxi.unit.power_on()
            taxi.stand(2)
        else:
            # Three tries a second apart, then the ISU is left alone for a minute.
            isu.wait_told(bodies.TRIP, 3)
            isu.silent = False
            for _ in range(20):
                taxi.stand(10)
        again = isu.wait_told(bodies.TRIP_AGAIN)
        assert again[0][58:61].hex() == f"{due // 10:06}"
        taxi.stand(5)
        count = len(isu.wait_told(bodies.TRIP_AGAIN))
        # Acknowledged once, never sent again.
        for _ in range(15):
            taxi.stand(10)
        assert len(isu.wait_told(bodies.TRIP_AGAIN)) == count
