"""What each board's flash and RAM are spent on: `make budget`.

Flash is counted: partitions, and the program as littlefs keeps it. RAM is counted where it can be
without a board: all modules of the program are loaded in MicroPython's 64-bit port, whose words
are twice a chip's; `make bench` shows that a whole shift passes there with the bench's heap. What
a chip has is from MicroPython's own reports (docs/hardware.md, section 6).
"""

import subprocess
import sys
from collections.abc import Iterator

from flagfall_host.bench.firmware_build import ROOT
from flagfall_host.bench.unit_process import HEAP, MICROPYTHON, environment
from flagfall_host.flashing.board_folder import BoardFolder, known_boards, read_board
from flagfall_host.flashing.errors import InputError
from flagfall_host.flashing.program_image import BLOCK, compile_program

_LOAD = """
import gc, sys
class Chip:
    def __getattr__(self, name): return Chip()
    def __call__(self, *args): return self
for name in ("machine", "esp32", "network"):
    sys.modules[name] = Chip()
gc.collect()
before = gc.mem_alloc()
import board, unit
gc.collect()
meter = gc.mem_alloc() - before
for name in unit.LATER:
    __import__(name)
import app.uplink, app.update, app.meter_port
gc.collect()
print(meter, gc.mem_alloc() - before)
"""
_TIME_LIMIT_S = 60
_HEAP_K = int(HEAP[:-1]) // 2  # of a chip's words: with it the shift passes, TLS upload and all
_TLS_K = 36  # outside of MicroPython's heap: buffers of 16 and 4 KiB, certificates, session
# KiB that MicroPython's heap may grow to: PSRAM as the chip maps it, or what is left of the RAM
# within the chip once ESP-IDF runs, before a radio or TLS.
_PSRAM_K = {"esp32": 4 << 10, "esp32s3": 8 << 10}
_INTERNAL_K = {"esp32": 250, "esp32s3": 250}


def flash_rows(board: BoardFolder) -> list[tuple[str, int, int | None]]:
    """(what, KiB there, KiB used or None) of each partition, and of what no partition has."""
    files = compile_program(board)
    program = sum(-(-len(content) // BLOCK) * BLOCK for content in files.values()) >> 10
    rows = []
    for p in board.partitions:
        used = 2 * program if p.label == "vfs" else None  # an update writes one beside the other
        rows.append((p.label, p.size >> 10, used))
    end = max(p.end for p in board.partitions)
    rows.append(("no partition's", board.flash_bytes - end >> 10, None))
    return rows


def code_bytes(board: BoardFolder) -> tuple[int, int]:
    """Heap of the 64-bit port that the modules of the meter take, and all of the program's."""
    compile_program(board)
    place = ROOT / "build" / "boards" / board.name
    run = subprocess.run(
        [MICROPYTHON, "-X", "heapsize=8M", "-c", _LOAD],
        env=environment(place),
        capture_output=True,
        text=True,
        timeout=_TIME_LIMIT_S,
        check=False,
    )
    if run.returncode:
        raise InputError(f"board {board.name}: the program does not load: {run.stderr.strip()}")
    meter, whole = map(int, run.stdout.split())
    return meter, whole


def lines(board: BoardFolder) -> Iterator[str]:
    """The board's table."""
    yield f"{board.name}: {board.flash_bytes >> 20} MiB flash"
    for what, there, used in flash_rows(board):
        took = "" if used is None else f"  two programs {used:5} K, {100 * used // there:2} %"
        yield f"  {what:16} {there:6} K{took}"
    meter, whole = code_bytes(board)
    needs = _HEAP_K + _TLS_K
    yield "  RAM (half of what the 64-bit port takes)"
    yield f"  {'code, meter':16} {meter >> 11:6} K"
    yield f"  {'code, all':16} {whole >> 11:6} K"
    yield f"  {'heap, a shift':16} {_HEAP_K:6} K  code and buffers with it, TLS upload beside taps"
    yield f"  {'TLS, beside it':16} {_TLS_K:6} K  of ESP-IDF's own heap"
    for name, of_chip in (("PSRAM", _PSRAM_K), ("no PSRAM", _INTERNAL_K)):
        has = of_chip[board.chip]
        said = f"fits, {has - needs} K left" if has > needs else f"{needs - has} K too little"
        yield f"  {'with ' + name:16} {has:6} K  {said}"


def main() -> None:
    for name in known_boards():
        sys.stdout.write("\n".join(lines(read_board(name))) + "\n\n")


if __name__ == "__main__":
    main()
