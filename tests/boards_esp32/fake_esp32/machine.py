# A strict machine module: MicroPython 1.28's signatures on the chip of chip.py.
# MIT licence, (c) 2026 The Flagfall contributors.

import io

import chip
from chips.ds3231_chip import DS3231Chip
from chips.i2c_bus import I2CBus
from chips.pcf8575_chip import PCF8575Chip
from chips.ssd1306_chip import SSD1306Chip

_POLL = 3  # MP_STREAM_POLL
_READABLE = 1


class Pin:
    IN = 1
    OUT = 3
    OPEN_DRAIN = 7
    PULL_DOWN = 1
    PULL_UP = 2

    def __init__(self, id, mode=-1, pull=-1, *, value=None, drive=0, hold=None):
        if (id, mode, pull) != (chip.BOOT, self.IN, self.PULL_UP):
            chip.claim(id, "a Pin")
        if mode not in (-1, self.IN, self.OUT, self.OPEN_DRAIN):
            raise ValueError("invalid pin mode")
        if mode in (self.OUT, self.OPEN_DRAIN):
            chip.drives(id)
        if pull != -1 and id in chip.INPUT_ONLY:
            raise ValueError("GPIO %d has no pull-up" % id)
        self.gpio = id
        self._mode = mode
        self._pull = pull
        if value is not None:
            self.value(value)

    def value(self, *level):
        wire = chip.wires.get(self.gpio)
        if level:
            if self._mode not in (self.OUT, self.OPEN_DRAIN):
                raise ValueError("GPIO %d is not an output" % self.gpio)
            chip.levels[self.gpio] = int(level[0])
            if wire:
                wire.value(level[0])
            return None
        if wire:
            return wire.value()
        if self._mode == self.OUT:
            return chip.levels[self.gpio]
        if self.gpio == chip.BOOT:
            return 0 if chip.boot_held else 1
        outside = chip.level_from_outside(self.gpio)
        if outside is not None:
            return outside
        # A key connects a column with a row: any row that is low pulls it down.
        for row, column in chip.pressed:
            if column == self.gpio and chip.levels.get(row) == 0:
                return 0
        if self._pull != self.PULL_UP:
            raise ValueError("GPIO %d floats" % self.gpio)
        return 1


class UART(io.IOBase):
    made = {}
    IRQ_RXIDLE = 1

    def irq(self, handler=None, trigger=0, hard=False):
        self.handler = handler

    def __init__(
        self,
        id,
        baudrate,
        bits=8,
        parity=None,
        stop=1,
        *,
        tx,
        rx,
        txbuf=256,
        rxbuf=256,
        timeout=0,
        timeout_char=0,
        invert=0,
        flow=0,
    ):
        if id not in (0, 1, 2) or id in self.made or id == chip.CONSOLE_UART:
            raise ValueError("UART(%d) does not exist or is in use" % id)
        chip.drives(tx)
        chip.claim(tx, "UART%d tx" % id)
        chip.claim(rx, "UART%d rx" % id)
        self.made[id] = self
        self.baudrate = baudrate
        self.rxbuf = rxbuf
        self.sent = bytearray()
        self.coming = bytearray()
        self.on_write = None  # called with each piece that was sent

    def init(self, *, baudrate):
        self.baudrate = baudrate

    def read(self, n):
        if not self.coming:
            return None
        data = bytes(self.coming[:n])
        self.coming = self.coming[n:]
        return data

    def write(self, data):
        self.sent.extend(data)
        if self.on_write:
            self.on_write(bytes(data))
        return len(data)

    def ioctl(self, request, arg):
        if request == _POLL:
            return arg & (_READABLE if self.coming else 0)
        return 0


class I2C(I2CBus):
    """A bus with what a unit has on it: two panels, a clock, a port expander."""

    made = {}

    def __init__(self, id, *, scl, sda, freq=400000, timeout=50000):
        if id not in (0, 1):
            raise ValueError("I2C(%d) does not exist" % id)
        if not isinstance(scl, Pin) or not isinstance(sda, Pin):
            raise TypeError("scl and sda are Pins")
        chip.drives(scl.gpio)
        chip.drives(sda.gpio)
        super().__init__(
            {0x3C: SSD1306Chip(), 0x3D: SSD1306Chip(), 0x68: DS3231Chip(), 0x20: PCF8575Chip()}
        )
        I2C.made[id] = self


class ADC:
    ATTN_11DB = 3
    made = {}

    def __init__(self, pin, *, atten=0):
        if not isinstance(pin, Pin) or pin.gpio not in chip.ADC:
            raise ValueError("no analogue input there")
        self.uv = 750000  # 12 V behind 16 to 1
        ADC.made[pin.gpio] = self

    def read_uv(self):
        return self.uv


class PWM:
    def __init__(self, dest, *, freq, duty_u16):
        if not isinstance(dest, Pin):
            raise TypeError("dest is a Pin")
        self.played = []  # (Hz, duty) after each change
        self._freq = freq
        self.duty_u16(duty_u16)

    def freq(self, hertz):
        if not 1 <= hertz <= 40000000:
            raise ValueError("frequency")
        self._freq = hertz

    def duty_u16(self, duty):
        if not 0 <= duty <= 65535:
            raise ValueError("duty")
        self.played.append((self._freq, duty))


class Counter:
    RISING = 1
    FALLING = 2
    UP = 1
    DOWN = 2

    def __init__(self, id, src, *, edge=1, direction=1, filter_ns=0):
        if not 0 <= id < chip.COUNTERS:
            raise ValueError("the chip has %d PCNT units" % chip.COUNTERS)
        if not isinstance(src, Pin):
            raise TypeError("src is a Pin")
        if filter_ns * 80 // 1000 > 1023:
            raise ValueError("the filter ends at 12.8 us")
        self.count = 0

    def value(self, *to):
        before = self.count
        if to:
            self.count = to[0]
        return before


class RTC:
    set_to = None

    def datetime(self, *to):
        if to:
            if len(to[0]) != 8:
                raise TypeError("8 fields")
            RTC.set_to = to[0]
        return RTC.set_to
