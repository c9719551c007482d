# Which of the two programs runs: slot a or slot b. Written when a unit is flashed, and never by an
# update: what it reads and writes is a contract with every program that comes after it.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# A program is the folder a or b. program.json in it is its mark, written last: without it the slot
# is not whole and is not run. slots.json says which slot is in force and which is on trial. A
# trial counts each start; a program that has not been confirmed by its third is given up and the
# one before it is in force again. Both files end in 8 hex digits of CRC32 and are written beside
# their old self and renamed over it: littlefs and POSIX leave the old one or the new one.

import json
import os
import sys
from binascii import crc32, hexlify

from micropython import const

SLOTS = ("a", "b")
TRIES = const(3)  # starts of a new program before it is given up
RESTART = const(75)  # exit code that asks for a new start where there is no chip to reset
_MARK = "program.json"
_STATE = "slots.json"
_PROGRAM = "taximeter"
_HEALTHY_MS = const(120000)  # a new program that is not confirmed by then is started anew
_TIMER = const(3)
_BOOT = const(0)  # GPIO of the button on every ESP32 and ESP32-S3 board; free after the reset
_LONGEST = const(1024)  # bytes of either file

root = None  # the folder of the slots
running = ""  # the slot whose program runs
trial = False  # whether it is on trial
_timer = None


def start(folder, program=_PROGRAM):
    """Choose a slot and run its program; ends only if the program does, or at once when BOOT is
    held, which leaves MicroPython's prompt to a developer (the case is sealed over BOOT)."""
    global root, running, trial
    root = folder.rstrip("/")
    if _boot_held():
        return
    running = choose()
    trial = state()["trial"] == running
    sys.path.insert(0, root + "/" + running)
    try:
        if trial:
            _watch()
        __import__(program)
    except Exception as e:  # whatever it was: a program on trial has failed
        if not trial:
            raise
        sys.print_exception(e)
        restart()


def choose():
    """The slot to run now. Counts the start of a program on trial, ends a trial that failed."""
    now = state()
    slot = now["slot"]
    if now["trial"]:
        mark = program(now["trial"])
        if mark is not None and now["tries"] < TRIES:
            now["tries"] += 1
            slot = now["trial"]
        else:
            now["failed"] = mark["release"] if mark is not None else 0
            now["told"] = False
            now["trial"] = ""
        put(now)
    if program(slot) is None and program(other(slot)) is not None:
        return other(slot)  # better this one than none
    return slot


def other(slot):
    """The slot that is not `slot`."""
    return SLOTS[1 - SLOTS.index(slot)]


def state():
    """What slots.json says; of a unit as it was flashed: slot a in force, nothing on trial.

    slot: in force; trial: a slot on trial, or ""; tries: its starts so far; ready: a slot whose
    program waits for its trial, or ""; audit: what is to go into the audit trail before that;
    failed: the release that was given up last; told: whether that was booked.
    """
    out = {
        "slot": SLOTS[0],
        "trial": "",
        "tries": 0,
        "ready": "",
        "audit": "",
        "failed": 0,
        "told": True,
    }
    found = read_checked(root + "/" + _STATE)
    if found is None:
        if program(SLOTS[0]) is None and program(SLOTS[1]) is not None:
            out["slot"] = SLOTS[1]
    else:
        out.update(found)
    return out


def put(now):
    """Keep the state."""
    write_checked(root + "/" + _STATE, now)


def program(slot):
    """The mark of a slot's program (release, version, board, metrology); None: not whole."""
    return read_checked(root + "/" + slot + "/" + _MARK)


def mark(slot, fields):
    """Say that the slot is whole. None in `fields` takes the mark away."""
    path = root + "/" + slot + "/" + _MARK
    if fields is not None:
        write_checked(path, fields)
        return
    try:
        os.remove(path)
    except OSError:
        pass


def confirm():
    """The running program is healthy: it is in force from here on."""
    global trial, _timer
    now = state()
    now["slot"] = running
    now["trial"] = ""
    now["tries"] = 0
    put(now)
    trial = False
    if _timer is not None:
        _timer.deinit()
        _timer = None


def restart():
    """Start anew, as after power-up. Does not return."""
    import machine

    if hasattr(machine, "reset"):
        machine.reset()
    sys.exit(RESTART)


def _boot_held():
    import machine

    if not hasattr(machine, "Pin"):
        return False
    return machine.Pin(_BOOT, machine.Pin.IN, machine.Pin.PULL_UP).value() == 0


def _watch():
    """A new program that hangs is started anew, and so given up in the end."""
    global _timer
    import machine

    if hasattr(machine, "Timer"):
        _timer = machine.Timer(_TIMER)
        _timer.init(mode=machine.Timer.ONE_SHOT, period=_HEALTHY_MS, callback=_too_late)


def _too_late(_timer):
    restart()


def read_checked(path):
    """The JSON object in a file that `write_checked` wrote; None: not there, or damaged."""
    try:
        with open(path, "rb") as f:
            blob = f.read(_LONGEST)
    except OSError:
        return None
    if len(blob) < 8 or hexlify(crc32(blob[:-8]).to_bytes(4, "big")) != blob[-8:]:
        return None
    return json.loads(blob[:-8])


def write_checked(path, fields):
    """Keep a JSON object, whole or not at all."""
    blob = json.dumps(fields).encode()
    with open(path + ".new", "wb") as f:
        f.write(blob)
        f.write(hexlify(crc32(blob).to_bytes(4, "big")))
        f.flush()
    os.rename(path + ".new", path)
