# What bench_face.py runs in MicroPython: `micropython face_load.py WHAT FILE`.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# The unit's own keypad, keys, meter, screen, displays, payment and buzzer, on buses that only
# count. FILE is a tap as bench_tap.py records it. Each piece of work is marked for callgrind as
# tap_load.py does it; what the buses and the flash had to do in it is printed beside.
# WHAT is `changed` (as the firmware is) or `whole` (every display drawn afresh each time).

import asyncio
import gc
import json
import sys

import tap_load
from app.booking import Booking
from app.duty import Duty
from app.keys import Keys
from app.meter import Meter
from app.payment import Payment
from app.screen import Screen
from app.sign_in import SignIn
from app.words import Words
from drivers.buzzer import Buzzer
from drivers.fare_display import FareDisplay
from drivers.keypad import LAYOUT, ExpanderMatrix, Keypad
from drivers.passenger_display import PassengerDisplay
from drivers.pcf8575 import PCF8575
from drivers.ssd1306 import SECOND_ADDRESS, SSD1306
from drivers.text_display import TextDisplay
from drivers.tm1637 import TM1637
from flagfall.journal.ring import Journal
from flagfall.meter.tariff import Tariff
from flagfall.roster import SlowHash
from flagfall.seal import Sealer
from front_panel import FrontPanel
from nor_flash import BLOCK, NorFlash

_NOW = 826000000  # March 2026
_YIELDS = 8  # turns of the loop in which a key has long reached its end
ROUNDS = 1000


class Bus:
    """An I2C bus that counts. The expander's `row` and `column` are the key that is down."""

    def __init__(self):
        self.bits = self.transfers = 0
        self.down = None
        self._levels = 0xFFFF

    def take(self):
        """What there was to do since the last call."""
        out = [self.bits, self.transfers]
        self.bits = self.transfers = 0
        return out

    def writeto(self, address, data, stop=True):
        self._count(len(data))
        if address == 0x20:
            self._levels = data[0] | data[1] << 8

    def writevto(self, address, parts, stop=True):
        self._count(sum(len(part) for part in parts))

    def readfrom(self, address, n, stop=True):
        self._count(n)
        levels = self._levels
        if self.down:  # it joins its row and its column: if one is low, both are
            joined = 1 << self.down[0] | 1 << 5 + self.down[1]
            if levels & joined != joined:
                levels &= ~joined
        return bytes((levels & 0xFF, levels >> 8))

    def _count(self, n):
        self.transfers += 1
        self.bits += 9 * (n + 1) + 2


class Pin:
    """A pin that is at 0 when it is read: a TM1637 acknowledges so. As on a chip, its method is
    not Python."""

    def __init__(self):
        self.value = int


class Fare(TM1637):
    """Counts the figures that it sends: a chip's own waits are bench_face.py's to add."""

    figures = 0

    def _put(self, cells, whole):
        self.figures += 1
        TM1637._put(self, cells, whole)


class Last(PassengerDisplay):
    """Marks its own work, and that all displays have shown what a key has done."""

    face = None
    due = ""

    def show(self, face):
        due, self.due = self.due, ""
        if due:
            self.face.mark("passenger " + due)
        PassengerDisplay.show(self, face)
        if due:
            self.face.mark("-")


class Piezo:
    sounds = False

    def freq(self, hertz):
        pass

    def duty_u16(self, duty):
        if duty:
            self.sounds = True


class Board:
    """The world in which nothing moves but what is pressed."""

    def __init__(self, bus):
        self.bus = bus
        text = TextDisplay(SSD1306(bus))
        self.fare = Fare(Pin(), Pin())
        self.fare._wait = int
        fare = FareDisplay(self.fare)
        self.passenger = Last(SSD1306(bus, SECOND_ADDRESS))
        self.displays = [text, fare, self.passenger]
        self.display = FrontPanel(text, fare, [self.passenger], Pin())
        self.keypad = Keypad(ExpanderMatrix(PCF8575(bus), range(5), range(5, 9)), text.typed)
        self.key = self.keypad.key
        self.piezo = Piezo()
        self.buzzer = Buzzer(self.piezo, asyncio.sleep_ms)
        self.ms = 0

    def ticks_ms(self):
        return self.ms

    def utc_s(self):
        return _NOW

    def pulses(self):
        return 0

    def random(self, n):
        return bytes(range(1, n + 1))


class Printer:
    async def print(self, lines):
        pass


class Face:
    """The unit's parts around its face, wired as firmware/unit.py does it."""

    def __init__(self, tap, tariff):
        self.bus = Bus()
        self.board = board = Board(self.bus)
        board.passenger.face = self
        self.flashes = [NorFlash(64 * BLOCK), NorFlash(64 * BLOCK)]
        key = bytes(range(32))
        journal, checkpoints = Journal(self.flashes[0], key), Journal(self.flashes[1], key)
        journal.mount(1)
        checkpoints.mount(1)
        self.booking = Booking(journal, board.utc_s)
        self.duty = Duty()
        screen = Screen(board.display, board.buzzer, board.utc_s, Words(""))
        settings = {"k": 1000, "currency": 156}
        self.meter = Meter(
            board, tariff, settings, self.duty, self.booking, checkpoints, screen, None
        )
        screen.attach(self.meter, self.duty)
        modulus = int.from_bytes(b"\xc5" * 256, "big")
        self.terminal = tap_load.kernel(tap)
        self.payment = Payment(
            board,
            None,
            self.terminal,
            Sealer((modulus, 65537), board.random),
            key,
            self.booking,
            self.duty,
            screen,
            0,
        )
        self.payment.attach(self.meter.checkpoint)
        self.payment.ready_seal()
        sign_in = SignIn(board, None, None, self.duty, self.booking, screen)
        self.keys = Keys(board, self.meter, self.duty, self.booking, screen)
        self.keys.attach(self.payment, None, sign_in)
        self.duty.sign_in(1, "340023")
        journal.idle()
        checkpoints.idle()
        screen.refresh()
        self.costs = []  # [label, what buses and flash had to do], in order
        self.label = "-"
        self.work()

    def forget(self):
        """Draw every display afresh with the next change."""
        text, fare, passenger = self.board.displays
        text._shown = [None] * 8
        fare._shown = None
        passenger._text = passenger._sent = None

    def mark(self, label):
        self.costs.append([self.label, self.work()])
        self.label = label
        tap_load.meter.mark(label)

    def work(self):
        us = sum(flash.time_us for flash in self.flashes)
        for flash in self.flashes:
            flash.time_us = 0
        figures, self.board.fare.figures = self.board.fare.figures, 0
        return self.bus.take() + [figures, us]


async def press(face, name, whole):
    """Press a key and let it go again, scan by scan."""
    place = [(i, row.index(name)) for i, row in enumerate(LAYOUT) if name in row][0]
    scan = face.board.keypad.scan
    for label, down in (("press " + name, place), ("-", None)):
        face.bus.down = down
        for _ in range(1 if down else 3):
            face.mark("scan")
            scan()
        if whole and down:
            face.forget()
        face.mark("-")
        gc.collect()
        face.board.passenger.due = name if down and not name.isdigit() else ""
        face.mark(label)
        scan()
        if not face.board.passenger.due:
            face.mark("-")
        for _ in range(_YIELDS):
            await asyncio.sleep_ms(0)
        if face.board.passenger.due:
            raise ValueError("%s changed nothing on the displays" % name)
        face.mark("-")
    face.board.ms += 1000


async def tap(face, recorded, whole):
    """From the kernel's verdict to the first sound."""
    face.mark("-")
    tx = (await tap_load.play(recorded, face.terminal))[0]
    if whole:
        face.forget()
    face.board.piezo.sounds = False
    gc.collect()
    face.mark("tone")
    if face.payment._conclude(tx) is not True:
        raise ValueError("not approved: %s" % tx.outcome.reason)
    while not face.board.piezo.sounds:
        await asyncio.sleep_ms(0)
    face.mark("-")


async def run(what, recorded, tariff):
    face = Face(recorded, tariff)
    tasks = [asyncio.create_task(x.run()) for x in (face.keys, face.board.buzzer)]
    whole = what == "whole"
    for _ in range(2):  # the second time nothing is done for the first time
        for name in ("HIRED", "5", "EXTRA", "STOP"):
            await press(face, name, whole)
        face.mark("meter")
        face.meter.step()
        await tap(face, recorded, whole)
        face.duty.paid, face.duty.trip_booked = 2, True
        await press(face, "FOR_HIRE", whole)
    face.mark("pin")
    work = SlowHash(b"246810", bytes(24), ROUNDS, ROUNDS)
    work.work()
    face.mark("-")
    for task in tasks:
        task.cancel()
    return face.costs


def main(what, path):
    tap_load.meter = tap_load.Meter(tap_load.COUNT)
    with open(path) as f:
        recorded = json.load(f)
    tap_load.meter.mark("nothing")
    tap_load.meter.mark("nothing")
    costs = asyncio.run(run(what, recorded, Tariff(bytes.fromhex(recorded["tariff"]))))
    print(json.dumps({"labels": tap_load.meter.labels, "costs": costs}))


main(sys.argv[1], sys.argv[2])
