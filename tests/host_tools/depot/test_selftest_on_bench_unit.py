"""The self-test and the event log, on the real firmware: sound, with faults, during a trip."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bench_taxi import START, Garage
from flagfall.journal import schema
from flagfall.link import messages
from flagfall.link.proof import journal_key
from flagfall_host.bench.install import UNIT_ID
from flagfall_host.bench.taxi import Taxi
from flagfall_host.depot.event_log import LogLine, LogReader
from flagfall_host.depot.journal_image import read_image
from flagfall_host.depot.link import Link
from flagfall_host.depot.selftest import PARTS, Part, PartResult, SelfTestRefused, self_test
from flagfall_host.depot.serial_wire import SerialWire

FLAGFALL = Path(sys.executable).with_name("flagfall")
PART = {part.name: part for part in PARTS}


@contextmanager
def running(taxi: Taxi, rest_s: float = 0.005) -> Iterator[None]:
    """The taxi's world goes on while the desk talks to the unit; `rest_s` for each 100 ms of it.

    Little for waits that nobody ends, more where a person must be quicker than the unit's limit.
    """
    over = threading.Event()

    def live() -> None:
        while not over.is_set():
            taxi.world.run(100)
            time.sleep(rest_s)

    thread = threading.Thread(target=live, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(30)


def results(
    taxi: Taxi, garage: Garage, *names: str, person=None, tell=None, rest_s: float = 0.005
) -> dict[str, PartResult]:
    parts = tuple(PART[name] for name in names)
    with running(taxi, rest_s), Link(SerialWire(taxi.port), garage.fleet.unit_key) as link:
        link.open()
        return {r.part: r for r in self_test(link, parts, person, tell or (lambda *_: None))}


def test_a_sound_unit_passes_and_notes_it(garage: Garage, tmp_path: Path) -> None:
    asked = []
    with garage.taxi(tmp_path) as taxi:
        taxi.unit.power_on()
        taxi.world.run(1_000)

        def help_it(part: Part, text: str) -> None:
            if part.name == "sensor":
                taxi.wheel.drive([100] * 60)
            if part.name == "keys" and text.startswith("not pressed yet: "):
                for key in text.partition(": ")[2].split(", "):
                    taxi.world.press(key)

        found = results(
            taxi,
            garage,
            *PART,
            person=lambda question: asked.append(question) or True,
            tell=help_it,
            rest_s=0.05,
        )
        states = {name: result.state for name, result in found.items()}
        # The bench's calendar stands in the past, and it measures no supply and takes no cards.
        assert states.pop("clock") == "fail" and "behind this machine" in found["clock"].detail
        assert states.pop("supply") == "absent" and states.pop("reader") in ("pass", "absent")
        assert set(states.values()) == {"pass"}, found
        assert len(asked) == 2 and found["clock"].do.startswith("`flagfall unit time`")
        assert any("SELF-TEST" in line for line in taxi.world.paper.jobs[-1])
        assert taxi.face["position"] == "FOR HIRE" and taxi.face["message"] == ""
        assert taxi.face["driver"]  # SIGN, pressed for the test, signed nobody out
    image = read_image(tmp_path / "journal.flash", journal_key(garage.fleet.unit_key(UNIT_ID)))
    codes = [
        schema.unpack(r.type, r.body)["code"] for r in image.records if r.type == schema.EVENT
    ]
    assert codes[-1] == schema.SELF_TEST and not image.findings


def test_what_is_broken_fails_and_says_what_to_do(garage: Garage, tmp_path: Path) -> None:
    with garage.taxi(tmp_path) as taxi:
        taxi.unit.power_on()
        taxi.world.run(1_000)
        taxi.wheel.drive([0])
        found = results(taxi, garage, "sensor", "keys", "display", person=lambda _: False)
        assert {r.state for r in found.values()} == {"fail"}
        assert "0 pulses came in 30 s" in found["sensor"].detail
        assert "no press came of SIGN, HIRED" in found["keys"].detail
        assert "nobody sees it" in found["display"].detail
        assert all(r.do for r in found.values())
        # It goes on as before: the keys are the driver's again.
        taxi.press("HIRED", what="the hire after the test", position="HIRED")


def test_never_while_hired(garage: Garage, tmp_path: Path) -> None:
    with garage.taxi(tmp_path) as taxi:
        taxi.unit.power_on()
        taxi.press("HIRED", what="the hire", position="HIRED")
        with pytest.raises(SelfTestRefused, match="waits for the end of the trip"):
            results(taxi, garage, "flash")
        assert taxi.face["position"] == "HIRED"


def test_one_part_at_a_time_and_none_that_is_not_there(garage: Garage, tmp_path: Path) -> None:
    with garage.taxi(tmp_path) as taxi:
        taxi.unit.power_on()
        taxi.world.run(1_000)
        with Link(SerialWire(taxi.port), garage.fleet.unit_key) as link:
            link.open()
            with pytest.raises(SelfTestRefused, match="no such part: one of reader"):
                list(self_test(link, (Part("engine", ""),), None, lambda *_: None))
            begun = link.ask(messages.SELFTEST, messages.pack_str("keys"))
            assert begun["state"] == "running"
            with pytest.raises(SelfTestRefused, match="the test of the keys is not over yet"):
                list(self_test(link, (PART["flash"],), None, lambda *_: None))
            taxi.world.run(31_000)
            again = link.ask(messages.SELFTEST, messages.pack_str("keys"))
            assert again["state"] == "fail"
            (flash,) = self_test(link, (PART["flash"],), None, lambda *_: None)
            assert flash.state == "pass"


def typed(*words: object) -> subprocess.CompletedProcess[str]:
    line = [str(w) for w in (FLAGFALL, *words)]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)


def test_as_a_person_types_it(garage: Garage, tmp_path: Path) -> None:
    with garage.taxi(tmp_path) as taxi:
        taxi.unit.power_on()
        taxi.world.run(1_000)
        at = ("--port", taxi.port, "--fleet", garage.fleet_folder)
        with running(taxi):
            done = typed("unit", "selftest", *at, "--part", "flash", "--part", "supply")
            assert done.returncode == 0 and "all is well" in done.stdout, done.stderr
            done = typed("unit", "selftest", *at, "--part", "clock", "--json")
            assert done.returncode == 1 and json.loads(done.stdout)["failed"] == ["clock"]
            done = typed("unit", "log", *at)
        assert done.returncode == 0, done.stderr
        assert "the unit started (epoch" in done.stdout and "signed in" in done.stdout
        assert "the workshop tested the unit" in done.stdout


def test_the_log_follows_a_meter_that_runs(garage: Garage, tmp_path: Path) -> None:
    lines: list[LogLine] = []
    with garage.taxi(tmp_path) as taxi:
        taxi.unit.power_on()
        taxi.press("HIRED", what="the hire", position="HIRED")
        with Link(SerialWire(taxi.port), garage.fleet.unit_key) as link:
            link.open()
            reader = LogReader(1, lines.append, every=True)
            reader.read(link)
            seen = len(lines)
            assert [line.seq for line in lines] == list(range(1, seen + 1))
            reader.read(link)
            assert len(lines) == seen  # nothing new
            taxi.drive([400] * 5)
            taxi.press("STOP", what="the stop", position="STOPPED")
            taxi.press("CASH", what="the cash", message="Paid in cash")
            taxi.world.run(1_000)
            reader.read(link)
        added = [line.text for line in lines[seen:]]
        assert any(text.startswith("trip 1: 0.05 km") for text in added), added
        assert any("a receipt was printed (trip 1)" in text for text in added)
        assert all(line.time >= START for line in lines)
