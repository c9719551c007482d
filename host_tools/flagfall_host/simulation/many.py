"""Many seeds, in several processes, and their sums, which a file keeps so that a run can go on."""

import collections
import contextlib
import itertools
import json
import multiprocessing
import os
import signal
import time
import warnings
from collections.abc import Callable, Generator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from flagfall_host.errors import FlagfallError
from flagfall_host.simulation import bugs, firmware_modules
from flagfall_host.simulation.faults import Faults
from flagfall_host.simulation.outcome import Outcome
from flagfall_host.simulation.simulation import run

_AHEAD = 3  # seeds that are given out for each process: none waits for the one whose turn it is
_SEEDS_A_PROCESS = 100  # then it ends and another takes its place


class SoakError(FlagfallError):
    """A long run cannot begin, or cannot go on."""


@dataclass(frozen=True)
class City:
    """What is the same for all seeds."""

    units: int
    hours: float
    faults: Faults
    bug: str | None

    def run(self, seed: int, tell: Callable[[str], None] | None = None) -> Outcome:
        with bugs.switched_on(self.bug):
            return run(seed, units=self.units, hours=self.hours, faults=self.faults, tell=tell)

    def command(self, seed: int) -> str:
        """What shows a run again."""
        words = f"flagfall simulate --seed {seed} --units {self.units} --hours {self.hours:g}"
        return words + (f" --bug {self.bug}" if self.bug else "")


@dataclass
class Sums:
    """What the seeds from `first` on came to; `cpu_s` and `wall_s` in seconds."""

    first: int
    seeds: int = 0
    taps: int = 0
    approved: int = 0
    cuts: int = 0
    kills: int = 0
    cpu_s: float = 0.0
    wall_s: float = 0.0

    @property
    def next_seed(self) -> int:
        return self.first + self.seeds

    def add(self, outcome: Outcome, cpu_s: float) -> None:
        self.seeds += 1
        self.taps += outcome.taps
        self.approved += outcome.approved
        self.cuts += outcome.cuts
        self.kills += outcome.kills
        self.cpu_s += cpu_s

    def words(self) -> str:
        ms = 1_000 * self.cpu_s / self.taps if self.taps else 0.0
        return (
            f"seeds: {self.seeds}; {self.taps:,} taps, {self.approved:,} approved, {self.cuts:,} "
            f"losses of power, {self.kills:,} programs killed ({self.wall_s:.0f} s, "
            f"{self.taps / self.wall_s if self.wall_s else 0:.0f} taps/s, {ms:.1f} ms of a core "
            "a tap)"
        )


def kept(path: Path, city: City) -> Sums | None:
    """The sums in the file `path`, None if there is none. Raises SoakError."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        sums = Sums(**{f.name: held["sums"][f.name] for f in fields(Sums)})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise SoakError(f"{path}: no sums of a long run: {e}; name another file") from e
    if held["city"] != json.loads(json.dumps(asdict(city))):
        raise SoakError(f"{path}: the sums of another city: give its options, or another file")
    return sums


def keep(path: Path, city: City, sums: Sums) -> None:
    """Put the sums in the file `path`, whole or not at all. Raises SoakError."""
    new = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(json.dumps({"city": asdict(city), "sums": asdict(sums)}, indent=1) + "\n")
        new.replace(path)
    except OSError as e:
        raise SoakError(f"{path}: cannot be written: {e.strerror}") from e


def outcomes(
    city: City, first: int, jobs: int, tell: Callable[[str], None] | None = None
) -> Generator[tuple[Outcome, float], None, None]:
    """(outcome, seconds of a core) of `first` and the seeds after it, in their order, for ever.

    `tell` hears the stories if there is one job. Raises SoakError if a process ends that should
    not.
    """
    if jobs == 1:
        for seed in itertools.count(first):
            yield _timed(city, seed, tell)
    seeds = itertools.count(first)
    pool = ProcessPoolExecutor(
        jobs,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        max_tasks_per_child=_SEEDS_A_PROCESS,
    )
    waiting: collections.deque[Future[tuple[Outcome, float]]] = collections.deque()
    try:
        while True:
            while len(waiting) < _AHEAD * jobs:
                waiting.append(pool.submit(_timed, city, next(seeds)))
            yield waiting.popleft().result()
    except BrokenProcessPool as e:
        raise SoakError("a process of the simulation was ended: run the same again") from e
    finally:
        _stop(pool)


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and ends us
    warnings.filterwarnings("ignore", module="pyemv")
    firmware_modules.load()


def _timed(
    city: City, seed: int, tell: Callable[[str], None] | None = None
) -> tuple[Outcome, float]:
    began = time.process_time()
    outcome = city.run(seed, tell)
    if not outcome.violation:
        outcome.story.clear()  # nobody reads it
    return outcome, time.process_time() - began


def _stop(pool: ProcessPoolExecutor) -> None:
    """At once: a seed in progress takes many seconds, and is run again another time."""
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        with contextlib.suppress(ProcessLookupError, TypeError):
            os.kill(process.pid, signal.SIGTERM)  # type: ignore[arg-type]
