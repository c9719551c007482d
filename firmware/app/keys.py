# The driver's keys: what each does in each position. No key needs a second look at the manual.
# MIT licence, (c) 2026 The Flagfall contributors.
#
#   SIGN <driver>   sign in (app/sign_in.py); again without text: sign out (For Hire only)
#   HIRED           begin a trip, or go on after STOP
#   STOP            end of the ride: the fare stands
#   EXTRA <minor>   a supplement, kept apart from the fare
#   CASH, CARD      how the passenger pays
#   PRINT           the receipt again
#   FOR_HIRE        clear the fare; an unpaid trip asks once

import asyncio
import sys

from app.meter import Refused
from flagfall import receipt
from flagfall.journal import schema
from flagfall.meter.taximeter import FOR_HIRE, STOPPED

KEYS = ("SIGN", "HIRED", "STOP", "EXTRA", "CASH", "CARD", "PRINT", "FOR_HIRE")
_OF_THE_METER = ("HIRED", "STOP", "EXTRA", "FOR_HIRE")  # need nothing but the meter
# While a card is waited for, these keys end the waiting (CARD does no more), others do nothing.
# SIGN goes to whoever signs in.
_ENDS_A_TAP = ("CARD", "CASH", "HIRED", "STOP", "FOR_HIRE")


class Keys:
    """Reads the board's keys and acts on them."""

    def __init__(self, board, meter, duty, booking, screen):
        self._board = board
        self._meter = meter
        self._payment = None
        self._receipts = None
        self._duty = duty
        self._booking = booking
        self._screen = screen
        self._sign_in = None
        self._tapping = None  # the task that waits for a card, or for whoever signs in
        self._asking = None  # what it waits with: the payment, or the sign-in
        self._asked = False  # FOR_HIRE was pressed on an unpaid trip
        self._complete = asyncio.Event()  # everything is there that a key may need
        self.listener = None  # takes the keys instead, while the workshop tests them
        self._does = {
            "SIGN": self._sign,
            "HIRED": self._hired,
            "STOP": self._stop,
            "EXTRA": self._extra,
            "CASH": self._cash,
            "CARD": self._card,
            "PRINT": self._print,
            "FOR_HIRE": self._for_hire,
        }

    def attach(self, payment, receipts, sign_in):
        """The rest of the unit is there: from here on every key does what it says."""
        self._payment = payment
        self._receipts = receipts
        self._sign_in = sign_in
        self._complete.set()

    @property
    def tapping(self):
        """Whether a card is waited for, or a payment or a sign-in goes on."""
        return self._tapping is not None

    async def run(self):
        try:
            while True:
                key, text = await self._board.key()
                await self._take(key, text)
        finally:
            # The unit is rebuilt: a payment left running would write where the new journal does.
            if self._tapping is not None:
                self._tapping.cancel()

    async def _take(self, key, text):
        if self.listener is not None:
            self.listener(key)
            return
        action = self._does.get(key)
        if action is None:
            return
        if key not in _OF_THE_METER:
            await self._complete.wait()  # in the first second after a start
        if self._tapping is not None:
            waiting = self._asking.waiting
            if waiting and key == "SIGN" and self._asking is self._sign_in:
                self._sign_in.enter(text)
                return
            if waiting and key not in _ENDS_A_TAP:
                self._screen.tone("refused")
                return
            # The passenger pays otherwise, or the ride goes on: stop asking for a card. What
            # is decided already comes to its end first.
            self._asking.cancel()
            await self._tapping
            if waiting and key == "CARD":
                return
        asked, self._asked = self._asked, False
        try:
            await action(text, asked)
        except Refused as e:
            self._refuse(e)
        self._screen.refresh()

    async def _sign(self, driver, _asked):
        duty = self._duty
        if self._meter.position != FOR_HIRE:
            raise Refused("Finish the trip first")
        if duty.driver and driver in ("", duty.driver):
            await self._receipts.shift()
            self._book_shift(schema.SIGN_OUT, duty.shift, duty.driver)
            duty.driver = ""
            self._screen.say("Signed out")
        elif duty.driver:
            raise Refused("%s is signed in: sign out first", duty.driver)
        else:
            await self._ask_with(self._sign_in, self._begin_shift(driver))
            return
        self._meter.checkpoint()

    async def _begin_shift(self, typed):
        """Runs beside the keys: whoever signs in may be asked for a PIN or a card."""
        duty = self._duty
        try:
            driver = await self._sign_in.driver(typed)
            if driver:
                duty.sign_in(duty.shift + 1, driver)
                self._book_shift(schema.SIGN_IN, duty.shift, duty.driver)
                self._screen.say("Signed in: %s, shift %d", duty.driver, duty.shift)
            else:
                self._screen.say("Sign in")
        except Refused as e:
            self._refuse(e)
        except Exception as e:  # a defect: other keys still work, the workshop reads of it
            sys.print_exception(e)
            self._booking.event(schema.SIGN_IN_REFUSED, repr(e))
            self._screen.say("Sign-in failed: tell the office")
        finally:
            self._tapping = None
        self._meter.checkpoint()
        self._screen.refresh()

    def _refuse(self, why):
        self._screen.say(*why.args)
        self._screen.tone("refused")

    def _book_shift(self, event, shift, driver):
        duty = self._duty
        self._booking.shift(
            shift=shift,
            event=event,
            trips=duty.shift_trips,
            fares=duty.shift_fares,
            card_payments=duty.shift_cards,
            card_amount=duty.shift_card_amount,
            driver=driver,
        )

    async def _hired(self, _text, _asked):
        if not self._duty.driver:
            raise Refused("Sign in first")
        self._meter.hire()
        self._screen.say("")

    async def _stop(self, _text, _asked):
        self._meter.stop()
        off, found = self._meter.discount()
        if off:
            money = receipt.money(off, self._meter.minor_digits)
            self._screen.say("CASH, or CARD %s less (%s)?", money, found["name"])
        else:
            self._screen.say("CASH or CARD?")

    async def _extra(self, text, _asked):
        if not text.isdigit() or not 0 < int(text) <= 100000:
            raise Refused("Enter the supplement first")
        self._meter.supplement(int(text))

    def _must_be_open(self):
        if self._meter.position != STOPPED:
            raise Refused("Press STOP first")
        if self._duty.paid != schema.OPEN:
            raise Refused("Trip is paid")

    async def _cash(self, _text, _asked):
        self._must_be_open()
        self._meter.paid(schema.CASH)
        self._screen.say("Paid in cash")
        await self._receipts.due()

    async def _card(self, _text, _asked):
        self._must_be_open()
        if self._payment is None:
            raise Refused("No card keys or limits loaded: take cash")
        await self._ask_with(self._payment, self._pay_by_card())

    async def _ask_with(self, asking, coroutine):
        self._asking = asking
        self._tapping = asyncio.create_task(coroutine)
        await asyncio.sleep_ms(0)  # it has begun before the next key may end it

    async def _pay_by_card(self):
        """Runs beside the keys, so that the driver can change his mind."""
        try:
            due = self._meter.due - self._meter.discount()[0]
            if await self._payment.take(due, self._meter.utc_offset_s):
                self._meter.paid(schema.CARD)
                await self._receipts.due()
        except Exception as e:  # a defect: the shift goes on, the workshop reads of it
            sys.print_exception(e)
            self._booking.event(schema.READER_FAULT, repr(e))
            self._screen.say("Card payment failed: take cash, tell the office")
        finally:
            self._tapping = None

    async def _print(self, _text, _asked):
        await self._receipts.again()

    async def _for_hire(self, _text, asked):
        if self._meter.position == STOPPED and self._duty.paid == schema.OPEN and not asked:
            self._asked = True
            raise Refused("NOT PAID. CASH or CARD, or FOR HIRE once more")
        self._meter.for_hire()
        self._screen.say("")
