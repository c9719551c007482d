"""Units that dial in over a simulated network, to several gateways on one ledger."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from flagfall_host.simulation.faults import Faults
from flagfall_host.simulation.simulation import run

FLAGFALL = Path(sys.executable).with_name("flagfall")


def test_a_calm_day_over_the_air() -> None:
    lines: list[str] = []
    calm = replace(Faults().healed(), uplink=1.0)
    outcome = run(5, units=1, hours=1, faults=calm, tell=lines.append)
    assert not outcome.violation
    assert outcome.kills == 0
    by_air = [line for line in lines if "gateway-" in line and "TAXI-1 booked" in line]
    assert len(by_air) > 10


def test_every_call_loses_its_carrier_and_nothing_is_lost() -> None:
    faults = replace(Faults(), uplink=1.0, radio_cut=0.5, old_connection=0.9, gateway_killed=0.3)
    fired = 0
    for seed in range(1, 5):
        outcome = run(seed, units=2, hours=1, faults=faults)
        assert not outcome.violation, "\n".join([outcome.violation, *outcome.story])
        assert outcome.faults["radio_cut"] > 5
        fired += outcome.faults.get("two_gateways_at_once", 0)
    assert fired  # a gateway booked what came late while the unit talked to another


def test_the_same_seed_is_the_same_trace_in_any_process() -> None:
    """Sets of text are in another order in each process: nothing may hang on that."""
    command = [FLAGFALL, "simulate", "--seed", "9", "--units", "2", "--hours", "0.5", "--json"]
    told = []
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        )
        told.append(json.loads(done.stdout))
    assert told[0] == told[1]
