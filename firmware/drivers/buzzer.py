# The buzzer: a passive piezo on a PWM pin.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Approved and declined are the success and alert tones of EMV Contactless Book A (user
# interface): one beep of 500 ms at 1500 Hz, two of 200 ms at 750 Hz. The figures are those that
# readers commonly have; they were not compared with the Book itself. "read" is our own: the card
# can go, but nothing is decided yet, so it must not sound like either.

import asyncio

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_HALF = const(32768)  # duty of 50 %, the loudest
_ALERT = ((750, 200), (0, 200), (750, 200))
TONES = {  # name: (Hz, or 0 for silence; ms)
    "read": ((1500, 80),),
    "approved": ((1500, 500),),
    "declined": _ALERT,
    "again": _ALERT,
    "refused": ((400, 150),),
}


class Buzzer:
    """`tone(name)` starts a tone and returns at once; a newer tone replaces an older one.

    `pwm` as machine.PWM; `run()` must run beside the unit.
    """

    def __init__(self, pwm, sleep_ms=None):
        self._pwm = pwm
        self._sleep_ms = sleep_ms or getattr(asyncio, "sleep_ms", None)
        self._next = None
        self._some = asyncio.Event()

    def tone(self, name):
        """Names that are not known stay silent."""
        self._next = TONES.get(name)
        self._some.set()

    async def run(self):
        """Play for ever."""
        while True:
            await self._some.wait()
            self._some.clear()
            for hertz, ms in self._next or ():
                if hertz:
                    self._pwm.freq(hertz)
                self._pwm.duty_u16(_HALF if hertz else 0)
                await self._sleep_ms(ms)
                if self._some.is_set():
                    break
            self._pwm.duty_u16(0)
