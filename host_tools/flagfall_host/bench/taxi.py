"""One simulated taxi: the unit with its reader, cable, wheel, keys and paper, in one folder."""

from pathlib import Path
from typing import Any

from flagfall_host.bench.cable import Cable
from flagfall_host.bench.cards.card import Card
from flagfall_host.bench.isu import Isu
from flagfall_host.bench.modem import BenchModem, ModemSettings
from flagfall_host.bench.modem_relay import ModemRelay
from flagfall_host.bench.pty_port import PtyPort
from flagfall_host.bench.reader.field import Field
from flagfall_host.bench.reader.pn532 import PN532Chip
from flagfall_host.bench.unit_process import HEAP, UnitProcess
from flagfall_host.bench.wheel import Wheel
from flagfall_host.bench.world import World
from flagfall_host.closing import Closing


class Taxi(Closing):
    """Everything in and around one unit. `k` pulses a kilometre; `utc_s` seconds since 2000.

    With `modem` there is one on the unit's second UART, and `network` behind it. With `slots` the
    unit's program can be updated. With `patience` the reader may take so many times longer to
    answer than a real one, as on a busy machine it does.
    """

    def __init__(
        self,
        folder: Path,
        *,
        k: int,
        utc_s: int,
        seed: str | None = None,
        factor: float = 0,
        heap: str = HEAP,
        isu: Isu | None = None,
        modem: ModemSettings | None = None,
        slots: bool = False,
        patience: int = 1,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.world = World(folder, Wheel(k), utc_s, factor=factor)
        self.field = Field()
        self.chip = PN532Chip(self.field)
        self._reader = PtyPort(self.chip)
        self.cable = Cable(baud=None)
        self._isu = PtyPort(isu) if isu else None
        self.modem: BenchModem | None = None
        if modem is not None:
            self.modem = BenchModem(modem)
            self._modem_port = PtyPort(self.modem)
            self.network = ModemRelay(self.modem)
        self.unit = UnitProcess(
            folder,
            self.world,
            reader=self._reader.path,
            cable=self.cable.unit,
            isu=self._isu.path if self._isu else None,
            modem=self._modem_port.path if self.modem else None,
            relay=self.network.path if self.modem else None,
            seed=seed,
            heap=heap,
            slots=slots,
            patience=patience,
        )

    @property
    def wheel(self) -> Wheel:
        return self.world.wheel

    @property
    def face(self) -> dict[str, Any]:
        return self.world.face

    @property
    def port(self) -> str:
        """The path of the cable's end at the host."""
        return self.cable.host

    def press(self, key: str, text: str = "", *, what: str, **expected: Any) -> None:
        """Press a key and wait until the face shows `expected`."""
        self.world.press(key, text)
        self.world.wait_face(what, **expected)

    def drive(self, speeds: list[int]) -> None:
        """Drive along `speeds` (0.1 km/h, one a second), then stand."""
        self.wheel.drive([*speeds, 0])
        self.world.run(1_000 * len(speeds))

    def stand(self, seconds: int) -> None:
        self.wheel.drive([0])
        self.world.run(1_000 * seconds)

    def hold(self, card: Card) -> None:
        """Hold a card to the reader."""
        self.field.place(card)

    def close(self) -> None:
        self.unit.power_off()
        self.world.close()
        self._reader.close()
        self.cable.close()
        if self._isu:
            self._isu.close()
        if self.modem is not None:
            self._modem_port.close()
            self.network.close()
