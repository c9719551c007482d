"""One pure test file, two runtimes.

Every `test_*.py` under tests/firmware/lib, tests/firmware/drivers/devices and tests/boards is
collected twice: by pytest for CPython, and by the hook below as `[micropython]` items that run in
the real MicroPython. A test that fails, dies or is not reached on either fails the run. Such files
use plain functions and `assert`, `expect.raises` instead of pytest, and nothing that MicroPython
lacks. A file whose name ends in `_cpython.py` (property tests, other libraries as oracles) runs on
CPython only.
"""

import ast
import re
import subprocess
from pathlib import Path

import kept_flash
import pytest
from on_micropython import MICROPYTHON, ROOT, TESTS, micropython_environment

PURE = (TESTS / "firmware" / "lib", TESTS / "firmware" / "drivers" / "devices", TESTS / "boards")
_TIME_LIMIT_S = 150


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = (yield).get_result()
    if report.failed and call.excinfo is not None:
        told = kept_flash.keep(item.nodeid, call.excinfo)
        if told:
            report.sections.append(("flash as it was", told))


def pytest_terminal_summary(terminalreporter) -> None:
    counts = [
        int(count)
        for report in terminalreporter.stats.get("passed", ())
        for count in re.findall(r"(\d+) cuts\b", report.capstdout)
    ]
    if counts:
        cuts = f"{sum(counts):,} power cuts tried, no promise broken in {len(counts)} tests"
        terminalreporter.write_line(f"{cuts} (-rP shows the counts)")


def pytest_collect_file(file_path: Path, parent: pytest.Collector):
    if not any(place in file_path.parents for place in PURE):
        return None
    if not file_path.name.startswith("test_") or file_path.name.endswith("_cpython.py"):
        return None
    # A name of its own to the end: pytest-xdist takes two items of one name for one.
    name = file_path.relative_to(ROOT).as_posix() + "[micropython]"
    return MicroPythonFile.from_parent(parent, path=file_path, name=name, nodeid=name)


class MicroPythonFile(pytest.File):
    """A test file as MicroPython sees it. One process runs the whole file, once."""

    _output: str | None = None

    def collect(self):
        tree = ast.parse(self.path.read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield MicroPythonTest.from_parent(self, name=node.name)

    def output(self) -> str:
        if self._output is None:
            run = subprocess.run(
                [MICROPYTHON, "-X", "heapsize=32M", TESTS / "run_on_micropython.py", self.path],
                env=micropython_environment(),
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_TIME_LIMIT_S,
                check=False,
            )
            self._output = run.stdout.decode("utf-8", "replace")
        return self._output


class MicroPythonTest(pytest.Item):
    parent: MicroPythonFile

    def runtest(self) -> None:
        output = self.parent.output()
        lines = output.splitlines()
        if f"ok {self.name}" in lines:
            return
        if f"FAIL {self.name}" in lines:
            start = lines.index(f"FAIL {self.name}")
            stop = start + 1
            while stop < len(lines) and lines[stop].split(" ")[0] not in ("ok", "FAIL", "done"):
                stop += 1
            raise MicroPythonFailure("\n".join(lines[start:stop]))
        raise MicroPythonFailure("not reached on MicroPython; its output ends:\n" + output[-2000:])

    def repr_failure(self, excinfo, style=None):
        if isinstance(excinfo.value, MicroPythonFailure):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self):
        return self.path, None, f"{self.name} [micropython]"


class MicroPythonFailure(Exception):
    """A test failed on MicroPython, with what it printed."""
