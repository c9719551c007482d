"""NXP PN532 as its host sees it: bytes in, bytes out (UM0701-02; "UM" below).

`PN532Chip.feed` takes what the host sends and returns what the chip sends. Time is not modelled:
an answer follows its ACK at once, and APDUs reach a card whole. Only frames of a host that does
ISO-DEP itself (InCommunicateThru) go through the card's air. `idle` is called now and then by
whoever owns the wire, for what the chip sends by itself: the answer to a poll that waited for a
card.
"""

from collections.abc import Callable

from flagfall import pn532_frame as frames

from flagfall_host.bench.cards.card import Card, CardLeft
from flagfall_host.bench.reader.faults import Faults
from flagfall_host.bench.reader.field import Field
from flagfall_host.bench.reader.picc import ACTIVE, Picc
from flagfall_host.bench.reader.picc_b import on_air

# Power modes of the HSU host link (UM 3.1.3): after power-up only SAMConfiguration is taken, and
# GetFirmwareVersion, by which nfcpy finds chips.
ASLEEP, LOW_VBAT, NORMAL = "asleep", "low-vbat", "normal"

# Status bytes, UM 7.1.
OK = 0x00
TIMEOUT = 0x01
CRC_ERROR = 0x02
BUFFER_TOO_SMALL = 0x07
INVALID_PARAMETER = 0x10
NOT_ACCEPTABLE = 0x27
MORE = 0x40

_FIRMWARE = bytes.fromhex("32010607")  # IC PN532, 1.6, type A + type B + ISO 18092
_AUTOMATIC_RATS = 0x10
_PARAMETERS_AT_RESET = 0x34  # automatic ATR_RES, automatic RATS, ISO 14443-4 PICC
_TYPE_A, _TYPE_B = 0, 3  # BrTy of InListPassiveTarget
_FSDI = 5  # the chip's own blocks are of 64 bytes
_CID = 1  # what the chip gives to type B cards
_AIR_US = 100_000.0  # between two frames: enough for any card to be ready again
_WAKING_EDGES = 5
_FOREVER = 0xFF
_MAX_DATA = 262  # DataIn and DataOut of one InDataExchange (UM 7.3.8)
_MAX_APDU = 65544  # what the simulator collects of a chained command, bytes
_BAUD = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600, 1288000)


class SyntaxFault(Exception):
    """The chip answers with the error frame."""


class Pending(Exception):
    """The chip works on the command; no answer yet."""


class PN532Chip:
    """A PN532 before a `Field`, with `faults` on the wire to its host."""

    def __init__(self, field: Field, faults: Faults | None = None) -> None:
        self.field = field
        self.faults = faults or Faults()
        self.commands: dict[int, int] = {}  # how often each command code was taken
        self._handlers: dict[int, Callable[[bytes], bytes]] = {
            0x00: self._diagnose,
            0x02: lambda data: _FIRMWARE,
            0x04: self._get_general_status,
            0x06: self._read_register,
            0x08: self._write_register,
            0x0C: lambda data: bytes((0xFF, 0x3F, 0x01)),  # ReadGPIO: all inputs high
            0x0E: lambda data: b"",  # WriteGPIO
            0x10: self._set_serial_baud_rate,
            0x12: self._set_parameters,
            0x14: self._sam_configuration,
            0x16: self._power_down,
            0x32: self._rf_configuration,
            0x40: self._in_data_exchange,
            0x42: self._in_communicate_thru,
            0x44: self._in_deselect,
            0x4A: self._in_list_passive_target,
            0x4E: self._in_psl,
            0x50: lambda data: bytes((TIMEOUT,)),  # InATR: no NFC-DEP target here
            0x52: self._in_release,
            0x54: self._in_select,
        }
        self.power_cycle()

    def power_cycle(self) -> None:
        """Supply off and on: everything the host had set is gone."""
        self._sleep()
        self.baud = 115200
        self._next_baud: int | None = None
        self._decoder = frames.Decoder()
        self._registers: dict[int, int] = {}
        self._parameters = _PARAMETERS_AT_RESET
        self._passive_retries = _FOREVER
        self._last_error = OK
        self._last_response = b""
        self._outgoing = b""  # what the host has chained of a command so far
        self._incoming = b""  # what of a response the host has not fetched yet
        self._waiting: bytes | None = None  # a poll without an end
        self._late = b""  # an answer that the chip still works on
        self._looks = 0  # in vain, until it is there
        self._air_us = 0.0
        self._forget_targets()
        self.field.power(False)

    def _sleep(self) -> None:
        self.mode = ASLEEP
        self._edges = 0

    def wake(self) -> None:
        """Chip select or address on the bus wakes the chip as rising edges on HSU do."""
        if self.mode == ASLEEP:
            self.mode = LOW_VBAT
            self._decoder.reset()

    def feed(self, data: bytes) -> bytes:
        """Take bytes from the host; return the bytes that the chip sends now."""
        out = b""
        if self.mode == ASLEEP:
            data = self._woken_by(data)
        for kind, payload in self._decoder.decode(data):
            if kind == frames.DATA and payload[0] == frames.TO_CHIP:
                out += self._take(payload[1:])
            elif kind == frames.ACK_FRAME:
                self._host_ack()
            elif kind == frames.NACK_FRAME and not (self._waiting or self._late):
                out += self.faults.answer(self._last_response) if self._last_response else b""
        return out

    def _woken_by(self, data: bytes) -> bytes:
        # The fifth rising edge wakes the chip (UM 3.1.3.3); the byte that has it is lost.
        for i, byte in enumerate(data):
            line = byte << 1 | 0x200  # start bit, data from the low end, stop bit
            self._edges += (line & ~(line << 1)).bit_count()
            if self._edges >= _WAKING_EDGES:
                self.wake()
                return data[i + 1 :]
        return b""

    def idle(self) -> bytes:
        """Time passes; return what the chip sends by itself."""
        self._decoder.gap()  # UM: an unfinished frame is given up after 89 ms
        if self._late:
            self._looks -= 1
            if self._looks >= 0:
                return b""
            answer, self._late = self._late, b""
            return answer
        if self._waiting is None or not self.field.cards:
            return b""
        command, self._waiting = self._waiting, None
        return self._respond(command)

    # The host link, UM 6.2.1.

    def _take(self, command: bytes) -> bytes:
        if not command:
            return self.faults.ack(frames.ACK) + self.faults.answer(frames.ERROR)
        if self.mode == LOW_VBAT and command[0] not in (0x02, 0x14):
            return b""
        if self.faults.take("deaf"):
            return b""
        self._waiting = None
        self._late = b""
        self.commands[command[0]] = self.commands.get(command[0], 0) + 1
        ack = self.faults.ack(frames.ACK)
        if self.faults.take("zombies"):
            return ack
        return ack + self._respond(command)

    def _respond(self, command: bytes) -> bytes:
        try:
            handler = self._handlers.get(command[0])
            if handler is None:
                raise SyntaxFault
            answer = bytes((frames.TO_HOST, command[0] + 1)) + handler(command[1:])
            self._last_response = frames.encode(answer)
        except Pending:
            self._waiting = command
            return b""
        except (SyntaxFault, IndexError):
            self._last_response = frames.ERROR
        answer = self.faults.answer(self._last_response)
        if answer and self.faults.take("late"):
            self._late, self._looks = answer, self.faults.late_looks
            return b""
        return answer

    def _host_ack(self) -> None:
        self._waiting = None
        self._late = b""
        if self._next_baud is not None:
            self.baud, self._next_baud = self._next_baud, None

    # Commands that concern the chip, UM 7.2.

    def _diagnose(self, data: bytes) -> bytes:
        test = data[0]
        if test == 0x00:  # communication line: echo
            return data
        if test == 0x06:  # attention request: is the card still there?
            card = self._selected
            if card is None:
                return bytes((NOT_ACCEPTABLE,))
            return bytes((OK if card in self.field.cards else TIMEOUT,))
        if test in (0x01, 0x02, 0x07):  # ROM, RAM, antenna
            return bytes((OK,))
        if test == 0x04:  # polling, 100 % failed
            return bytes((0x80,))
        raise SyntaxFault

    def _get_general_status(self, data: bytes) -> bytes:
        out = bytes((self._last_error, int(self.field.on), len(self._targets)))
        for tg in sorted(self._targets):
            out += bytes((tg, 0x00, 0x00, 0x00))  # 106 kbit/s both ways, type A
        return out + b"\x00"  # SAM

    def _read_register(self, data: bytes) -> bytes:
        self._even(data, 2)
        return bytes(
            self._registers.get(data[i] << 8 | data[i + 1], 0) for i in range(0, len(data), 2)
        )

    def _write_register(self, data: bytes) -> bytes:
        self._even(data, 3)
        for i in range(0, len(data), 3):
            self._registers[data[i] << 8 | data[i + 1]] = data[i + 2]
        return b""

    def _set_serial_baud_rate(self, data: bytes) -> bytes:
        if data[0] >= len(_BAUD):
            raise SyntaxFault
        self._next_baud = _BAUD[data[0]]  # in force after the host's ACK
        return b""

    def _set_parameters(self, data: bytes) -> bytes:
        self._parameters = data[0]
        return b""

    def _sam_configuration(self, data: bytes) -> bytes:
        if not 1 <= data[0] <= 4:
            raise SyntaxFault
        self.mode = NORMAL
        return b""

    def _power_down(self, data: bytes) -> bytes:
        if data[0]:  # some wake-up source is needed
            self._sleep()
        self.field.power(False)
        self._forget_targets()
        return bytes((OK if data[0] else INVALID_PARAMETER,))

    def _rf_configuration(self, data: bytes) -> bytes:
        item, values = data[0], data[1:]
        if item == 0x01:
            self._rf(bool(values[0] & 0x01))
        elif item == 0x05:
            self._passive_retries = values[2]
        elif item not in (0x02, 0x04, 0x0A, 0x0B, 0x0C, 0x0D):
            raise SyntaxFault
        return b""

    # Commands that concern cards, UM 7.3.

    def _in_list_passive_target(self, data: bytes) -> bytes:
        max_tg, br_ty = data[0], data[1]
        if not 1 <= max_tg <= 2 or br_ty > 4:
            raise SyntaxFault
        self._forget_targets()
        self._rf(True)
        wanted = data[2:]
        found: list[Card] = []
        if br_ty == _TYPE_A:
            cards = [c for c in self.field.cards if c.kind == "A"]
            found = [c for c in cards if not wanted or c.uid == _plain_uid(wanted)]
        elif br_ty == _TYPE_B:
            afi = wanted[0]
            found = [c for c in self.field.cards if c.kind == "B" and afi in (0, c.app_data[0])]
        if not found and self._passive_retries == _FOREVER:
            raise Pending
        out = bytes((min(len(found), max_tg),))
        for tg, card in enumerate(found[:max_tg], 1):
            self._targets[tg] = on_air(self.field, card)
            self._selected_tg = tg
            out += bytes((tg,)) + self._activate(self._targets[tg])
        return out

    def _activate(self, picc: Picc) -> bytes:
        card = picc.card
        if card.kind == "B":
            attrib = bytes((0x1D, *card.uid, 0x00, _FSDI, card.protocol_info[1] & 0x0F, _CID))
            self._on_air(picc, b"\x05\x00\x08")
            answer = self._on_air(picc, attrib) or b""
            return card.atqb + bytes((len(answer),)) + answer
        out = card.sens_res + bytes((card.sel_res, len(card.uid))) + card.uid
        picc.state = ACTIVE
        if card.sel_res & 0x20 and self._parameters & _AUTOMATIC_RATS:
            picc.start_protocol(_FSDI)
            out += card.ats
        return out

    def _in_data_exchange(self, data: bytes) -> bytes:
        tg, more, part = data[0] & 0x3F, data[0] & MORE, data[1:]
        if tg not in self._targets:
            return self._status(NOT_ACCEPTABLE)
        card = self._targets[tg].card
        self._selected_tg = tg
        if len(part) > _MAX_DATA or len(self._outgoing) + len(part) > _MAX_APDU:
            return self._status(BUFFER_TOO_SMALL)
        if card not in self.field.cards:
            self._outgoing = self._incoming = b""
            return self._status(TIMEOUT)
        if self._incoming and not part and not more:
            return self._next_part()
        self._incoming = b""
        self._outgoing += part
        if more:
            return self._status(OK)
        command, self._outgoing = self._outgoing, b""
        try:
            self._incoming = self.field.exchange(card, command)
        except CardLeft:
            return self._status(TIMEOUT)
        return self._next_part()

    def _next_part(self) -> bytes:
        part, self._incoming = self._incoming[:_MAX_DATA], self._incoming[_MAX_DATA:]
        return self._status(MORE if self._incoming else OK) + part

    def _in_communicate_thru(self, data: bytes) -> bytes:
        picc = self._targets.get(self._selected_tg)
        answer = None if picc is None else self._on_air(picc, data)
        if answer is None:
            return self._status(TIMEOUT)
        return self._status(OK if answer else CRC_ERROR) + answer

    def _on_air(self, picc: Picc, data: bytes) -> bytes | None:
        """Send one frame; the answer without its CRC, b"" if that is wrong, None for silence."""
        if picc.card not in self.field.cards:
            return None
        self._air_us += _AIR_US
        heard = picc.receive(picc.with_crc(data), self._air_us)
        if heard is None:
            return None
        answer = heard[1].data[:-2]
        return answer if picc.with_crc(answer).data == heard[1].data else b""

    def _in_deselect(self, data: bytes) -> bytes:
        return self._status(OK if not data[0] or data[0] in self._targets else NOT_ACCEPTABLE)

    def _in_select(self, data: bytes) -> bytes:
        if data[0] not in self._targets:
            return self._status(NOT_ACCEPTABLE)
        self._selected_tg = data[0]
        return self._status(OK if self._selected in self.field.cards else TIMEOUT)

    def _in_psl(self, data: bytes) -> bytes:
        return self._status(OK if data[0] in self._targets else NOT_ACCEPTABLE)

    def _in_release(self, data: bytes) -> bytes:
        if data[0] and data[0] not in self._targets:
            return self._status(NOT_ACCEPTABLE)
        if data[0]:
            del self._targets[data[0]]
        else:
            self._forget_targets()
        return self._status(OK)

    @property
    def _selected(self) -> Card | None:
        picc = self._targets.get(self._selected_tg)
        return None if picc is None else picc.card

    def _forget_targets(self) -> None:
        self._targets: dict[int, Picc] = {}
        self._selected_tg = 0
        self._outgoing = b""
        self._incoming = b""

    def _rf(self, on: bool) -> None:
        if not on:
            self._forget_targets()
        self.field.power(on)

    def _status(self, status: int) -> bytes:
        self._last_error = status & 0x3F
        return bytes((status,))

    @staticmethod
    def _even(data: bytes, size: int) -> None:
        if not data or len(data) % size:
            raise SyntaxFault


def _plain_uid(initiator_data: bytes) -> bytes:
    # UIDs of 7 and 10 bytes are given with a cascade tag before each part (ISO/IEC 14443-3).
    parts = [initiator_data[i : i + 4] for i in range(0, len(initiator_data), 4)]
    return b"".join(p[1:] if p[0] == 0x88 and len(parts) > 1 else p for p in parts)
