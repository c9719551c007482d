# The four lights of a contactless reader: what the passenger looks at while he holds his card.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# EMV Contactless Book A (user interface): the first light blinks while the reader is idle, stands
# while it waits for a card and works on one, all four stand when the card has been read. How long
# each takes (_IDLE_ON_MS to _STEP_MS) is what readers commonly do; it was not compared with the
# Book itself.

import asyncio

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_IDLE_ON_MS = const(200)
_IDLE_OFF_MS = const(4800)
_READ_MS = const(750)  # all four, at least
_STEP_MS = const(125)  # from one light to the next
_SLICE_MS = const(50)

OFF = const(0)
_FIRST = const(0x1)
_ALL = const(0xF)
# state: ((lights, ms), ...); 0 ms stays, the last of a repeating one goes back to the first
_SEQUENCES = {
    "off": ((OFF, 0),),
    "idle": ((_FIRST, _IDLE_ON_MS), (OFF, _IDLE_OFF_MS)),
    "ready": ((_FIRST, 0),),
    "processing": ((_FIRST, 0),),
    "read": ((0x1, _STEP_MS), (0x3, _STEP_MS), (0x7, _STEP_MS), (_ALL, _READ_MS), (OFF, 0)),
    "alert": ((OFF, 0),),
}


class ContactlessLights:
    """`show(state)`: off, idle, ready, processing, read, alert. `run()` beside the unit.

    `lights` are four pins, as machine.Pin, 1 is lit. "read" is seen to its end before the state
    that follows it, as a card is away in a moment; `tone(name)`, where given, is told of "read".
    """

    def __init__(self, lights, tone=None, sleep_ms=None):
        self._lights = lights
        self._tone = tone
        self._sleep_ms = sleep_ms or getattr(asyncio, "sleep_ms", None)
        self._state = "off"
        self._changed = asyncio.Event()
        self._lit = None
        self._light(OFF)

    def show(self, state):
        """Take a state of the reader; unknown ones put the lights out."""
        if state == self._state:
            return
        if state == "read" and self._tone is not None:
            self._tone("read")
        self._state = state
        self._changed.set()

    async def run(self):
        """Light them for ever."""
        while True:
            self._changed.clear()
            playing = self._state
            for lights, ms in _SEQUENCES.get(playing, _SEQUENCES["off"]):
                self._light(lights)
                if not ms:
                    await self._changed.wait()
                    break
                if await self._interrupted(ms, playing):
                    break

    async def _interrupted(self, ms, playing):
        """Wait `ms`; True if another state may take over before."""
        for _ in range(0, ms, _SLICE_MS):
            if self._changed.is_set() and (playing != "read" or self._state == "alert"):
                return True
            await self._sleep_ms(min(_SLICE_MS, ms))
        return False

    def _light(self, lights):
        if lights == self._lit:
            return
        self._lit = lights
        for i, pin in enumerate(self._lights):
            pin.value(lights >> i & 1)
