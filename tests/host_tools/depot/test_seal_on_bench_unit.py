"""What the seal protects, tried on the real firmware with and without a permit."""

import hashlib
import json
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench_taxi import START, Garage, K
from cryptography.hazmat.primitives.asymmetric import rsa
from flagfall.journal import schema
from flagfall.link import messages
from flagfall.link.proof import journal_key
from flagfall_host.bench.cards import catalogue
from flagfall_host.bench.firmware_build import ROOT
from flagfall_host.bench.install import UNIT_ID
from flagfall_host.bench.taxi import Taxi
from flagfall_host.depot.journal_image import read_image
from flagfall_host.depot.link import Link
from flagfall_host.depot.link_errors import LinkError
from flagfall_host.depot.permit import CONFIG, TARIFF, TIME, make_permit
from flagfall_host.depot.permit import K as K_ACTION
from flagfall_host.depot.push import push
from flagfall_host.depot.serial_wire import SerialWire
from flagfall_host.depot.signed_files import sign_file
from flagfall_host.tariffs.compiler import compile_tariff

FLAGFALL = Path(sys.executable).with_name("flagfall")
OTHER_TARIFF = "hong-kong-urban-2022"


def signed(garage: Garage, kind: str, content: bytes, version: int = 1) -> bytes:
    return sign_file(garage.fleet.private_key, kind, content, version, START, UNIT_ID)


def info(taxi: Taxi, garage: Garage) -> dict:
    with Link(SerialWire(taxi.port), garage.fleet.unit_key) as link:
        link.open()
        return link.ask(messages.INFO)


def pushed(taxi: Taxi, garage: Garage, *files: tuple[str, bytes]) -> str:
    """Push files in one session; return the refusal, or "" if all went."""
    with Link(SerialWire(taxi.port), garage.fleet.unit_key) as link:
        link.open()
        try:
            for kind, blob in files:
                push(link, kind, blob)
        except LinkError as e:
            return str(e)
    return ""


def events(taxi: Taxi, garage: Garage) -> list[tuple[int, str]]:
    image = read_image(taxi.unit.journal, journal_key(garage.fleet.unit_key(UNIT_ID)))
    bodies = [schema.unpack(r.type, r.body) for r in image.records if r.type == schema.EVENT]
    return [(b["code"], b["text"]) for b in bodies]


def test_no_change_without_the_right_permit(garage: Garage, tmp_path: Path) -> None:
    tariff = signed(garage, "tariff", compile_tariff(OTHER_TARIFF))
    other = rsa.generate_private_key(65537, 2048)
    mine = garage.fleet.private_key
    with garage.taxi(tmp_path) as taxi:
        taxi.unit.power_on()
        taxi.world.run(200)
        first = info(taxi, garage)
        number = first["audit"] + 1
        wrong = {
            "no permit": None,
            "another key": make_permit(other, UNIT_ID, TARIFF, number, tariff),
            "another unit": make_permit(mine, "BENCH-2", TARIFF, number, tariff),
            "another number": make_permit(mine, UNIT_ID, TARIFF, number + 1, tariff),
            "another content": make_permit(mine, UNIT_ID, TARIFF, number, tariff + b"x"),
            "another action": make_permit(mine, UNIT_ID, CONFIG, number, tariff),
            "no JSON": b"{",
            "no signature": json.dumps({"action": TARIFF, "counter": number}).encode(),
        }
        for why, permit in wrong.items():
            files = [("permit", permit)] if permit else []
            assert pushed(taxi, garage, *files, ("tariff", tariff)), why
            assert info(taxi, garage)["tariff"] == "hefei", why
            assert info(taxi, garage)["audit"] == first["audit"], why
        good = make_permit(mine, UNIT_ID, TARIFF, number, tariff)
        assert pushed(taxi, garage, ("permit", good), ("tariff", tariff)) == ""
        after = info(taxi, garage)
        assert after["tariff"].startswith("hong-kong") and after["audit"] == number
        # The same permit does not serve twice.
        hefei = signed(garage, "tariff", compile_tariff("hefei"), 2)
        assert pushed(taxi, garage, ("permit", good), ("tariff", hefei))
        assert pushed(taxi, garage, ("tariff", hefei))
        # The counter outlives the power.
        taxi.unit.power_off()
        taxi.unit.power_on()
        taxi.world.run(200)
        assert info(taxi, garage)["audit"] == number
        assert any(c == schema.TARIFF_CHANGED and "audit" in t for c, t in events(taxi, garage))


def test_ca_keys_are_under_the_seal(garage: Garage, tmp_path: Path) -> None:
    content = json.dumps([row.hex() for row in catalogue.capk_tlvs()[:2]]).encode()
    capks = signed(garage, "capk", content)
    with garage.taxi(tmp_path) as taxi:
        taxi.unit.power_on()
        taxi.world.run(200)
        assert "permit" in pushed(taxi, garage, ("capk", capks))
        number = info(taxi, garage)["audit"] + 1
        permit = make_permit(garage.fleet.private_key, UNIT_ID, "capk", number, capks)
        assert pushed(taxi, garage, ("permit", permit), ("capk", capks)) == ""
        restarted(taxi)
        assert info(taxi, garage)["audit"] == number
        assert (schema.KEYS_CHANGED, f"audit {number}: 2 CA keys") in events(taxi, garage)


def test_calibration_by_a_measured_stretch(garage: Garage, tmp_path: Path) -> None:
    """The wheel gives 1,000 pulses a km, the unit is told to read 0.5 % too little."""
    with garage.taxi(tmp_path) as taxi:
        taxi.unit.power_on()
        taxi.world.run(200)
        command = [FLAGFALL, "unit", "calibrate", "--port", taxi.port, "--stretch-m", "2000"]
        process = subprocess.Popen(
            [*command, "--fleet", garage.fleet_folder, "--yes", "--json"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=0,
        )
        assert process.stdin and process.stdout
        _read_to(process, "press Enter. ")
        process.stdin.write("\n")
        _read_to(process, "press Enter. ")
        before = taxi.wheel.pulses
        taxi.drive([200] * 360)  # 20 km/h for six minutes: 2 km
        driven = taxi.wheel.pulses - before
        process.stdin.write("\n")
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        result = json.loads(out[out.index("{") :])
        assert result["pulses"] == driven and 1_990 < driven < 2_010
        assert abs(result["k"] - driven / 2 / 0.995) <= 1 and result["in_force"]
        restarted(taxi)
        assert info(taxi, garage)["k"] == result["k"]
        assert any(c == schema.K_CHANGED for c, _ in events(taxi, garage))
        permit = make_permit(garage.fleet.private_key, UNIT_ID, K_ACTION, 99, b"1000")
        assert pushed(taxi, garage, ("permit", permit), ("k", b"1000"))


def restarted(taxi: Taxi) -> None:
    """Let the bench run until the unit has started anew: its screen begins to count again."""
    taxi.world.wait(lambda: taxi.face["said"] > 0, "the news of the change")
    limit = time.monotonic() + 30
    while taxi.face.get("said") != 0:
        assert time.monotonic() < limit, "the unit did not start anew"
        taxi.world.run(100)


def _read_to(process: subprocess.Popen, prompt: str) -> None:
    text = ""
    while not text.endswith(prompt):
        c = process.stdout.read(1)
        assert c, f"ended after {text!r}: {process.stderr.read()}"
        text += c


def test_the_clock_has_two_minutes_a_week(garage: Garage, tmp_path: Path) -> None:
    with garage.taxi(tmp_path) as taxi:
        taxi.unit.power_on()
        taxi.world.run(200)

        def set_clock(by: int, permitted: bool = False) -> str:
            with Link(SerialWire(taxi.port), garage.fleet.unit_key) as link:
                link.open()
                state = link.ask(messages.INFO)
                content = struct.pack("<I", state["time"] + by)
                try:
                    if permitted:
                        number = state["audit"] + 1
                        key = garage.fleet.private_key
                        push(link, "permit", make_permit(key, UNIT_ID, TIME, number, content))
                    link.ask(messages.TIME, content)
                except LinkError as e:
                    return str(e)
            taxi.world.run(200)
            return ""

        assert set_clock(60) == ""
        assert set_clock(-50) == ""
        assert "left of 120 s a week" in set_clock(20)
        assert "permit" in set_clock(3_600)
        assert set_clock(3_600, permitted=True) == ""
        taxi.press("HIRED", what="the hire", position="HIRED")
        assert "during a trip" in set_clock(5)
        assert "during a trip" in set_clock(3_600, permitted=True)
        assert len([c for c, _ in events(taxi, garage) if c == schema.TIME_SET]) == 3


def test_the_metrology_files_are_named_and_hashed(garage: Garage, tmp_path: Path) -> None:
    with garage.taxi(tmp_path) as taxi:
        taxi.unit.power_on()
        taxi.world.run(200)
        shown = info(taxi, garage)["metrology"]
    whole = hashlib.sha256()
    names = sorted(p.stem for p in (ROOT / "firmware/lib/flagfall/meter").glob("*.py"))
    from flagfall.meter import identity

    for name in identity.FILES:
        assert name in names
        data = (ROOT / "build/firmware/flagfall/meter" / f"{name}.mpy").read_bytes()
        whole.update(name.encode() + b"\0" + data + len(data).to_bytes(4, "little"))
    assert shown == {
        "name": identity.NAME,
        "version": identity.VERSION,
        "sha256": whole.hexdigest(),
    }


@pytest.mark.parametrize("limit", [b"99", b"65536", b"many"])
def test_a_k_that_makes_no_sense_is_refused(garage: Garage, tmp_path: Path, limit: bytes) -> None:
    with garage.taxi(tmp_path) as taxi:
        taxi.unit.power_on()
        taxi.world.run(200)
        number = info(taxi, garage)["audit"] + 1
        permit = make_permit(garage.fleet.private_key, UNIT_ID, K_ACTION, number, limit)
        assert pushed(taxi, garage, ("permit", permit), ("k", limit))
        state = info(taxi, garage)
        assert state["k"] == K and state["audit"] == number - 1


def test_a_tariff_waits_for_the_end_of_the_trip_and_for_its_day(
    garage: Garage, tmp_path: Path
) -> None:
    """Pushed while hired, the power lost meanwhile: the trip is metered by the tariff it began
    with. A tariff dated for later waits for its activation time."""
    text = (ROOT / "host_tools/tariffs/hong-kong-urban-2022.toml").read_text()
    for old, new in (("2022-07-17", "2026-03-03"), ("2024-07-14", "2030-01-01")):
        assert f"= {old}\n" in text
        text = text.replace(f"= {old}\n", f"= {new}\n")
    dated = tmp_path / "later.toml"
    dated.write_text(text)

    def push_tariff(name: str) -> None:
        run = subprocess.run(
            [FLAGFALL, "unit", "push", "tariff", name, "--port", taxi.port]
            + ["--fleet", str(garage.fleet_folder)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert run.returncode == 0, run.stderr

    with garage.taxi(tmp_path / "taxi") as taxi:
        taxi.unit.power_on()
        taxi.press("HIRED", what="the hire", position="HIRED")
        taxi.drive([300] * 60)
        fare = taxi.face["fare"]
        push_tariff("netherlands-2025")
        taxi.unit.power_off()
        taxi.world.pass_without_power(5_000)
        taxi.unit.power_on()
        taxi.world.run(300)
        assert taxi.face["position"] == "HIRED" and taxi.face["fare"] == fare
        assert info(taxi, garage)["tariff"] == "hefei"
        taxi.press("STOP", what="the stop", position="STOPPED")
        taxi.press("CASH", what="the cash", paid=1)
        taxi.press("FOR_HIRE", what="For Hire", position="FOR HIRE")
        assert info(taxi, garage)["tariff"] == "netherlands-2025"
        push_tariff(str(dated))
        taxi.world.run(500)
        assert info(taxi, garage)["tariff"] == "netherlands-2025"
        taxi.unit.power_off()
        taxi.world.pass_without_power(20 * 3_600_000)  # past midnight in Hong Kong
        taxi.unit.power_on()
        taxi.world.run(500)
        assert info(taxi, garage)["tariff"] == "hong-kong-urban-2022"
        taxi.unit.power_off()
        taxi.unit.power_on()
        taxi.world.run(300)
        assert info(taxi, garage)["tariff"] == "hong-kong-urban-2022"
