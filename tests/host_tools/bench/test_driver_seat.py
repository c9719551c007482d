"""The driver's seat as a person sits in it, by textual's own pilot: keys in, screen out."""

import asyncio
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from bench_taxi import START
from flagfall_host.bench.drive.app import Seat
from flagfall_host.bench.drive.folder import SeatFolder, SeatFolderError
from flagfall_host.ledger import Ledger
from textual.pilot import Pilot

FLAGFALL = Path(sys.executable).with_name("flagfall")
SIZE = (112, 40)
_PATIENCE_S = 60

Ride = Callable[[Seat, Pilot[None]], Awaitable[None]]


async def until(pilot: Pilot[None], condition: Callable[[], bool], what: str) -> None:
    """Wait for what the unit does in its own time."""
    limit = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < limit, f"waited in vain for {what}"
        await pilot.pause(0.02)


def sit(folder: Path, ride: Ride, language: str = "en") -> None:
    """One sitting in `folder`, ten times faster than life."""

    async def sitting() -> None:
        with SeatFolder(folder) as place:
            seat = Seat(place, language, utc_s=START, factor=10)  # type: ignore[arg-type]
            try:
                async with seat.run_test(size=SIZE) as pilot:
                    await until(pilot, lambda: seat.face.get("position") is not None, "a face")
                    await until(pilot, lambda: seat.rig.powered, "the unit")
                    await ride(seat, pilot)
            finally:
                seat.rig.close()
                seat.office.close()

    asyncio.run(sitting())


def screen(seat: Seat) -> str:
    """Everything that stands on the screen, as text."""
    return "\n".join(
        "".join(segment.text for segment in strip)
        for strip in seat.screen._compositor.render_strips()
    )


async def ride_to_the_question(seat: Seat, pilot: Pilot[None]) -> None:
    """Sign in if need be, hire, drive, brake, stop."""
    if not seat.face["driver"]:
        await pilot.press(*"340023", "s")
        await until(pilot, lambda: seat.face["driver"] == "340023", "the sign-in")
    await pilot.press("h")
    await until(pilot, lambda: seat.face["position"] == "HIRED", "the hire")
    await pilot.press(*["up"] * 6)
    await until(pilot, lambda: seat.face["distance_mm"] >= 100_000, "a hundred metres")
    await pilot.press("space")
    await until(pilot, lambda: seat.rig.speed == 0, "the stop of the car")
    await pilot.press("p")
    await until(pilot, lambda: seat.face["position"] == "STOPPED", "the stop of the meter")


async def a_trip_and_a_torn_tap(seat: Seat, pilot: Pilot[None]) -> None:
    assert "sign in" in screen(seat), "the screen says what to do first"
    await ride_to_the_question(seat, pilot)
    fare = seat.face["fare"]
    await pilot.press("k")
    await until(pilot, lambda: seat.rig.field_on, "the reader")
    await until(pilot, lambda: "waits for a card" in screen(seat), "the first light")
    await pilot.press("x")
    await until(pilot, lambda: "too early" in seat.face["message"], "the torn tap")
    await until(pilot, lambda: not seat.rig.held, "the card in the hand again")
    assert not seat.face["paid"]
    card = seat.wallet.chosen()
    await pilot.press("t")
    await until(pilot, lambda: seat.face["paid"] == 2, "the payment")
    await until(pilot, lambda: "Balance left" in screen(seat), "the receipt on the screen")
    assert card.balance == 50_000 - fare
    assert "PAID CARD" in screen(seat)
    await pilot.press("f")
    await until(pilot, lambda: seat.face["position"] == "FOR HIRE", "For Hire")
    await pilot.press("o")
    await until(pilot, lambda: "1 trips" in seat.switches.said, "the pull")
    await pilot.press("a")
    await until(pilot, lambda: "1 taps" in seat.switches.said, "the settlement")


async def goes_on_and_loses_its_power(seat: Seat, pilot: Pilot[None]) -> None:
    assert seat.face["driver"] == "340023", "still signed in"
    spent = seat.wallet.chosen()
    assert spent.balance < 50_000, "the wallet remembers"
    await ride_to_the_question(seat, pilot)
    assert seat.face["trip"] == 2
    await pilot.press("w")
    await until(pilot, lambda: not seat.rig.powered, "the power to go")
    await until(pilot, lambda: "no power" in screen(seat), "a dark display")
    await pilot.press("h", "k", "t", "t")
    await pilot.press("w")
    await until(pilot, lambda: seat.rig.powered, "the power to come")
    await until(pilot, lambda: seat.face["position"] == "STOPPED", "the trip to go on")
    await pilot.press("c")
    await until(pilot, lambda: seat.face["paid"] == 1, "the cash")
    await pilot.press("v")
    await until(pilot, lambda: seat.rig.port == "", "the cable to be out")
    await pilot.press("o")
    await until(pilot, lambda: "did not work" in seat.switches.said, "the office's complaint")
    await pilot.press("question_mark")
    await until(pilot, lambda: "Worth trying" in screen(seat), "the help page")
    await pilot.press("escape")


def test_a_trip_and_a_tap_then_a_second_sitting(tmp_path: Path) -> None:
    folder = tmp_path / "seat"
    sit(folder, a_trip_and_a_torn_tap)
    with Ledger.open(folder / "ledger.sqlite") as ledger:
        books = ledger.summary()
    assert (books["trips"], books["card_payments"], books["torn_open"]) == (1, 1, 0)
    sit(folder, goes_on_and_loses_its_power)
    assert (folder / "taxi" / "unit.log").read_text() == ""
    slips = sorted(p.name for p in (folder / "taxi" / "receipts").glob("*.txt"))
    assert slips == ["receipt-01.txt", "receipt-02.txt"], "the roll goes on"


async def out_of_paper_and_by_pin(seat: Seat, pilot: Pilot[None]) -> None:
    await ride_to_the_question(seat, pilot)
    await pilot.press("n")
    await until(pilot, lambda: "no paper" in screen(seat), "the roll to be out")
    await pilot.press("k")
    await until(pilot, lambda: seat.rig.lit == "1000", "the first light, by the unit's pins")
    await until(pilot, lambda: "⬤   ◯   ◯   ◯" in screen(seat), "the first light on the screen")
    await pilot.press("t")
    world = seat.rig.taxi.world if seat.rig.taxi else None
    await until(pilot, lambda: world and "1111" in world.patterns_lit, "all four lights")
    await until(pilot, lambda: "Printer: no paper" in screen(seat), "the printer's word")
    await pilot.press("n", "l", "r")
    await until(pilot, lambda: "Printer: cover open" in screen(seat), "the word on the cover")
    await pilot.press("l", "r")
    await until(pilot, lambda: "Balance left" in screen(seat), "the receipt on the screen")
    assert "COPY" not in screen(seat)
    await pilot.press("f")
    await until(pilot, lambda: seat.face["position"] == "FOR HIRE", "For Hire")
    await pilot.press("d")
    await until(pilot, lambda: "340023: PIN 246810 or ecash" in screen(seat), "the list")
    await pilot.press("s")
    await until(pilot, lambda: not seat.face["driver"], "the sign-out")
    await pilot.press(*"340023", "s")
    await until(pilot, lambda: seat.face.get("secret", False), "the question for the PIN")
    await pilot.press(*"246810")
    await until(pilot, lambda: "******" in screen(seat), "stars for the PIN")
    await pilot.press("s")
    await until(pilot, lambda: seat.face["driver"] == "340023", "the sign-in by PIN")
    await pilot.press("s")
    await until(pilot, lambda: not seat.face["driver"], "the sign-out")
    await pilot.press("s")
    await until(pilot, lambda: "driver's card" in screen(seat), "the question for the card")
    await pilot.press("t")
    await until(pilot, lambda: seat.face["driver"] == "340023", "the sign-in by card")


def test_printer_lights_and_sign_in(tmp_path: Path) -> None:
    sit(tmp_path / "seat", out_of_paper_and_by_pin)
    assert (tmp_path / "seat" / "taxi" / "unit.log").read_text() == ""


def test_a_folder_serves_one_seat_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "seat"
    with SeatFolder(folder) as place:
        place.begin()
        with pytest.raises(SeatFolderError, match="somebody sits in"):
            SeatFolder(folder)
    with SeatFolder(folder) as place:
        assert not place.installed, "begun, never finished: made anew"
        place.begin()
        place.keep(utc_s=5)
    with SeatFolder(folder) as place:
        assert place.installed and place.state["utc_s"] == 5
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").touch()
    with pytest.raises(SeatFolderError, match="holds something else"):
        SeatFolder(other)
    (folder / "seat.json").write_text("{")
    with pytest.raises(SeatFolderError, match="damaged"):
        SeatFolder(folder)


def on_a_terminal(folder: Path, columns: int, lines: int) -> tuple[subprocess.Popen[bytes], int]:
    """`flagfall bench drive` on a pseudo-terminal of that size."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm"}
    process = subprocess.Popen(
        [FLAGFALL, "bench", "drive", "--folder", folder],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment,
    )
    os.close(slave)
    return process, master


def test_a_small_terminal_and_none(tmp_path: Path) -> None:
    process, master = on_a_terminal(tmp_path / "seat", 80, 24)
    errors = read_until(master, b"smaller", process)
    assert process.wait(_PATIENCE_S) == 2
    os.close(master)
    assert b"has 80 columns and 24 lines, the seat needs 108 and 38" in errors
    run = subprocess.run(
        [FLAGFALL, "bench", "drive", "--folder", tmp_path / "seat"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert run.returncode == 2 and "needs a terminal" in run.stderr
    assert not (tmp_path / "seat").exists()


@pytest.mark.parametrize("how", ["q", "hang up", "killed"])
def test_leaving_stops_the_unit(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "seat"
    process, master = on_a_terminal(folder, *SIZE)
    seen = read_until(master, b"sign in", process)
    assert len(units_in(folder)) == 1, seen[-300:]
    if how == "q":
        os.write(master, b"q")
    else:
        process.send_signal(signal.SIGHUP if how == "hang up" else signal.SIGKILL)
    read_until(master, b"", process)
    assert process.wait(_PATIENCE_S) == (-signal.SIGKILL if how == "killed" else 0)
    os.close(master)
    limit = time.monotonic() + _PATIENCE_S
    while units_in(folder):
        assert time.monotonic() < limit, "the unit outlives its seat"
        time.sleep(0.05)


def read_until(master: int, wanted: bytes, process: subprocess.Popen[bytes]) -> bytes:
    """What came on the terminal until `wanted`, or until the end of the process."""
    seen = b""
    limit = time.monotonic() + _PATIENCE_S
    while time.monotonic() < limit and process.poll() is None:
        if select.select([master], [], [], 0.1)[0]:
            try:
                seen += os.read(master, 65_536)
            except OSError:  # the other end is closed: it has left the terminal
                return seen
        if wanted and wanted in seen:
            return seen
    return seen


def units_in(folder: Path) -> list[str]:
    """MicroPython processes whose working folder is the taxi's."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                here = (entry / "cwd").readlink()
                name = (entry / "comm").read_text().strip()
            except OSError:
                continue
            if name == "micropython" and here == (folder / "taxi").resolve():
                found.append(entry.name)
    return found
