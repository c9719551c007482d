"""Runs every benchmark in this folder and prints one table of goals and figures.

A benchmark is a program `bench_*.py` that writes `build/bench/NAME.json`: an object, or a list of
objects, with `name`, `goal`, `figure` and `met`. Exit 1 if one could not run or missed its goal.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
OUT = HERE.parents[1] / "build" / "bench"


def main() -> int:
    wanted = sys.argv[1:]
    OUT.mkdir(parents=True, exist_ok=True)
    console = Console()
    failed = False
    table = Table("benchmark", "goal", "figure", "met", title="Flagfall, measured")
    for program in sorted(HERE.glob("bench_*.py")):
        name = program.stem.removeprefix("bench_")
        if wanted and name not in wanted:
            continue
        console.print(f"running {name} ...")
        started = time.time()
        run = subprocess.run([sys.executable, program], check=False)
        fresh = [p for p in OUT.glob("*.json") if p.stat().st_mtime >= started - 1]
        if run.returncode not in (0, 1) or not fresh:
            table.add_row(name, "-", f"did not run (exit {run.returncode})", "[red]no[/]")
            failed = True
        for path in sorted(fresh):
            rows = json.loads(path.read_text(encoding="utf-8"))
            for row in rows if isinstance(rows, list) else [rows]:
                met = row["met"]
                failed |= not met
                mark = "[green]yes[/]" if met else "[red]no[/]"
                table.add_row(str(row["name"]), str(row["goal"]), str(row["figure"]), mark)
    console.print(table)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
