# A unit on MicroPython's unix port: its buses are pty's and a socket, its flash is a file.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# FLAGFALL_BENCH names a JSON file written by the bench:
#   world   path of the world's UNIX socket       cable, reader, isu   paths of the pty's
#   modem, relay   the modem's pty and its relay's socket, or null: there is no modem
#   journal, trips   flash files                  files           folder of the small files
#   seal_open   whether the seal switch is open
#   seed    hex or null                           power_ons       how often power came before
#   patience   how many times longer than a real one the reader may take

import hashlib
import json
import os
import time

from drivers.contactless_lights import ContactlessLights
from mobile_network import Ppp, press_key
from nor_flash import NorFlash
from serial_port import SerialPort
from world_port import WorldPort


class Lights(ContactlessLights):
    """The four lights at the reader; the world hears of each state, and of what is lit."""

    def __init__(self, world):
        self._world = world
        self._levels = [0] * 4
        super().__init__([Lamp(self, i) for i in range(4)], None, world.sleep_ms)

    def show(self, state):
        self._world.send("L", state)
        super().show(state)

    def set(self, number, level):
        """Set one light. The driver sets all four, the last one at the end."""
        self._levels[number] = level
        if number == 3:
            self._world.send("M", "".join([str(level) for level in self._levels]))


class Lamp:
    """One of the lights, as a machine.Pin."""

    def __init__(self, lights, number):
        self._lights = lights
        self._number = number

    def value(self, level):
        self._lights.set(self._number, level)


class Board:
    """What firmware/unit.py asks of any board."""

    model = "bench"

    def __init__(self):
        with open(os.getenv("FLAGFALL_BENCH")) as f:
            self._setup = json.load(f)
        self.world = WorldPort(self._setup["world"])
        self.journal_flash = NorFlash(path=self._setup["journal"])
        self.trips_flash = NorFlash(path=self._setup["trips"])
        self.journal_flash.on_erase = lambda block: self.world.send("E", "journal %d" % block)
        self.trips_flash.on_erase = lambda block: self.world.send("E", "trips %d" % block)
        self.files_root = self._setup["files"]
        self.lists_root = self.files_root + "/lists"
        try:
            os.mkdir(self.lists_root)
        except OSError:
            pass  # it is there
        self.display = self.buzzer = self.printer = self.world
        self.lights = Lights(self.world)
        self.key = self.world.key
        self.tick = self.world.tick
        self.sleep_ms = self.world.sleep_ms
        self._drawn = 0
        self._ports = {}
        self.world.on_cut = self._plan_cut

    async def start(self):
        """Bring up what needs waiting for: here the world's first word of the time."""
        await self.world.ready()

    def background(self):
        """Coroutines that the board needs to run beside the unit's tasks."""
        return [self.world.run(), self.lights.run()]

    def ticks_ms(self):
        return self.world.now_ms

    def pulses(self):
        return self.world.pulses

    def utc_s(self):
        return self.world.utc_s

    def set_utc_s(self, utc_s):
        self.world.send("U", str(utc_s))
        self.world.utc_s = utc_s

    def seal_open(self):
        """Whether the seal switch is open: the bench's is a setting."""
        return bool(self.world.senses.get("seal", self._setup["seal_open"]))

    @property
    def supply_mv(self):
        """What measures the supply (mV), or None while the world has none."""
        return self._supply if "supply" in self.world.senses else None

    def _supply(self):
        return self.world.senses["supply"]

    @property
    def ignition(self):
        """What says whether the ignition is on, or None while the world has none."""
        return self._ignition if "ignition" in self.world.senses else None

    def _ignition(self):
        return bool(self.world.senses["ignition"])

    @property
    def clock_fault(self):
        """Why the calendar is not to be trusted, or None."""
        lost = self.world.senses.get("clock_fault")
        return "the clock chip has lost the time" if lost else None

    def random(self, n):
        """`n` random bytes: the system's, or a repeatable stream when the bench has a seed."""
        if self._setup["seed"] is None:
            return os.urandom(n)
        out = b""
        while len(out) < n:
            self._drawn += 1
            h = hashlib.sha256(self._setup["seed"].encode())
            h.update(b"%d/%d" % (self._setup["power_ons"], self._drawn))
            out += h.digest()
        return out[:n]

    def reader_port(self):
        return self._port("reader")

    def cable_port(self):
        return self._port("cable")

    def isu_port(self):
        """The line to a certified ISU (JT/T 905)."""
        return self._port("isu")

    def modem_port(self):
        """The modem's UART, or None where there is no modem."""
        return self._port("modem") if self._setup["modem"] else None

    async def press_modem_key(self, ms):
        """Press the modem's power key for `ms`."""
        await self.sleep_ms(ms)
        await press_key(self._setup["relay"], ms)

    def ppp(self, port):
        """What makes a network of the modem's call."""
        return Ppp(port, self._setup["relay"])

    def _port(self, name):
        if name not in self._ports:
            patience = self._setup["patience"] if name == "reader" else 1
            self._ports[name] = SerialPort(self._setup[name], patience)
        return self._ports[name]

    def _plan_cut(self, flash, operations, mode):
        chips = {"journal": self.journal_flash, "trips": self.trips_flash}
        chips[flash].cut_after(operations, mode, lambda: self._power_goes(flash))

    def _power_goes(self, flash):
        # Tell the world, then do nothing more: it cuts the power.
        self.world.send_now("C " + flash)
        while True:
            time.sleep(1)
