# NXP MFRC522: a type A reader whose host does ISO-DEP. FM175xx, with type B, builds on it.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# DS = MFRC522 data sheet rev. 3.9. The bus below offers read, write, read_many, write_many.

import asyncio
import time

from drivers.reader import (
    CardLost,
    CardProtocolError,
    ReaderProtocolError,
    ReaderTimeout,
    SeveralCards,
    Target,
)
from flagfall.iso14443a import Activation, CardError, Collision
from flagfall.iso_dep import Ats, Initiator, IsoDepError, Silent, Violation

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


# Registers, DS 9.2.
_COMMAND = const(0x01)
_COM_IRQ = const(0x04)
_ERROR = const(0x06)
_FIFO_DATA = const(0x09)
_FIFO_LEVEL = const(0x0A)  # b7 flush
CONTROL = const(0x0C)  # b2..0 RxLastBits
_BIT_FRAMING = const(0x0D)  # b7 StartSend, b2..0 TxLastBits
_COLL = const(0x0E)  # b7 ValuesAfterColl
MODE = const(0x11)
_TX_MODE = const(0x12)  # b7 CRC
_RX_MODE = const(0x13)
_TX_CONTROL = const(0x14)  # b1..0 antenna pins
TX_ASK = const(0x15)
RF_CFG = const(0x26)
_T_MODE = const(0x2A)  # b7 TAuto, b3..0 prescaler high
_T_PRESCALER = const(0x2B)
_T_RELOAD_HIGH = const(0x2C)
_T_RELOAD_LOW = const(0x2D)
_VERSION = const(0x37)

_IDLE = const(0x00)
_TRANSCEIVE = const(0x0C)
_SOFT_RESET = const(0x0F)
_POWER_DOWN = const(0x10)  # in Command while the oscillator starts

_IRQ_RX = const(0x20)
_IRQ_TIMER = const(0x01)
_ERR_COLLISION = const(0x08)
_ERR_DAMAGE = const(0x17)  # buffer overflow, CRC, parity, protocol

MODE_A = const(0x3D)  # CRC preset 6363, transmitter waits for the field
FSD = const(64)  # one block fills the FIFO: no streaming through the water level
FSDI = const(5)

# The chip's timer counts 13.56 MHz / (2 x prescaler + 1).
_FINE = const(169)  # 25 us a tick, up to 1.6 s
_FINE_TICK_US = const(25)
_COARSE = const(3390)  # 500 us a tick, up to 32 s
_COARSE_TICK_US = const(500)
_FINE_MAX_US = const(1600000)

# Named limits, ms.
_RESET_MS = const(50)
FIELD_MS = const(6)  # unmodulated field before the first command (EMV Book D: 5.1 ms) and gaps
_MARGIN_MS = const(50)  # beyond the chip's own timer and a block on the air
_SPINS = const(40)  # looks without a pause: most cards have answered by then


def _default_ticks_ms():
    return int(time.monotonic() * 1000)


async def _default_sleep_ms(ms):
    await asyncio.sleep(ms / 1000)


class MFRC522:
    """A reader (see drivers/reader.py) made of an MFRC522 on a register `bus`.

    `gain` is RFCfg's receiver gain, 0 to 7 (DS 9.3.3.6). `ticks_ms` and `sleep_ms` are the clock,
    needed only where time does not run as `time` says.
    """

    def __init__(self, bus, gain=4, ticks_ms=None, sleep_ms=None):
        self._bus = bus
        self._gain = gain
        self._ticks_ms = ticks_ms or getattr(time, "ticks_ms", _default_ticks_ms)
        self._sleep_ms = sleep_ms or getattr(asyncio, "sleep_ms", _default_sleep_ms)
        self._card = None  # the ISO-DEP side of the activated card
        self._framing = 0  # TxMode and RxMode b1..0: 0 is type A
        self._work = None  # what to do while the card is waited for
        self._mode = -1  # what TxMode and RxMode hold
        self._timeout_us = -1  # what the chip's timer is set to
        self._engaged = False  # a card may still be in a state in which it hears no WUPA
        self.version = 0
        self.retries = 0  # blocks that were repeated or asked for again

    async def open(self):
        """Reset and configure the chip; the field stays off. Raises ReaderTimeout,
        ReaderProtocolError."""
        self._card = None
        write = self._bus.write
        write(_COMMAND, _SOFT_RESET)
        self._mode = self._timeout_us = -1
        start = self._ticks_ms()
        await self._sleep_ms(1)
        while self._bus.read(_COMMAND) & _POWER_DOWN:
            if self._since(start) > _RESET_MS:
                raise ReaderTimeout("the reader does not come out of its reset")
            await self._sleep_ms(1)
        self.version = self._bus.read(_VERSION)
        if self.version in (0x00, 0xFF):
            raise ReaderTimeout("the reader does not answer: check its cable and supply")
        write(TX_ASK, 0x40)  # 100 % ASK, type A
        write(MODE, MODE_A)
        write(RF_CFG, self._gain << 4 | 0x08)
        write(_COLL, 0x00)  # bits after a collision read as 0
        if self._bus.read(MODE) != MODE_A or self._bus.read(TX_ASK) != 0x40:
            raise ReaderProtocolError("the reader does not keep what is written to it")
        await self.field(False)

    async def field(self, on):
        """Switch the RF field. Off powers the card down and ends its activation."""
        control = self._bus.read(_TX_CONTROL)
        if on:
            if not control & 0x03:
                self._bus.write(_TX_CONTROL, control | 0x03)
                await self._sleep_ms(FIELD_MS)
            return
        self._card = None
        self._engaged = False
        if control & 0x03:
            self._bus.write(_TX_CONTROL, control & 0xFC)
            await self._sleep_ms(FIELD_MS)

    async def activate(self, timeout_ms):
        """Poll until a card answers; return its Target, or None after `timeout_ms`.

        Always polls at least once. Raises SeveralCards, and ReaderTimeout if the chip fails.
        """
        start = self._ticks_ms()
        if self._engaged:
            await self.field(False)
        await self.field(True)
        while True:
            target = await self._poll()
            if target or self._since(start) >= timeout_ms:
                return target
            await self._sleep_ms(FIELD_MS)

    async def _poll(self):
        self._card = None
        way = Activation(FSDI)
        try:
            while True:
                rx, collision = await self._air(way.tx, way.bits, way.crc, way.timeout_us)
                if not way.step(rx, collision):
                    break
        except Collision:
            await self._reset_field()
            raise SeveralCards("two cards in the field: present one") from None
        except CardError:
            await self._reset_field()  # half in the field, most likely: the next poll tells
            return None
        if not way.uid:
            return None
        self._engaged = True
        target = Target(way.uid, way.atqa, way.sak, way.ats)
        if target.takes_apdus:
            try:
                ats = Ats(way.ats)
            except Violation as e:
                raise CardProtocolError("the card's ATS makes no sense: %s" % e) from None
            self._card = Initiator(ats.fsc, ats.fwi, FSD, FSD)
            await self._sleep_ms((ats.guard_us + 999) // 1000)
        return target

    async def transceive(self, apdu, work=None):
        """Send one command APDU to the activated card; return its response with SW1 SW2.

        `work()` is called while the card works, as drivers/reader.py says. Raises CardLost
        (CardProtocolError), ReaderTimeout, ReaderProtocolError.
        """
        if self._card is None:
            raise CardLost("no card is activated")
        if not apdu:
            raise ValueError("an APDU has at least one byte")
        self._work = work
        try:
            await self._exchange(self._card.begin(apdu))
        finally:
            self._work = None
        return self._card.response

    async def present(self):
        """Ask the activated card for a sign of life (R(NAK), ISO/IEC 14443-4 7.5.5)."""
        if self._card is None:
            return False
        try:
            await self._exchange(self._card.probe())
        except CardLost:
            return False
        return True

    async def release(self):
        """Deselect the card. The field stays on; a card that has left is no error."""
        if self._card is None:
            return
        block, timeout_us = self._card.deselect()
        self._card = None
        answer, _ = await self._air(block, 0, True, timeout_us)
        self._engaged = answer != block

    async def _exchange(self, step):
        block, timeout_us = step
        try:
            while block is not None:
                rx, collision = await self._air(block, 0, True, timeout_us)
                if not rx or collision:
                    self.retries += 1
                block, timeout_us = self._card.step(b"" if collision else rx)
        except IsoDepError as e:
            self._card = None
            if isinstance(e, Silent):
                raise CardLost("the card left the field (%s)" % e) from None
            raise CardProtocolError("the card breaks the protocol: %s" % e) from None
        except ReaderTimeout:
            self._card = None
            raise

    # One frame out and at most one in.

    async def _air(self, tx, bits, crc, timeout_us):
        """Return (answer, collision): None for silence, b"" for a damaged one."""
        # Each access costs more than its bits: what stands already is not written again.
        write = self._bus.write
        write(_COM_IRQ, 0x7F)
        write(_FIFO_LEVEL, 0x80)
        self._bus.write_many(_FIFO_DATA, tx)
        mode = self._framing | (0x80 if crc else 0x00)
        if mode != self._mode:
            write(_TX_MODE, mode)
            write(_RX_MODE, mode)
            self._mode = mode
        if timeout_us != self._timeout_us:
            self._set_timer(timeout_us)
            self._timeout_us = timeout_us
        write(_BIT_FRAMING, bits)
        write(_COMMAND, _TRANSCEIVE)
        write(_BIT_FRAMING, 0x80 | bits)
        irq = await self._wait(timeout_us // 1000 + _MARGIN_MS)
        if not irq & _IRQ_RX:
            write(_COMMAND, _IDLE)
            return None, False
        error = self._bus.read(_ERROR)
        n = self._bus.read(_FIFO_LEVEL) & 0x7F
        odd = 0 if crc else self._bus.read(CONTROL) & 0x07  # the CRC covers whole bytes only
        rx = self._bus.read_many(_FIFO_DATA, min(n, 64)) if n else b""
        write(_COMMAND, _IDLE)
        if error & _ERR_COLLISION:
            return b"", True
        if error & _ERR_DAMAGE or odd:
            return b"", False
        return rx, False

    async def _wait(self, limit_ms):
        start = self._ticks_ms()
        spins = 0
        while True:
            irq = self._bus.read(_COM_IRQ)
            if irq & (_IRQ_RX | _IRQ_TIMER):
                return irq
            if self._since(start) > limit_ms:
                self._bus.write(_COMMAND, _IDLE)
                raise ReaderTimeout("the reader's own timer does not run: check its supply")
            if self._work is not None and not self._work():
                self._work = None
            if self._work is None:
                spins += 1
            await self._sleep_ms(1 if spins > _SPINS else 0)

    def _set_timer(self, timeout_us):
        fine = timeout_us <= _FINE_MAX_US
        prescaler = _FINE if fine else _COARSE
        ticks = min(timeout_us // (_FINE_TICK_US if fine else _COARSE_TICK_US) + 1, 0xFFFF)
        write = self._bus.write
        write(_T_MODE, 0x80 | prescaler >> 8)
        write(_T_PRESCALER, prescaler & 0xFF)
        write(_T_RELOAD_HIGH, ticks >> 8)
        write(_T_RELOAD_LOW, ticks & 0xFF)

    async def _reset_field(self):
        await self.field(False)
        await self.field(True)

    def _since(self, start):
        # ticks_ms wraps at 2^30 on MicroPython.
        return (self._ticks_ms() - start) & 0x3FFFFFFF
