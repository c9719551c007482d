# A 4G modem on a UART: power key, AT commands, SIM, network, time, and the call that carries PPP.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# 3GPP TS 27.007 and ITU-T V.250. What differs between modems is in flagfall/modem/models.py. No
# policy here: each step works or raises a ModemError that names the rung of the ladder
# (flagfall/modem/ladder.py) it failed on. Waits for the modem's answers are real time; waits for
# the world (boot, registration) are the board's.

import asyncio
from time import ticks_add, ticks_diff, ticks_ms

from flagfall.modem import answers, at, ladder, models
from micropython import const

_READ = const(128)
_POLL_MS = const(20)
_LIMIT_MS = const(1000)  # most commands answer within 300 ms
_SLOW_LIMIT_MS = const(10000)  # those that ask the SIM or the radio (TS 27.007 names none)
_DIAL_LIMIT_MS = const(30000)
_WAKE_LIMIT_MS = const(300)
_WAKE_TRIES = const(3)
_BOOT_STEP_MS = const(1000)
_BOOT_GRACE = const(10)  # steps beyond the model's own boot time
_GUARD_MS = const(1100)  # silence before and after +++ (V.250 6.2.9: 1 s)
_SIM_TRIES = const(10)  # the SIM comes up some seconds after the AT port
_REGISTER_TRIES = const(90)
_STEP_MS = const(1000)
_LINES = const(16)  # most lines that an answer of ours has
_NOTICES = const(8)  # unsolicited lines kept to be shown


class ModemError(Exception):
    """A step failed. `rung`: of the ladder."""

    def __init__(self, text, rung):
        super().__init__(text)
        self.rung = rung


class Silent(ModemError):
    """The modem does not answer at all."""

    def __init__(self, text):
        super().__init__(text, ladder.POWER)


class CommandFailed(ModemError):
    """The modem said ERROR or the like, which `answer` is."""

    def __init__(self, command, answer):
        super().__init__("%s: %s" % (command.split("=")[0], answer), ladder.RADIO)
        self.answer = answer


class SimFault(ModemError):
    """No SIM card, or it does not let us in: somebody must come. `text` is for the workshop."""

    def __init__(self, text):
        super().__init__(text, ladder.POWER)


class NoNetwork(ModemError):
    """Not registered: no coverage, or refused."""

    def __init__(self, text):
        super().__init__(text, ladder.RADIO)


class DialFailed(ModemError):
    """The network does not take the call."""

    def __init__(self, text):
        super().__init__(text, ladder.PPP)


class Modem:
    """On `port` (read, write, discard). `press_key(ms)` is a coroutine that presses the power
    key, `sleep_ms(ms)` one that waits on the board's clock."""

    def __init__(self, port, press_key, sleep_ms, model=models.ANY, guard_ms=_GUARD_MS):
        self._port = port
        self._press_key = press_key
        self._sleep_ms = sleep_ms
        self._reader = at.AtReader()
        self._model = model
        self._guard_ms = guard_ms
        self.name = ""  # as it calls itself
        self.notices = []  # the newest unsolicited lines
        self.data_mode = False  # the line belongs to PPP
        self.presses = 0  # of the power key

    # Talk.

    async def command(self, text, prefix="", limit_ms=_LIMIT_MS, dials=False):
        """Send `text`; return the lines of its answer. Raises CommandFailed, Silent."""
        reader = self._reader
        await self._hear_late_answers()
        reader.expect(text, prefix, dials)
        await self._port.write(text.encode() + b"\r")
        lines = []
        until = ticks_add(ticks_ms(), limit_ms)
        while True:
            kind = reader.next()
            if kind == at.INFO:
                if len(lines) < _LINES:
                    lines.append(reader.text)
            elif kind == at.NOTICE:
                self._note(reader.text)
            elif kind == at.DONE or kind == at.CONNECTED:
                return lines
            elif kind == at.FAILED:
                raise CommandFailed(text, reader.text)
            else:
                left = ticks_diff(until, ticks_ms())
                if left <= 0:
                    reader.close()
                    raise Silent("the modem does not answer %s" % text.split("=")[0])
                data = await self._port.read(_READ, min(left, _POLL_MS))
                if data:
                    reader.feed(data)

    async def _hear_late_answers(self):
        """What is still said to an earlier command is no answer to the next."""
        for _ in range(_LINES):
            data = await self._port.read(_READ, 0)
            if not data:
                return
            self._reader.feed(data)
            while self._reader.next() != at.NOTHING:
                self._note(self._reader.text)

    def _note(self, text):
        self.notices.append(text)
        if len(self.notices) > _NOTICES:
            self.notices.pop(0)

    async def _answers(self, tries=_WAKE_TRIES):
        for _ in range(tries):
            try:
                await self.command("AT", limit_ms=_WAKE_LIMIT_MS)
                return True
            except ModemError:
                self._port.discard()
                self._reader.clear()
        return False

    # Power.

    async def wake(self):
        """Have the modem listen to commands: off or on, in a call or not. Raises Silent."""
        self.data_mode = False
        if not await self._answers():
            await self._escape()
            if not await self._answers():
                await self._switch_on()
        await self._set_up()

    async def _escape(self):
        """It may be in a call that the unit's restart has left over."""
        await asyncio.sleep_ms(self._guard_ms)
        await self._port.write(b"+++")
        await asyncio.sleep_ms(self._guard_ms)
        self._port.discard()
        self._reader.clear()
        try:
            await self.command("ATH")
        except ModemError:
            pass  # there was no call, or nobody is there

    async def _switch_on(self):
        await self._press(self._model.on_ms)
        await self._sleep_ms(self._model.boot_ms)
        for _ in range(_BOOT_GRACE):
            if await self._answers(1):
                return
            await self._sleep_ms(_BOOT_STEP_MS)
        raise Silent("the modem does not come up: supply, power key, or its serial line")

    async def _press(self, ms):
        self.presses += 1
        await self._press_key(ms)

    async def _set_up(self):
        # A second time, because the echo of the first may have met a half-sent word.
        await self.command("ATE0")
        await self.command("AT+CMEE=1")
        if not self.name:
            lines = await self.command("AT+CGMM")
            self.name = lines[0][:32] if lines else "?"
            known = models.of(self.name)
            if known is not models.ANY:
                self._model = known
        for text in self._model.setup:
            await self._try(text)

    async def _try(self, text):
        """A command whose refusal changes nothing."""
        try:
            await self.command(text, limit_ms=_SLOW_LIMIT_MS)
        except CommandFailed as e:
            self._note(str(e))

    async def power_cycle(self):
        """Off and on by the power key. Raises Silent."""
        self.data_mode = False
        await self._press(self._model.off_ms)
        await self._sleep_ms(self._model.down_ms)
        # If it was off before, it is on now: this shorter press then does nothing.
        await self._switch_on()
        await self._set_up()

    async def restart_radio(self):
        """Leave the network and look for it anew."""
        await self.command("AT+CFUN=0", limit_ms=_SLOW_LIMIT_MS)
        await self.command("AT+CFUN=1", limit_ms=_SLOW_LIMIT_MS)

    # SIM and network.

    async def open_sim(self, pin=""):
        """The SIM card lets us in. A PIN is tried once. Raises SimFault."""
        state = None
        for _ in range(_SIM_TRIES):
            state = await self._sim_state()
            if state is not None:
                break
            await self._sleep_ms(_STEP_MS)
        if state is None:
            raise SimFault("no SIM card")
        if state == answers.BLOCKED:
            raise SimFault("the SIM card is blocked: its PUK is needed")
        if state == answers.WANTS_PIN:
            if not pin:
                raise SimFault("the SIM card wants a PIN")
            try:
                await self.command('AT+CPIN="%s"' % pin, limit_ms=_SLOW_LIMIT_MS)
            except CommandFailed:
                raise SimFault("the SIM card does not take the PIN") from None

    async def _sim_state(self):
        try:
            lines = await self.command("AT+CPIN?", "+CPIN:", _SLOW_LIMIT_MS)
        except CommandFailed as e:
            if not answers.sim_missing(e.answer):
                raise
            return None
        for line in lines:
            state = answers.sim(line)
            if state is not None:
                return state
        return None

    async def signal_dbm(self):
        """Signal strength, or None."""
        for line in await self.command("AT+CSQ", "+CSQ:"):
            dbm = answers.signal_dbm(line)
            if dbm is not None:
                return dbm
        return None

    async def register(self):
        """Wait for the network. Raises NoNetwork."""
        state = answers.SEARCHING
        for _ in range(_REGISTER_TRIES):
            for command, prefix in (("AT+CEREG?", "+CEREG:"), ("AT+CREG?", "+CREG:")):
                try:
                    lines = await self.command(command, prefix)
                except CommandFailed:
                    continue  # not every modem knows both
                for line in lines:
                    found = answers.registration(line)
                    if found == answers.REGISTERED:
                        return
                    state = found if found is not None else state
            await self._sleep_ms(_STEP_MS)
        if state == answers.DENIED:
            raise NoNetwork("the network refuses this SIM card")
        raise NoNetwork("no network found")

    async def network_time(self):
        """UTC seconds since 2000 as the network told the modem; None if it has not."""
        command, prefix, local = self._model.time
        try:
            lines = await self.command(command, prefix)
        except CommandFailed:
            return None
        for line in lines:
            seconds = answers.network_time(line, prefix, local)
            if seconds is not None:
                return seconds
        return None

    # The call.

    async def dial(self, apn, extra=()):
        """Open the data call; after it the port carries PPP. `extra`: commands before it, as some
        networks want. Raises DialFailed."""
        for text in extra:
            await self._try(text)
        try:
            await self.command('AT+CGDCONT=1,"IP","%s"' % apn)
            await self.command("ATD*99#", limit_ms=_DIAL_LIMIT_MS, dials=True)
        except CommandFailed as e:
            raise DialFailed("the network does not take the call: %s" % e) from None
        self.data_mode = True

    async def hang_up(self):
        """End the call; the port carries commands again. Raises Silent."""
        if self.data_mode:
            self.data_mode = False
            await self._escape()
        if not await self._answers():
            raise Silent("the modem does not answer after the call")
