"""A unit's modem and the mobile network behind it: the bench's modem on the simulated clock."""

import asyncio
import datetime
import random
from collections.abc import Callable
from typing import Any

from flagfall_host.bench.modem import BenchModem, ModemSettings
from flagfall_host.simulation.air import Connection
from flagfall_host.simulation.faults import Faults, strikes
from flagfall_host.simulation.fibers import settle, within
from flagfall_host.simulation.story import Story

_ANSWER_S = 0.02
_CONNECT_S = 0.15
_STEP_S = 1.0
_CUT_BYTES = (1_200, 3_200)  # a call whose carrier goes has sent so many: mostly records
_MODELS = ("SIM7600", "A7670", "EC25")
_EPOCH = datetime.datetime(2000, 1, 1)  # noqa: DTZ001 - the modem's own UTC
GATEWAYS = "gateways"  # the name that units dial: any gateway that listens answers


class Radio:
    """What outlives a unit's power: modem, SIM card, coverage. `ppp` and the port are the unit's.

    `utc_s()` is the network's time, seconds since 2000.
    """

    def __init__(
        self,
        unit_id: str,
        chance: random.Random,
        faults: Faults,
        story: Story,
        utc_s: Callable[[], int],
    ) -> None:
        self.unit_id = unit_id
        self.faults = faults
        self.connection: Connection | None = None  # the newest
        self.calls = 0
        self._chance = chance
        self._story = story
        self._loop: Any = asyncio.get_running_loop()
        self.modem = BenchModem(
            ModemSettings(
                model=chance.choice(_MODELS),
                powered=False,
                utc=lambda: _EPOCH + datetime.timedelta(seconds=utc_s()),
            )
        )
        self.modem.carrier = self._carrier
        self.port = ModemPort(self.modem)

    def _hits(self, fault: str) -> bool:
        if not strikes(self._chance, self.faults, fault, self._story.strike):
            return False
        self._story.tell(self.unit_id, fault.replace("_", " "))
        return True

    # --- what the unit's power does --------------------------------------------------------

    def power_goes(self) -> None:
        """The unit's power is the modem's."""
        if self.modem.on:
            self.modem.press_key(5_000)

    async def press_key(self, ms: int) -> None:
        self.modem.press_key(ms)
        if self.modem.settings.silent and not self.modem.on:
            self.modem.settings.silent = False  # a modem that hangs is helped by that

    # --- the network -------------------------------------------------------------------------

    def _carrier(self, up: bool) -> None:
        if up or self.connection is None:
            return
        late = self._hits("old_connection")
        self.connection.vanish(self._chance.uniform(1, 120) if late else 0.0)
        self.connection = None

    def _cut(self) -> None:
        if self.modem.online:
            self._story.strike("radio_cut")
            self.modem.lose_carrier()

    def heal(self, calm: Faults) -> None:
        self.faults = calm
        self.modem.settings.silent = False
        self.modem.settings.register_after = 2

    async def connect(self, host: str, limit_ms: int) -> Connection:
        """To any gateway that listens. Raises OSError."""
        await asyncio.sleep(_CONNECT_S)
        if not self.modem.online:
            raise OSError("no call")
        if self._hits("radio_gone"):
            self._gone()
            raise OSError(f"{host}: no answer")
        listening = self._loop.listening(host)
        if not listening:
            raise OSError(f"{host}: refused")
        self.calls += 1
        factory = self._chance.choice(listening)
        self.connection = connection = Connection(factory, self.unit_id)
        self._misfortunes(connection)
        return connection

    def _misfortunes(self, connection: Connection) -> None:
        chance, loop = self._chance, self._loop
        if chance.random() < self.faults.radio_cut:
            connection.cut_after = chance.randrange(*_CUT_BYTES)
            connection.on_cut = self._cut
        if self._hits("radio_stall"):
            loop.call_later(chance.uniform(0.1, 1.0), connection.stall, chance.uniform(2, 60))
        if self._hits("modem_hangs"):
            self.modem.settings.silent = True

    def _gone(self) -> None:
        """No coverage, for hours."""
        modem = self.modem
        modem.settings.register_after = None
        modem.lose_carrier()
        self._loop.call_later(self._chance.uniform(1_800, 3 * 3_600), self._back)

    def _back(self) -> None:
        self.modem.settings.register_after = 2


class ModemPort:
    """The unit's UART to the modem: `read`, `write`, `discard` of any board's serial port."""

    def __init__(self, modem: BenchModem) -> None:
        self._modem = modem
        self._came = bytearray()
        self._waiter: asyncio.Future[None] | None = None

    async def read(self, n: int, timeout_ms: int) -> bytes:
        self._came += self._modem.idle()
        if not self._came and timeout_ms > 0:
            self._waiter = waiter = asyncio.get_running_loop().create_future()
            await within(waiter, timeout_ms / 1_000)
        data = bytes(self._came[:n])
        del self._came[:n]
        return data

    async def write(self, data: bytes) -> None:
        answer = self._modem.feed(bytes(data))
        if answer:
            asyncio.get_running_loop().call_later(_ANSWER_S, self._arrive, answer)

    def _arrive(self, data: bytes) -> None:
        self._came += data
        settle(self._waiter)

    def discard(self) -> None:
        self._came.clear()


class Ppp:
    """The call's data, as boards/bench/mobile_network.py has it."""

    def __init__(self, radio: Radio) -> None:
        self._radio = radio
        self._up = False

    async def up(self, _auth: str, user: str, password: str, limit_ms: int) -> None:
        port = self._radio.port
        await port.write(f"LOGIN {user} {password}\n".encode())
        said = b""
        for _ in range(int(limit_ms / 1_000 / _STEP_S)):
            said += await port.read(64, int(_STEP_S * 1_000))
            if b"\n" in said:
                break
        self._up = said.startswith(b"IP ")
        if not self._up:
            raise OSError("no address from the network")

    async def alive(self) -> bool:
        self._up = self._up and self._radio.modem.online
        return self._up

    async def connect(self, host: str, _port: int, limit_ms: int) -> Connection:
        return await self._radio.connect(host, limit_ms)

    async def down(self) -> None:
        self._up = False
