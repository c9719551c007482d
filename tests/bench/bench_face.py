"""How long the driver waits for the display after a key, the passenger for the tone of a tap.

Time is modelled as in bench_tap.py: the unit's own work as instructions that callgrind counts on
the unix port, at the assumed speed of an ESP32 (rf_time.Unit); the buses by their bits at 400 kHz
and an assumed time for each transfer; the flash by the table in boards/bench/nor_flash.py. A key
is counted from its contact: the scan that it just missed, the scans that make it steady, and one
step of the meter that is on its way. Erases of flash are not in it: they are done ahead, while
nobody presses anything, and one that is just going on adds its 45 ms.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench_tap import Recorder, count
from flagfall_host.bench.rf_time import Unit
from flagfall_host.tariffs.compiler import compile_tariff

OUT = Path(__file__).parents[2] / "build" / "bench" / "face.json"
_I2C_HZ = 400_000
_TRANSFER_US = 50.0  # assumed: the driver's start, interrupts and end around the bits
_FIGURE_US = 171 * 4  # assumed for the waits of 2 us between the edges of a figure on a TM1637
_SCAN_MS, _CONFIRM_MS = 10, 4  # firmware/drivers/keypad.py
_KEY_MS, _TONE_MS, _PIN_MS = 50, 100, 1_000


class Counted:
    """Milliseconds by label; where a label comes twice, of the second time."""

    def __init__(self, what: str, file: Path, folder: Path, unit: Unit) -> None:
        said, pairs = count(what, file, folder, "face_load.py")
        costs: dict[str, list[Any]] = {label: cost for label, cost in said["costs"]}
        self.ms: dict[str, float] = {}
        self.parts: dict[str, str] = {}
        for label, n in pairs:
            if label in costs:
                bits, transfers, figures, flash_us = costs[label]
                python = unit.us(n)
                bus = bits / _I2C_HZ * 1e6 + transfers * _TRANSFER_US + figures * _FIGURE_US
                self.ms[label] = (python + bus + flash_us) / 1_000
                self.parts[label] = (
                    f"Python {python / 1_000:.1f}, buses {bus / 1_000:.1f}, "
                    f"flash {flash_us / 1_000:.1f}"
                )

    def key(self, name: str) -> float:
        """From the contact to the driver's display and the fare."""
        return _SCAN_MS + _CONFIRM_MS + self.ms["meter"] + self.ms[f"press {name}"]


def row(name: str, goal: str, figure: str, met: bool = True) -> dict[str, Any]:
    return {"name": "face: " + name, "goal": goal, "figure": figure, "met": met}


def main() -> int:
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "tap.json"
        tap = Recorder("ecash", "pn532", "ecash").tap
        tap["tariff"] = compile_tariff("hefei").hex()
        file.write_text(json.dumps(tap))
        now = Counted("changed", file, folder, Unit())
        whole = Counted("whole", file, folder, Unit())
    for key in ("5", "HIRED", "EXTRA", "STOP", "FOR_HIRE"):
        ms = now.key(key)
        figure = f"{ms:.1f} ms ({now.parts[f'press {key}']}; model)"
        rows.append(row(f"key {key} to display", f"< {_KEY_MS} ms", figure, ms < _KEY_MS))
    ms = whole.key("STOP")
    rows.append(row("key STOP, every display drawn afresh", "for comparison", f"{ms:.0f} ms"))
    ms = now.ms["tone"]
    figure = f"{ms:.1f} ms ({now.parts['tone']}; model)"
    rows.append(row("verdict on a tap to its tone", f"< {_TONE_MS} ms", figure, ms < _TONE_MS))
    figure = f"{whole.ms['tone']:.0f} ms"
    rows.append(row("the same, every display drawn afresh", "for comparison", figure))
    ms = now.ms["pin"]
    rows.append(row("a PIN's 1000 rounds", f"< {_PIN_MS} ms", f"{ms:.0f} ms", ms < _PIN_MS))
    figure = f"{now.ms['scan']:.1f} ms every {_SCAN_MS} ms"
    rows.append(row("one scan of the keypad on the expander", "for comparison", figure))
    for r in rows:
        print(r["name"], "|", r["goal"], "|", r["figure"], "|", r["met"])
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0 if all(r["met"] for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
