"""For developers: this tree's program onto a unit at its prompt, by mpremote as a program.

Only files that differ are copied. The slot in force has no mark meanwhile, so that half of it is
never run.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flagfall_host.flashing.errors import FlashError, InputError, NoAnswer
from flagfall_host.flashing.program_files import mark, slot_files

MPREMOTE = Path(sys.executable).with_name("mpremote")
_SILENCE_S = 120
_MARK = "program.json"
# At the unit: which slot is in force, and the SHA-256 of what is in it.
_LOOK = """
import binascii, chooser, hashlib, json, os
chooser.root = os.getcwd().rstrip("/")
found = {}
def walk(folder, inside):
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        path = folder + "/" + name
        if os.stat(path)[0] & 0x4000:
            walk(path, inside + name + "/")
            continue
        with open(path, "rb") as f:
            digest = hashlib.sha256(f.read()).digest()
        found[inside + name] = binascii.hexlify(digest).decode()
slot = chooser.state()["slot"]
walk(chooser.root + "/" + slot, "")
print(json.dumps({"slot": slot, "files": found}))
"""
_OPEN = """
import chooser, os
chooser.root = os.getcwd().rstrip("/")
now = chooser.state()
now["trial"] = now["ready"] = now["audit"] = ""
chooser.put(now)
chooser.mark({slot!r}, None)
for name in {stale!r}:
    os.remove(chooser.root + "/" + {slot!r} + "/" + name)
"""
_RESTART = "import chooser; chooser.restart()"


@dataclass(frozen=True)
class Deployed:
    """Which slot was filled; how many of its files were new or other ones."""

    slot: str
    copied: int
    removed: int
    files: int


def deploy(port: str, board: str, told: Callable[[str], None] = lambda _: None) -> Deployed:
    """Copy the program of `board` to the unit on `port` and start it.

    Raises InputError, BuildError, NoAnswer (no prompt there), FlashError.
    """
    if not MPREMOTE.exists():
        raise InputError(f"no mpremote at {MPREMOTE}: run `make setup`")
    files = slot_files(board)
    there = json.loads(_mpremote(port, "exec", _LOOK).splitlines()[-1])
    slot, found = there["slot"], there["files"]
    stale = [name for name in found if name not in files and name != _MARK]
    fresh = {
        name: content
        for name, content in files.items()
        if found.get(name) != hashlib.sha256(content).hexdigest()
    }
    told(f"slot {slot}: {len(fresh)} files to copy, {len(stale)} to take away")
    _mpremote(port, "resume", "exec", _OPEN.format(slot=slot, stale=stale))
    with tempfile.TemporaryDirectory(prefix="flagfall-deploy-") as folder:
        tree = Path(folder) / slot
        for name, content in fresh.items():
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if fresh:
            # Into the slot's folder by its name: mpremote does not see that ":" is a folder.
            tops = [str(path) for path in sorted(tree.iterdir())]
            _mpremote(port, "resume", "fs", "cp", "-r", *tops, f":{slot}/")
        marked = Path(folder) / _MARK
        marked.write_bytes(mark(board, files))
        _mpremote(port, "resume", "fs", "cp", "-f", str(marked), f":{slot}/{_MARK}")
    _mpremote(port, "resume", "exec", "--no-follow", _RESTART)
    return Deployed(slot, len(fresh), len(stale), len(files))


def _mpremote(port: str, *words: str) -> str:
    """Run mpremote on `port`; what it says. Raises NoAnswer, FlashError."""
    try:
        run = subprocess.run(
            [MPREMOTE, "connect", port, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SILENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired as e:
        raise FlashError(f"mpremote fell silent on {port}: run again") from e
    if not run.returncode:
        return run.stdout
    said = (run.stderr.strip() or run.stdout.strip()).splitlines()
    if any("no module named 'chooser'" in line for line in said):
        raise FlashError(f"{port}: flash the unit once with `flagfall flash` before you deploy")
    if any("could not enter raw repl" in line or "failed to access" in line for line in said):
        raise NoAnswer(
            f"no prompt at {port}: press RESET, then hold BOOT for two seconds, and run again"
        )
    raise FlashError(f"mpremote on {port}: {said[-1] if said else 'it gave no reason'}")
