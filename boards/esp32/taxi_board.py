# What a taxi unit on any ESP32 has in common: boards/<name>/board.py adds what its chip has
# otherwise, boards/<name>/pins.py says where everything hangs.
# MIT licence, (c) 2026 The Flagfall contributors.

import asyncio
import time

import pins
import vfs
from drivers.buzzer import Buzzer
from drivers.clock_chip import ClockError
from drivers.contactless_lights import ContactlessLights
from drivers.escpos_printer import EscPosPrinter
from drivers.keypad import Keypad
from drivers.pcf8575 import PCF8575
from drivers.seal_switch import SealSwitch
from drivers.ssd1306 import SSD1306
from drivers.supply_voltage import SupplyVoltage
from drivers.text_display import TextDisplay
from esp32 import Partition
from fitted import clock_chip, fare_display, passenger_displays
from flagfall.clock import civil, seconds_2000
from front_panel import FrontPanel
from machine import ADC, I2C, PWM, RTC, Counter, Pin
from micropython import const
from serial_ports import ConsolePort, UartPort

_TICK_MS = const(50)  # the meter's pace
_FILTER_NS = const(12000)  # glitches of the pulse input; the hardware's limit is 12.8 us
_PRINTER_BAUD = const(9600)
_MODEM_BAUD = const(115200)  # what SIM7600, A7670 and EC2x have after power-up
_ISU_BAUD = const(9600)  # JT/T 905
_I2C_HZ = const(400000)
_I2C_TIMEOUT_US = const(10000)
_DIVIDER = (330, 22)  # 33 kOhm and 2.2 kOhm in the supply's divider
_BUZZER_HZ = const(1500)
_BLOCK = const(4096)
_CONFIG = "/config"
_LISTS = "/lists"


class BoardError(Exception):
    """This board is not what the firmware was made for; str() says what to do."""


class TaxiBoard:
    """What firmware/unit.py asks of any board, but `model`, `key_matrix` and `reader_port`."""

    model = ""

    def __init__(self):
        # First of all: from here on no pulse is lost, whatever the interpreter does.
        pulse = Pin(pins.PULSE, Pin.IN)
        self._counter = Counter(pins.PULSE_COUNTER, pulse, filter_ns=_FILTER_NS)
        self._last_ticks = time.ticks_ms()
        self._ms = 0
        self._epoch_year = time.gmtime(0)[0]
        self.journal_flash = partition("journal")
        self.trips_flash = partition("trips")
        self.files_root = _CONFIG
        self.lists_root = _LISTS
        i2c = I2C(
            pins.DISPLAY_I2C,
            sda=Pin(pins.DISPLAY_SDA),
            scl=Pin(pins.DISPLAY_SCL),
            freq=_I2C_HZ,
            timeout=_I2C_TIMEOUT_US,
        )
        self._clock_chip = clock_chip(i2c)
        self.clock_fault = None  # why the calendar is not to be trusted, or None
        self.expander = PCF8575(i2c)
        driver = TextDisplay(SSD1306(i2c))
        roof_light = Pin(pins.ROOF_LIGHT, Pin.OUT, value=0)
        self.display = FrontPanel(driver, fare_display(pins), passenger_displays(i2c), roof_light)
        self.display.start()
        self._keypad = Keypad(self.key_matrix(), driver.typed)
        self.key = self._keypad.key
        self.buzzer = Buzzer(PWM(Pin(pins.BUZZER), freq=_BUZZER_HZ, duty_u16=0))
        lights = [self.expander.line(n, 0) for n in pins.LIGHT_LINES]
        self.lights = ContactlessLights(lights, self.buzzer.tone)
        self.printer = EscPosPrinter(
            UartPort(pins.PRINTER_UART, pins.PRINTER_TX, pins.PRINTER_RX, _PRINTER_BAUD)
        )
        self._seal = SealSwitch(Pin(pins.SEAL, Pin.IN, Pin.PULL_UP))
        adc = ADC(Pin(pins.SUPPLY), atten=ADC.ATTN_11DB)
        self._supply = SupplyVoltage(adc, *_DIVIDER)
        self.supply_mv = self._supply.mv
        self._ignition = self.expander.line(pins.IGNITION_LINE, 0)
        self._cable = None
        self._modem = None
        self._modem_key = Pin(pins.MODEM_POWER, Pin.OUT, value=0)
        self._entropy = None

    async def start(self):
        """Bring up what takes a while. Raises BoardError."""
        self._take_time()
        try:
            mount_config()
            mount_lists()
        except BoardError as e:
            self.display.show({"position": "FAULT", "message": str(e)})
            raise

    def random(self, n):
        """`n` bytes that nobody can guess. The first draw switches the radio on, 0.1 s and more:
        nothing needs it before the meter shows its face."""
        if self._entropy is None:
            from entropy import Entropy

            self._entropy = Entropy()
        return self._entropy.random(n)

    def background(self):
        """Coroutines that the board needs to run beside the unit's tasks."""
        return [self._keypad.run(), self.buzzer.run(), self.lights.run()]

    def ticks_ms(self):
        """Milliseconds since power-up. Unlike time.ticks_ms it does not wrap after 12 days; it
        must be called once in 6 days, which `tick` sees to."""
        now = time.ticks_ms()
        self._ms += time.ticks_diff(now, self._last_ticks)
        self._last_ticks = now
        return self._ms

    def pulses(self):
        """Distance pulses since power-up, counted in hardware."""
        return self._counter.value()

    def utc_s(self):
        return seconds_2000(time.time(), self._epoch_year)

    def set_utc_s(self, utc_s):
        self._set_calendar(utc_s)
        try:
            self._clock_chip.set(utc_s)
            self.clock_fault = None
        except ClockError as e:
            self.clock_fault = str(e)

    def _take_time(self):
        """The calendar from the clock chip. Without one it stays where the power found it: in the
        year 2000, in which the unit takes no cards."""
        try:
            self._set_calendar(self._clock_chip.read())
        except ClockError as e:
            self.clock_fault = str(e)

    def _set_calendar(self, utc_s):
        year, month, day, hour, minute, second, weekday = civil(utc_s)
        RTC().datetime((year, month, day, weekday, hour, minute, second, 0))

    async def tick(self):
        await asyncio.sleep_ms(_TICK_MS)
        self.ticks_ms()
        self._seal.look()

    async def sleep_ms(self, ms):
        await asyncio.sleep_ms(ms)

    async def breathe(self):
        """Let the unit's other tasks run between two pieces of long work."""
        await asyncio.sleep_ms(0)

    def seal_open(self):
        """Whether the seal switch is open."""
        return self._seal.open

    def ignition(self):
        """Whether the ignition is on."""
        return bool(self._ignition.value())

    def key_matrix(self):
        """The keypad's rows and columns, as drivers/keypad.py wants them."""
        raise NotImplementedError

    def modem_port(self):
        """The modem's UART; whether there is a modem is the settings' to say."""
        if self._modem is None:
            self._modem = UartPort(pins.MODEM_UART, pins.MODEM_TX, pins.MODEM_RX, _MODEM_BAUD)
        return self._modem

    async def press_modem_key(self, ms):
        """Pull the modem's power key down for `ms`, through its transistor."""
        self._modem_key.value(1)
        try:
            await asyncio.sleep_ms(ms)
        finally:
            self._modem_key.value(0)

    def ppp(self, port):
        """What makes a network of the modem's call."""
        from mobile_network import Ppp  # only where there is a modem

        return Ppp(port)

    def cable_port(self):
        if self._cable is None:
            self._cable = ConsolePort()
        return self._cable

    def isu_port(self):
        """The line to a certified ISU. It brings its own modem, so it takes that one's UART."""
        return UartPort(pins.MODEM_UART, pins.MODEM_TX, pins.MODEM_RX, _ISU_BAUD)


def partition(label):
    """The data partition called `label`. Raises BoardError."""
    found = Partition.find(Partition.TYPE_DATA, label=label)
    if not found:
        raise BoardError("no flash partition %s: flash the unit with flagfall flash" % label)
    return found[0]


def mount_config():
    """Mount the small files; a blank partition is formatted. Raises BoardError.

    A damaged one is not: it may hold the unit's identity, which the workshop can still save.
    """
    flash = partition("config")
    try:
        vfs.mount(vfs.VfsLfs2(flash), _CONFIG)
        return
    except OSError:
        if not blank(flash):
            raise BoardError("config damaged: flash with --blank-config") from None
    vfs.VfsLfs2.mkfs(flash)
    vfs.mount(vfs.VfsLfs2(flash), _CONFIG)


def mount_lists():
    """Mount what the office can send again at any time; a damaged file system is made anew."""
    flash = partition("lists")
    try:
        lists = vfs.VfsLfs2(flash)
    except OSError:
        vfs.VfsLfs2.mkfs(flash)
        lists = vfs.VfsLfs2(flash)
    vfs.mount(lists, _LISTS)


def blank(flash):
    """Whether the two blocks that every littlefs begins with are as the factory left them."""
    buf = bytearray(_BLOCK)
    for block in (0, 1):
        flash.readblocks(block, buf)
        for byte in buf:
            if byte != 0xFF:
                return False
    return True
