# Signing in: a driver's number alone, or his PIN, his card, or both, as the fleet's list says.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Without a list (flagfall.roster) the number is enough. A list that is damaged is said to be so,
# and the number is enough until the office has sent it again: a driver is not sent home for it.
# Wrong tries are counted over a loss of power, and each makes the next one wait longer: a PIN of
# four digits has only ten thousand.

import asyncio

from app.meter import Refused
from drivers.reader import ReaderError, SeveralCards
from flagfall import roster
from flagfall.journal import schema
from flagfall.roster import RosterError
from micropython import const

_WAIT_MS = const(30000)  # for a card, or for the digits of a PIN
_LOOK_MS = const(300)  # one look for a card; a key is heard between two
_STEP_MS = const(50)
_FREE_TRIES = const(2)  # wrong ones that cost no time
_PAUSE_MS = const(15000)  # after the third; each further one doubles it
_LONGEST_PAUSE_MS = const(300000)


class SignIn:
    """`await driver(typed)` says who signs in. `reader()` gives the card reader."""

    def __init__(self, board, reader, files, duty, booking, screen):
        self._board = board
        self._reader = reader
        self._files = files
        self._duty = duty
        self._booking = booking
        self._screen = screen
        self._wrong_at = board.ticks_ms()  # a restart does not shorten the pause
        self._entered = ""
        self._cancelled = False
        self.waiting = False  # for a card, or for a PIN
        self.reader_lost = None  # told of a fault of the reader, where it also takes payments

    def enter(self, text):
        """SIGN was pressed while something is waited for: digits, or none to give it up."""
        self._entered = text
        self._cancelled = not text

    def cancel(self):
        """The driver wants something else."""
        self._cancelled = True

    async def driver(self, typed):
        """The number of who signs in, by the digits `typed` before SIGN and what he is asked for;
        empty if he gives it up. Raises Refused."""
        self._cancelled = False
        self._entered = ""
        drivers = self._drivers()
        if drivers is None or drivers.mode == roster.NUMBER:
            if not typed:
                raise Refused("Enter your number, then SIGN")
            return typed[:32]
        self._must_pause()
        mode = drivers.mode
        if mode == roster.PIN and not typed:
            raise Refused("Enter your number, then SIGN")
        if mode != roster.PIN and not (mode == roster.PIN_OR_CARD and typed):
            typed = await self._by_card(drivers)
            if typed and mode != roster.CARD_AND_PIN:
                return typed
            if mode == roster.PIN_OR_CARD:
                typed = self._entered
        return await self._by_pin(drivers, typed) if typed else ""

    def _drivers(self):
        try:
            return self._files.drivers()
        except RosterError as e:
            self._booking.event(schema.DAMAGED_RECORD, "%s: sign-in by number" % e)
            return None

    # What is shown or known.

    async def _by_pin(self, drivers, number):
        self._entered = ""
        self._screen.secret(True)
        self._screen.say("PIN of %s, then SIGN", number)
        until = self._board.ticks_ms() + _WAIT_MS
        self.waiting = True
        try:
            while not self._entered and not self._cancelled and self._board.ticks_ms() < until:
                await asyncio.sleep_ms(_STEP_MS)
        finally:
            self.waiting = False
            self._screen.secret(False)
        pin, self._entered = self._entered, ""
        if not pin:
            return ""
        self._screen.say("One moment")
        if drivers.knows(number):
            if drivers.is_pin(number, await _made(drivers.pin_hash(number, pin))):
                return self._right(number)
            what = "PIN of %s" % number
        else:
            # As slow as a known one. It may be a PIN that came first: not in the journal.
            await _made(drivers.card_hash(pin.encode()))
            what = "a number that is not in the list"
        self._wrong(what)
        raise Refused("Wrong number or PIN")

    async def _by_card(self, drivers):
        uid = await self._card_held(drivers.mode)
        if not uid:
            return ""
        number = drivers.driver_of(await _made(drivers.card_hash(uid)))
        if number:
            return self._right(number) if drivers.mode != roster.CARD_AND_PIN else number
        self._wrong("a card that is not in the list")
        raise Refused("Not a driver's card of this taxi")

    async def _card_held(self, mode):
        """The UID of the card that is held to the reader; None if none came."""
        either = mode == roster.PIN_OR_CARD
        reader = self._reader()
        try:
            await reader.open()
            await reader.field(True)
            self._screen.reader("ready")
            if either:
                self._screen.say("Hold your driver's card, or number, SIGN")
            else:
                self._screen.say("Hold your driver's card")
            self.waiting = True
            uid = await self._look(reader)
            if uid:
                self._screen.reader("read")
                self._screen.say("One moment")
            return uid
        except ReaderError as e:
            self._booking.event(schema.READER_FAULT, str(e))
            if self.reader_lost is not None:
                self.reader_lost(str(e))
            if either:
                raise Refused(
                    "Card reader fault: %s. To sign in enter your number, then SIGN", str(e)
                ) from None
            raise Refused("Card reader fault: %s. To sign in tell the office", str(e)) from None
        finally:
            self.waiting = False
            await _put_out(reader)
            self._screen.reader("idle")

    async def _look(self, reader):
        until = self._board.ticks_ms() + _WAIT_MS
        while not self._entered and not self._cancelled and self._board.ticks_ms() < until:
            try:
                target = await reader.activate(_LOOK_MS)
            except SeveralCards:
                self._screen.say("More than one card. Hold one.")
                await asyncio.sleep_ms(_STEP_MS)
                continue
            if target is None:
                continue
            if target.kind == "A" and not roster.changing_uid(target.uid):
                return bytes(target.uid)
            # A phone, or a card with a number for each day: it never says the same twice.
            self._screen.say("This is no driver's card. Hold yours.")
            await reader.release()
            await asyncio.sleep_ms(_STEP_MS)
        return None

    # Right and wrong.

    def _right(self, number):
        self._duty.wrong_tries = 0
        return number

    def _wrong(self, what):
        duty = self._duty
        duty.wrong_tries += 1
        self._wrong_at = self._board.ticks_ms()
        self._booking.event(schema.SIGN_IN_REFUSED, "%s, try %d" % (what, duty.wrong_tries))

    def _must_pause(self):
        doublings = self._duty.wrong_tries - _FREE_TRIES - 1
        if doublings < 0:
            return
        pause = min(_PAUSE_MS << min(doublings, 8), _LONGEST_PAUSE_MS)
        left = self._wrong_at + pause - self._board.ticks_ms()
        if left > 0:
            raise Refused("Too many wrong tries: wait %d s, then SIGN", (left + 999) // 1000)


async def _made(hash):
    """The hash, everything else going on meanwhile."""
    while hash.work():
        await asyncio.sleep_ms(0)
    return hash.made


async def _put_out(reader):
    try:
        await reader.field(False)
    except ReaderError:
        pass  # the next user opens it anew
