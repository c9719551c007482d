# NXP PN532 reader chip. The chip runs ISO/IEC 14443-4 by itself; we move whole APDUs.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# UM = UM0701-02, PN532 user manual. The bus below (pn532_hsu, pn532_i2c, pn532_spi) offers
# wake(attempt), write(frame), read(n, timeout_ms), discard(), gap_ms, ack_size and speed_code.

import time

from drivers.reader import (
    CardLost,
    CardProtocolError,
    ReaderError,
    ReaderProtocolError,
    ReaderTimeout,
    SeveralCards,
    Target,
)
from flagfall import pn532_frame as frames
from flagfall.pn532_frame import ACK, TO_CHIP, TO_HOST, encode, missing, whole

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


# Commands, UM 7.
_DIAGNOSE = const(0x00)
_GET_FIRMWARE_VERSION = const(0x02)
_SET_SERIAL_BAUD_RATE = const(0x10)
_SET_PARAMETERS = const(0x12)
_SAM_CONFIGURATION = const(0x14)  # mode, time-out, IRQ
_RF_CONFIGURATION = const(0x32)  # item, data
_IN_DATA_EXCHANGE = const(0x40)  # Tg | MI, data
_IN_LIST_PASSIVE_TARGET = const(0x4A)  # MaxTg, BrTy, initiator data
_IN_RELEASE = const(0x52)  # Tg, 0 for all

_MORE = const(0x40)  # MI, in Tg of a command and in the status of a response
_PARAMETERS = const(0x14)  # automatic ATR_RES and RATS (UM 7.2.9)
_RF_FIELD = const(0x01)
_RF_RETRIES = const(0x05)  # MxRtyATR, MxRtyPSL, MxRtyPassiveActivation
_PASSIVE_RETRIES = const(0x02)  # finite: FF would leave the chip polling until it is aborted
_IC_PN532 = const(0x32)

# What one InDataExchange may carry: 262 by UM 7.3.8. One byte less is what all known readers of
# the chip agree on, and a short command APDU still fits.
_CHUNK = const(261)
_MAX_RESPONSE = const(65538)  # extended response APDU with SW1 SW2

# Named limits, ms.
_ACK_MS = const(
    100
)  # the chip acknowledges within 15 ms; a host in an erase of flash sees it late
_COMMAND_MS = const(500)  # commands that do not wait for the air
_POLL_MS = const(600)  # one InListPassiveTarget with the retries above
_EXCHANGE_MS = const(5300)  # the longest frame waiting time, FWI 14, 4.95 s, and its margin
_PAUSE_MS = const(15)  # between polls
_DRAIN_READS = const(8)
_READ = const(277)  # bytes: the longest frame with its preamble and postamble
_BARE = const(3)  # bytes of a response that is only a status: TFI, code, status
_NOISE_MAX = const(1200)  # bytes without a frame that fits, then the line is given up
_TRIES = const(3)  # sendings of one command, and of NACK for one answer

# Status bytes, UM 7.1. The rest means that we used the chip wrongly.
_LOST = (0x01, 0x0A, 0x29, 0x2B)
_DAMAGED_ON_AIR = (0x02, 0x03, 0x04, 0x05, 0x06, 0x09, 0x0B, 0x13, 0x23, 0x2A)


def _default_ticks_ms():
    return int(time.monotonic() * 1000)


class PN532:
    """A reader (see drivers/reader.py) made of a PN532 on `bus`.

    `type_b` also polls for ISO/IEC 14443 type B cards. `ticks_ms` is the millisecond clock for
    the limits, needed only where time does not run as `time` says.
    """

    def __init__(self, bus, type_b=False, ticks_ms=None):
        self._bus = bus
        self._decoder = frames.Decoder(postamble=True)
        self._damage = False  # something that was no frame came since the last ACK or NACK
        self._stale = False  # a good frame came, but of an earlier command
        self._acked = False  # an ACK ended the last wait
        self._last = b""  # the last response, to know a stale one after NACK
        self._target = 0  # Tg of the activated card, 0 for none
        self._types = (0, 3) if type_b else (0,)
        self._ticks_ms = ticks_ms or getattr(time, "ticks_ms", _default_ticks_ms)
        self.firmware = (0, 0)  # version, revision
        self.nacks = 0  # damaged answers that were asked for again
        self.resent = 0  # commands that the chip had not taken

    async def open(self):
        """Wake and configure the chip. Raises ReaderTimeout, ReaderProtocolError."""
        for attempt in range(_TRIES):
            try:
                await self._start(attempt)
                return
            except (ReaderTimeout, ReaderProtocolError):
                if attempt == _TRIES - 1:
                    raise

    async def _start(self, attempt):
        self._target = 0
        await self._bus.wake(attempt)
        # Normal mode; the IRQ line is driven, though HSU does not need it.
        await self._tell(_SAM_CONFIGURATION, 0x01, 0x14, 0x01)
        if self._bus.speed_code is not None:
            await self._tell(_SET_SERIAL_BAUD_RATE, self._bus.speed_code)
            await self._bus.write(frames.ACK)  # only then does the chip change (UM 7.2.7)
            await self._bus.use_speed()
        version = await self._tell(_GET_FIRMWARE_VERSION)
        if len(version) < 4 or version[0] != _IC_PN532:
            raise ReaderProtocolError("the reader is not a PN532: it says %s" % version.hex())
        self.firmware = (version[1], version[2])
        await self._tell(_SET_PARAMETERS, _PARAMETERS)
        await self._tell(_RF_CONFIGURATION, _RF_RETRIES, 0xFF, 0x01, _PASSIVE_RETRIES)
        await self.field(False)

    async def field(self, on):
        """Switch the RF field. Off powers the card down and ends its activation."""
        if not on:
            self._target = 0
        await self._tell(_RF_CONFIGURATION, _RF_FIELD, 0x01 if on else 0x00)

    async def activate(self, timeout_ms):
        """Poll until a card answers; return its Target, or None after `timeout_ms`.

        Always polls at least once. Raises SeveralCards when two ISO/IEC 14443-4 cards answer.
        """
        start = self._ticks_ms()
        while True:
            for br_ty in self._types:
                target = await self._poll(br_ty)
                if target:
                    return target
            if self._since(start) >= timeout_ms:
                return None
            await self._bus.read(1, _PAUSE_MS)  # nothing will come: a pause that lets others run

    async def _poll(self, br_ty):
        self._target = 0
        afi = b"\x00" if br_ty else b""  # type B: every application family
        request = bytes((TO_CHIP, _IN_LIST_PASSIVE_TARGET, 2, br_ty)) + afi
        try:
            answer = await self._command(request, _POLL_MS)
            found = (_type_b_targets if br_ty else _type_a_targets)(answer)
        except IndexError:
            raise ReaderProtocolError("the reader's list of cards ends too early") from None
        able = [(tg, t) for tg, t in found if t.takes_apdus]
        if len(able) > 1:
            raise SeveralCards("two cards in the field: present one")
        if not found:
            return None
        self._target, target = able[0] if able else found[0]
        return target

    async def transceive(self, apdu, work=None):
        """Send one command APDU to the activated card; return its response with SW1 SW2.

        `work()` is called while the card works, as drivers/reader.py says. Raises CardLost
        (CardProtocolError), ReaderTimeout, ReaderProtocolError.
        """
        if not self._target:
            raise CardLost("no card is activated")
        while len(apdu) > _CHUNK:
            head = bytes((TO_CHIP, _IN_DATA_EXCHANGE, self._target | _MORE))
            self._check(await self._exchange(head + apdu[:_CHUNK]))
            apdu = apdu[_CHUNK:]
        head = bytes((TO_CHIP, _IN_DATA_EXCHANGE, self._target))
        answer = await self._exchange(head + apdu, work)
        if not self._check(answer) & _MORE:
            return answer[1:]
        response = bytearray(answer[1:])
        while answer[0] & _MORE:
            answer = await self._exchange(head)
            self._check(answer)
            if len(answer) < 2 or len(response) + len(answer) > _MAX_RESPONSE:
                raise ReaderProtocolError("the reader chains a response without end")
            response += memoryview(answer)[1:]
        return bytes(response)

    async def present(self):
        """Ask the activated card for a sign of life (UM 7.2.1, attention request)."""
        if not self._target:
            return False
        answer = await self._tell(_DIAGNOSE, 0x06)
        return len(answer) == 1 and answer[0] == 0

    async def release(self):
        """Deselect the card. The field stays on; a card that has left is no error."""
        self._target = 0
        await self._tell(_IN_RELEASE, 0)

    async def _exchange(self, request, work=None):
        try:
            return await self._command(request, _EXCHANGE_MS, False, work)
        except ReaderError:
            self._target = 0  # the card's state is unknown: it has to be activated again
            raise

    def _check(self, answer):
        if not answer:
            raise ReaderProtocolError("the reader's answer has no status")
        error = answer[0] & 0x3F
        if error == 0:
            return answer[0]
        self._target = 0
        if error in _LOST:
            raise CardLost("the card left the field (status %02X)" % error)
        if error in _DAMAGED_ON_AIR:
            raise CardProtocolError("the card's answer is damaged (status %02X)" % error)
        raise ReaderProtocolError("the reader refused the exchange (status %02X)" % error)

    # One command and its answer, UM 6.2.1: frame out, ACK in, response in.

    async def _tell(self, *octets):
        """A command that concerns the chip alone."""
        return await self._command(bytes((TO_CHIP,) + octets), _COMMAND_MS)

    async def _command(self, payload, timeout_ms, repeatable=True, work=None):
        """Send `payload`, TFI first; return the response's data behind its code.

        `repeatable`: may be sent again freely. `work`: to be called while there is no answer.
        """
        frame = encode(payload)
        code = payload[1] + 1
        for _ in range(_TRIES):
            await self._send(frame)
            taken, answer = await self._wait(code, _ACK_MS, True, work)
            asked = False
            acked = self._acked
            if answer is None and not taken and not repeatable:
                # Not one byte came. Either the chip never took the command, or its ACK and
                # answer are lost: NACK makes it repeat its last response, old or new. Only an
                # old one proves that the command may be sent again; a bare status does not,
                # since the parts of a chain are all answered by the same.
                asked = True
                await self._send(frames.NACK)
                taken, answer = await self._wait(code, _ACK_MS, False)
                if answer is None:
                    taken = not self._stale
                elif answer == self._last:
                    taken, answer = len(answer) <= _BARE, None
            if answer is None and taken:
                answer = await self._answer(code, timeout_ms, acked, asked, work)
            if answer is not None:
                self._last = answer
                return answer[2:]
            if taken and not repeatable:
                raise ReaderTimeout("the reader took the command and then fell silent")
            self.resent += 1
        raise ReaderTimeout("the reader does not answer: check its cable and supply")

    async def _answer(self, code, timeout_ms, acked, asked, work):
        """The response to a command that the chip has taken, or None if nothing shows one.

        `acked`: the chip's ACK came. Without it, what comes after a NACK (`asked`: one was sent
        already) may be the response of before, damaged once and then whole.
        """
        silent = False
        for _ in range(_TRIES + 1):
            limit = _ACK_MS if silent else timeout_ms
            seen, answer = await self._wait(code, limit, False, work)
            work = None
            stale = answer == self._last and (silent or (asked and not acked))
            if answer is not None and not stale:
                return answer
            if silent or stale:
                silent = True
                break
            silent = not seen  # perhaps it did answer: ask once, but take nothing stale for it
            self.nacks += 1
            asked = True
            await self._send(frames.NACK)
        await self._abort()
        if silent:
            return None
        raise ReaderProtocolError("the reader's answers arrive damaged: check its cable")

    async def _send(self, frame):
        self._bus.discard()
        self._decoder.reset()
        self._damage = False
        await self._bus.write(frame)

    async def _wait(self, code, timeout_ms, for_ack, work=None):
        """Return (seen, response or None) when it is there or the line is silent.

        `seen` without a response: something came that may have been it. With `for_ack` an ACK
        ends the wait. A response that comes without one is held until it is clear that none
        follows: it may be the late answer to an earlier command.
        """
        start = self._ticks_ms()
        acked = False
        held = None
        self._stale = False
        self._acked = False
        seen = self._decoder.pending or self._damage
        left = _NOISE_MAX
        # On I2C and SPI each frame is read by itself, and reading costs time by length.
        size = self._bus.ack_size if for_ack else _READ
        while True:
            limit = min(timeout_ms, self._bus.gap_ms) if seen else timeout_ms
            if work is not None:
                if work():
                    limit = 0
                else:
                    work = None
            chunk = await self._bus.read(size, limit)
            if not chunk and not limit:
                continue  # nothing yet, and there is more to do
            if not seen:
                # What nearly always comes: the one frame, whole, on a clean line.
                if for_ack:
                    if chunk == ACK:
                        self._acked = True
                        return True, None
                else:
                    # A UART hands a long frame over in two or three pieces.
                    while missing(chunk) > 0 and len(chunk) < _READ:
                        rest = await self._bus.read(missing(chunk), self._bus.gap_ms)
                        if not rest:
                            break
                        chunk += rest
                    payload = whole(chunk)
                    if payload and payload[0] == TO_HOST and payload[1] == code:
                        return True, payload
            events = self._decoder.decode(chunk) if chunk else self._decoder.gap()
            for kind, payload in events:
                if kind == frames.ACK_FRAME and for_ack:
                    acked = self._acked = True
                    held = None
                    self._damage = False
                elif kind == frames.DAMAGED:
                    self._damage = True
                elif kind == frames.ERROR_FRAME:
                    raise ReaderProtocolError("the reader refuses command %02X" % (code - 1))
                elif kind == frames.DATA:
                    if payload[:2] == bytes((frames.TO_HOST, code)):
                        held = payload
                    else:
                        self._stale = True
            if acked or (held is not None and not for_ack):
                return True, held
            # Zeros are preambles and postambles; anything else was a frame once.
            if self._decoder.pending or self._damage or (not events and chunk.strip(b"\x00")):
                seen = True
            left -= len(chunk)
            if not chunk or left < 0 or self._since(start) > timeout_ms:
                return seen and not self._stale, held

    async def _abort(self):
        """A host's ACK makes the chip drop what it does (UM 6.2.1.3)."""
        await self._bus.write(frames.ACK)
        for _ in range(_DRAIN_READS):
            if not await self._bus.read(_READ, self._bus.gap_ms):
                break
        self._decoder.reset()

    def _since(self, start):
        # ticks_ms wraps at 2^30 on MicroPython.
        return (self._ticks_ms() - start) & 0x3FFFFFFF


def _type_a_targets(answer):
    # NbTg, then for each: Tg, SENS_RES (high byte first), SEL_RES, NFCIDLength, NFCID, [ATS]
    found = []
    at = 1
    for _ in range(answer[0]):
        tg = answer[at]
        atqa = bytes((answer[at + 2], answer[at + 1]))
        sak = answer[at + 3]
        end = at + 5 + answer[at + 4]
        uid = answer[at + 5 : end]
        ats = b""
        if sak & 0x20:
            ats = answer[end : end + answer[end]]
            if len(ats) != answer[end] or not ats:
                raise IndexError
        elif end > len(answer):
            raise IndexError
        at = end + len(ats)
        found.append((tg, Target(uid, atqa, sak, ats)))
    return found


def _type_b_targets(answer):
    # NbTg, then for each: Tg, ATQB (12 bytes, 50 first), ATTRIB_RES_Length, ATTRIB_RES
    found = []
    at = 1
    for _ in range(answer[0]):
        tg = answer[at]
        atqb = answer[at + 2 : at + 13]
        end = at + 14 + answer[at + 13]
        if end > len(answer):
            raise IndexError
        at = end
        found.append((tg, Target(atqb[:4], atqb, 0, b"", "B")))
    return found
