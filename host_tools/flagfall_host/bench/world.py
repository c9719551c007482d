"""The world around one bench unit: clock, wheel, keys, displays, paper and tones over a socket.

The unit's end is boards/bench/world_port.py, which lists the lines. The clock moves in steps of
`STEP_MS` and only after the unit has said that its meter saw the step before: how fast the world
runs cannot change a fare.
"""

import json
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flagfall_host.bench.paper import Paper, printed
from flagfall_host.bench.wheel import Wheel
from flagfall_host.errors import FlagfallError

STEP_MS = 100
_UNIT_ANSWERS_S = 30.0  # the unit never needs longer for one step, even on a busy machine


class BenchError(FlagfallError):
    """The simulated world cannot go on."""


class PowerIsGone(BenchError):
    """The unit's end of the socket closed."""


class World:
    """One unit's surroundings. `utc_s`: seconds since 2000; it runs on without power."""

    def __init__(self, folder: Path, wheel: Wheel, utc_s: int, *, factor: float = 0) -> None:
        # A socket's path has 107 characters at most, a folder of the user's may have more.
        self._place = tempfile.TemporaryDirectory(prefix="flagfall-")
        self.path = Path(self._place.name) / "world.sock"
        self.wheel = wheel
        self.factor = factor  # times faster than life; 0: as fast as the unit can follow
        self.now_ms = 0
        self._utc_start = utc_s
        self.paper = Paper(folder / "receipts")
        self.paper_ready = True  # else the printer waits until `print_waiting`
        self.paper_out = False  # the printer says at once that it has none
        self.cover_open = False  # or that its cover is open
        self.face: dict[str, Any] = {}
        self.tones: list[str] = []
        self.lights: list[str] = []  # states of the reader, as they came
        self.lit = "0000"  # its four lights, 1 is lit
        self.patterns_lit: set[str] = set()  # all that they have shown: some stand for an instant
        self.trace: list[str] = []  # lines of tones, lights and erases, in the unit's order
        self.cut_reached: str | None = None
        self.on_face: Callable[[dict[str, Any]], None] | None = None
        self.on_paper: Callable[[list[str], Path], None] | None = None
        self.on_tone: Callable[[str], None] | None = None
        self._acknowledged = -1
        self._waiting_jobs: list[tuple[int, list[str]]] = []
        self._changed = threading.Condition()
        self._connection: socket.socket | None = None
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen(1)
        self._listener.settimeout(_UNIT_ANSWERS_S)
        self._pace = time.monotonic()

    # --- the unit's side -------------------------------------------------------------------

    def connect(self, cut: tuple[str, int, str] | None = None) -> None:
        """Wait for a unit that was just powered on, and give it the time. With `cut` (see
        `plan_cut`) the power will go again, perhaps while it starts."""
        try:
            self._connection, _ = self._listener.accept()
        except TimeoutError as e:
            raise BenchError("the unit did not start: see unit.log in the bench folder") from e
        threading.Thread(target=self._listen, args=(self._connection,), daemon=True).start()
        self._acknowledged = -1
        if cut is not None:
            self.plan_cut(*cut)
        self._step(0)

    def _listen(self, connection: socket.socket) -> None:
        try:
            with connection.makefile("r", encoding="utf-8") as lines:
                for line in lines:
                    self._take(line.rstrip("\n"))
        except (OSError, PowerIsGone):
            pass  # the power went in the middle of a line, or while the printer answered
        with self._changed:
            if self._connection is connection:
                self._connection = None
            self._changed.notify_all()

    def _take(self, line: str) -> None:
        kind, _, rest = line.partition(" ")
        done: Callable[[], None] | None = None
        with self._changed:
            if kind in "BLE":
                self.trace.append(line)
            if kind == "A":
                self._acknowledged = int(rest)
            elif kind == "F":
                self.face = json.loads(rest)
                if self.on_face:
                    done = lambda face=self.face: self.on_face(face)  # type: ignore[misc]  # noqa: E731
            elif kind == "B":
                self.tones.append(rest)
                if self.on_tone:
                    done = lambda tone=rest: self.on_tone(tone)  # type: ignore[misc]  # noqa: E731
            elif kind == "L":
                self.lights.append(rest)
            elif kind == "M":
                self.lit = rest
                self.patterns_lit.add(rest)
            elif kind == "C":
                self.cut_reached = rest
            elif kind == "U":
                self.set_clock(int(rest))
            elif kind == "P":
                job = json.loads(rest)
                self._waiting_jobs.append((job["job"], [printed(line) for line in job["lines"]]))
            self._changed.notify_all()
        if done:
            done()
        if kind == "P" and (self.paper_ready or self.paper_out or self.cover_open):
            self.print_waiting()

    def print_waiting(self) -> None:
        """Let the printer do what it was asked to."""
        with self._changed:
            jobs, self._waiting_jobs = self._waiting_jobs, []
        for number, lines in jobs:
            if self.paper_out or self.cover_open:
                self._send(f"N {number} {'cover' if self.cover_open else 'paper'}")
                continue
            path = self.paper.put(lines)
            self._send(f"J {number}")
            if self.on_paper:
                self.on_paper(lines, path)
        with self._changed:
            self._changed.notify_all()

    @property
    def jobs_waiting(self) -> int:
        return len(self._waiting_jobs)

    def power_gone(self) -> None:
        """Forget what only lived on the wires."""
        with self._changed:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            self._waiting_jobs = []
            self.cut_reached = None
            self.lit = "0000"

    # --- the director's side ---------------------------------------------------------------

    @property
    def utc_s(self) -> int:
        return self._utc_start + self.now_ms // 1_000

    def _send(self, line: str) -> None:
        connection = self._connection
        if connection is None:
            raise PowerIsGone("the unit has no power")
        try:
            connection.sendall(line.encode() + b"\n")
        except OSError as e:
            raise PowerIsGone("the unit lost its power") from e

    def _step(self, ms: int) -> None:
        self.now_ms += ms
        self.wheel.move(ms)
        self._send(f"T {self.now_ms} {self.wheel.pulses} {self.utc_s}")

    def run(self, ms: int, *, step_ms: int = STEP_MS) -> None:
        """Let `ms` milliseconds pass in steps, each seen by the unit before the next."""
        end = self.now_ms + ms
        while self.now_ms < end:
            step = min(step_ms, end - self.now_ms)
            self._wait_for_meter()
            self._step(step)
            if self.factor:
                self._pace = max(self._pace + step / 1_000 / self.factor, time.monotonic() - 0.5)
                time.sleep(max(0.0, self._pace - time.monotonic()))
        self._wait_for_meter()

    def go_round(self) -> None:
        """Let the unit's tasks go round while no time passes: what was begun comes on."""
        self._acknowledged = -1
        self._step(0)
        self._wait_for_meter()

    def _wait_for_meter(self) -> None:
        self.wait(lambda: self._acknowledged >= self.now_ms, "the meter to follow the clock")

    def pass_without_power(self, ms: int) -> None:
        """Time and wheel go on while the unit is dark."""
        self.now_ms += ms
        self.wheel.move(ms)

    def plan_cut(self, flash: str, operations: int, mode: str) -> None:
        """Arrange a power cut at a flash operation; `cut_reached` names it when it has come."""
        self.cut_reached = None
        self._send(f"X {flash} {operations} {mode}")

    def set_clock(self, utc_s: int) -> None:
        """The battery-backed clock shows this (UTC seconds since 2000), right or not."""
        self._utc_start = utc_s - self.now_ms // 1_000

    def sense(self, name: str, number: int) -> None:
        """Set what a line of the unit is at: seal (1 open), supply (mV), ignition (1 on), and what
        else boards/bench/world_port.py lists."""
        self._send(f"S {name} {number}")

    def press(self, key: str, text: str = "") -> None:
        self._send(f"K {key} {text}".rstrip())

    def wait(
        self, condition: Callable[[], bool], what: str, *, seconds: float = _UNIT_ANSWERS_S
    ) -> None:
        """Wait until `condition` holds; it is looked at after each line from the unit."""
        limit = time.monotonic() + seconds
        with self._changed:
            while not condition():
                left = limit - time.monotonic()
                if self._connection is None:
                    raise PowerIsGone(f"the unit lost its power while waiting for {what}")
                if self.cut_reached:
                    raise PowerIsGone(f"the power is cut while waiting for {what}")
                if left <= 0:
                    raise BenchError(f"waited {seconds:.0f} s in vain for {what}")
                self._changed.wait(min(left, 0.25))

    def wait_face(self, what: str, seconds: float = _UNIT_ANSWERS_S, **expected: Any) -> None:
        """Wait until the face shows these fields."""
        try:
            self.wait(
                lambda: all(self.face.get(name) == value for name, value in expected.items()),
                what,
                seconds=seconds,
            )
        except BenchError as e:
            shown = {name: self.face.get(name) for name in (*expected, "message")}
            raise type(e)(f"{e}; the face shows {shown}") from None

    def close(self) -> None:
        self.power_gone()
        self._listener.close()
        self._place.cleanup()
