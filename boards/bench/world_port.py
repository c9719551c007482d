# The bench unit's wires to the simulated world: clock, pulses, keys, display, paper, tones.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Lines over a UNIX socket, so that a person can read a log of them.
#   from the world:  T <ms> <pulses> <utc>   the world's clock, wheel and calendar now
#                    K <key> [text]          a key was pressed
#                    J <job>                 the printer has put this job on paper
#                    N <job> <why>           the printer does not print this job: paper (it has
#                                            none), cover (it is open)
#                    X <flash> <n> <mode>    cut the power at the n-th flash operation from now
#                    S <name> <number>       what a line is at: seal, supply, ignition; the faults
#                                            of the fare display so far (fare_faults); 1 for a
#                                            clock chip that has lost the time (clock_fault)
#   to the world:    A <ms>                  the meter has seen everything up to this time
#                    F <json>                the face: what the displays show
#                    P <json>                a print job; a line in the printer's Chinese code
#                                            is an object with its bytes in hex
#                    B <tone>                the buzzer
#                    L <state>               the lights at the reader: what they are to say,
#                    M <4 digits>            and which of them are lit
#                    E <flash> <block>       a block of the flash was erased
#                    C <operation>           the flash has reached the operation of a planned cut
# The world waits for A before it moves its clock on: the fare cannot depend on how fast it runs.

import asyncio
import json
import socket
import struct
import sys

from drivers.escpos_printer import COVER_OPEN, NO_PAPER, SILENT, PrinterError
from micropython import const

_AF_UNIX = const(1)
_KEYS_WAITING = const(16)  # keys; more than a driver can press before the unit looks
_TROUBLE = {"paper": NO_PAPER, "cover": COVER_OPEN}
_PRINT_MS = const(20000)  # longest wait for the printer to say that a job is on paper


class WorldPort:
    """The socket, the world's clock and everything that hangs on it."""

    def __init__(self, path):
        s = socket.socket(_AF_UNIX)
        s.connect(struct.pack("<H108s", _AF_UNIX, path.encode()))
        s.setblocking(False)
        self._socket = s
        self._stream = asyncio.StreamReader(s)
        self.now_ms = 0  # since power-up
        self.pulses = 0  # since power-up
        self.utc_s = 0  # battery-backed clock, seconds since 2000
        self._first = None
        self._owed = None
        self._ticked = asyncio.Event()  # for the meter: cleared by it
        self._moved = asyncio.Event()  # for sleepers: a pulse
        self._asleep = []  # when each of them is due
        self.senses = {}  # name: number, as the world last said
        self.keys = []
        self.keys_dropped = 0
        self._key = asyncio.Event()
        self._job = 0
        self._printed = asyncio.Event()
        self._trouble = ""  # why the last job was not printed
        self.on_cut = None  # set by the board: plans a power cut

    def send(self, kind, text):
        self._stream.write(kind + " " + text + "\n")

    def send_now(self, line):
        """Send without the help of asyncio, which will not run again."""
        self._socket.setblocking(True)
        self._socket.write(line + "\n")

    async def run(self):
        """Read the world's lines for as long as the power is on."""
        while True:
            try:
                line = (await self._stream.readline()).decode().strip()
            except OSError:  # it was killed with words of ours unread
                line = ""
            if not line:
                sys.exit()  # the bench has gone, and with it all that a unit could be for
            words = line.split(" ", 2)
            if words[0] == "T":
                ms, pulses, utc = (int(w) for w in line.split(" ")[1:])
                if self._first is None:
                    self._first = (ms, pulses)
                self.now_ms = ms - self._first[0]
                self.pulses = pulses - self._first[1]
                self.utc_s = utc
                self._owed = ms
                self._ticked.set()
                self._moved.set()
                self._moved.clear()
            elif words[0] == "K":
                if len(self.keys) >= _KEYS_WAITING:
                    self.keys_dropped += 1
                else:
                    self.keys.append((words[1], words[2] if len(words) > 2 else ""))
                    self._key.set()
            elif words[0] == "S":
                self.senses[words[1]] = int(words[2])
            elif words[0] == "X":
                flash, operations, mode = line.split(" ")[1:]
                self.on_cut(flash, int(operations), mode)
            elif words[0] in ("J", "N") and int(words[1]) == self._job:
                self._trouble = _TROUBLE[words[2]] if words[0] == "N" else ""
                self._printed.set()

    async def ready(self):
        """Wait for the first word of the world's clock."""
        while self._first is None:
            await self._moved.wait()

    async def tick(self):
        """The meter's pace: say that all is seen, then wait for the clock to move."""
        if self._owed is not None:
            # Who is due wakes first: the clock moves on as soon as the world has heard.
            while self._asleep and min(self._asleep) <= self.now_ms:
                await asyncio.sleep_ms(0)
            self.send("A", str(self._owed))
            self._owed = None
            await self._stream.drain()
        await self._ticked.wait()
        self._ticked.clear()

    async def sleep_ms(self, ms):
        until = self.now_ms + ms
        self._asleep.append(until)
        try:
            while self.now_ms < until:
                await self._moved.wait()
        finally:
            self._asleep.remove(until)

    async def key(self):
        while not self.keys:
            self._key.clear()
            await self._key.wait()
        return self.keys.pop(0)

    async def print(self, lines):
        """Put `lines` on paper; return when they are there. Raises PrinterError."""
        self._job += 1
        self._printed.clear()
        sent = [line if isinstance(line, str) else {"chinese": line.hex()} for line in lines]
        self.send("P", json.dumps({"job": self._job, "lines": sent}))
        await self._stream.drain()
        try:
            await asyncio.wait_for_ms(self._printed.wait(), _PRINT_MS)
        except asyncio.TimeoutError:
            raise PrinterError(SILENT) from None
        if self._trouble:
            raise PrinterError(self._trouble)

    @property
    def fare_faults(self):
        """How often the fare display did not answer."""
        return self.senses.get("fare_faults", 0)

    def show(self, face):
        self.send("F", json.dumps(face))

    def tone(self, name):
        self.send("B", name)
