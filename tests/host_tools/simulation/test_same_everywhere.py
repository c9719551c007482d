"""The same seed, the same trace on any machine: hash seed, time zone, locale, date, folder,
processor."""

import os
import subprocess
import sys
from pathlib import Path

_TRACE = """
import hashlib, json, sys, time
from dataclasses import asdict
late_s = float(sys.argv[1])
real = time.time
time.time = lambda: real() + late_s
from flagfall_host.simulation.faults import Faults
from flagfall_host.simulation.simulation import record, run
told = []
outcome = run(7, units=2, hours=0.1, tell=told.append)
_, shift = record(7, hours=0.05, faults=Faults())
trace = json.dumps([told, outcome.as_json(), asdict(shift)]).encode()
print(len(told), outcome.events, outcome.story_sha256, hashlib.sha256(trace).hexdigest())
"""
# An older processor: libm rounds otherwise without fused operations, OpenSSL takes other ways.
_OLDER = {
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-FMA,-FMA4",
    "OPENSSL_ia32cap": "~0x200000200000000",
}
# What differs between machines and may leak into a program without its knowing.
_MACHINES = (
    ({"PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C"}, 0),
    ({"PYTHONHASHSEED": "31337", "TZ": "Asia/Shanghai", "LC_ALL": "C.utf8"}, 86_400 * 400),
    ({"PYTHONHASHSEED": "2", "TZ": "UTC", **_OLDER}, 0),
    ({"PYTHONHASHSEED": "random", "TZ": "America/St_Johns", "PYTHONUTF8": "0"}, -86_400 * 3_000),
)


def test_the_same_seed_on_other_machines(tmp_path: Path) -> None:
    running = []
    for number, (environment, late_s) in enumerate(_MACHINES):
        folder = tmp_path / f"machine {number}"
        folder.mkdir()
        running.append(
            subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", _TRACE, str(late_s)],
                env={**os.environ, **environment, "TMPDIR": str(folder)},
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    said = [child.communicate(timeout=200)[0] for child in running]
    assert all(child.returncode == 0 for child in running), said
    assert int(said[0].split()[0]) > 20
    assert len(set(said)) == 1, said
