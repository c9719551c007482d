"""The driver's seat as a textual application. Nothing in it waits for the unit or the office."""

import asyncio
import signal
from collections.abc import Callable
from typing import Any, ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Footer, Static

from flagfall_host.bench.drive.displays import FareDisplay, PassengerDisplay, RoofLight
from flagfall_host.bench.drive.folder import SeatFolder
from flagfall_host.bench.drive.help import HelpPage
from flagfall_host.bench.drive.keypad import KEYS, Keypad
from flagfall_host.bench.drive.office import DRIVER, PIN, Office, yuan
from flagfall_host.bench.drive.paper_roll import PaperRoll
from flagfall_host.bench.drive.reader import ReaderPanel
from flagfall_host.bench.drive.rig import Rig
from flagfall_host.bench.drive.road import Road, Switches
from flagfall_host.bench.drive.wallet import Wallet
from flagfall_host.bench.drive.words import Language, Words
from flagfall_host.depot.languages import ENGLISH
from flagfall_host.errors import FlagfallError

SMALLEST = (108, 38)  # columns, lines
_TICK_S = 0.1
_PEDAL_STEP = 100  # 0.1 km/h


class Seat(App[None]):
    """`folder` keeps the state; `utc_s` and `factor` are those of Rig."""

    CSS_PATH = "seat.tcss"
    TITLE = "Flagfall: the driver's seat"
    ENABLE_COMMAND_PALETTE = False

    class Told(Message):
        """Something came from the unit, in one of the rig's threads."""

        def __init__(self, kind: str, what: Any) -> None:
            super().__init__()
            self.kind = kind
            self.what = what

    def __init__(
        self,
        folder: SeatFolder,
        language: Language = "en",
        *,
        utc_s: int | None = None,
        factor: float = 1,
    ) -> None:
        super().__init__()
        self._words = w = Words(language)
        self.rig = Rig(
            folder,
            lambda kind, what: self._tell(kind, what),
            utc_s=utc_s,
            factor=factor,
            language="zh-CN" if language == "zh" else ENGLISH,
        )
        self.office = Office(folder, self.rig)
        self.face: dict[str, Any] = {}
        self.failure: FlagfallError | None = None  # why the seat had to be left
        self._progress: str | None = ""
        self._answered = 0
        self._busy = False
        self._shown: tuple[object, ...] = ()
        self.fare = FareDisplay(w)
        self.passenger = PassengerDisplay(w)
        self.roof = RoofLight(w)
        self.reader = ReaderPanel(w)
        self.wallet = Wallet(w, folder.cards)
        self.paper = PaperRoll(w)
        self.road = Road(w)
        self.switches = Switches(w)
        self.keypad = Keypad(w)
        self.hint = Static(id="hint")
        for binding in self._bindings_of(w):
            self.bind(
                binding.key,
                binding.action,
                description=binding.description,
                show=binding.show,
                key_display=binding.key_display,
            )

    BINDINGS: ClassVar[list[BindingType]] = []

    @staticmethod
    def _bindings_of(w: Words) -> list[Binding]:
        out = [Binding(k, f"press('{key}')", w(name), show=False) for k, name, key in KEYS]
        out += [Binding(d, f"type('{d}')", d, show=False) for d in "0123456789"]
        out += [
            Binding("backspace", "type('')", "", show=False),
            Binding("up", "pedal(1)", w("gas"), key_display="↑"),
            Binding("down", "pedal(-1)", w("brake"), key_display="↓"),
            Binding("space", "halt", w("halt"), key_display="space"),
            Binding("t", "tap", w("tap"), key_display="T"),
            Binding("x", "tear", w("tear"), key_display="X"),
            Binding("left_square_bracket", "card(-1)", "", show=False),
            Binding("right_square_bracket", "card(1)", "", show=False),
            Binding("w", "power", w("power"), key_display="W"),
            Binding("v", "cable", w("cable"), key_display="V"),
            Binding("n", "paper", "", show=False),
            Binding("l", "cover", "", show=False),
            Binding("d", "drivers", w("drivers"), key_display="D"),
            Binding("o", "pull", w("pull"), key_display="O"),
            Binding("a", "settle", w("settle"), key_display="A"),
            Binding("question_mark", "help", w("help"), key_display="?"),
            Binding("q", "leave", w("quit"), key_display="Q"),
        ]
        return out

    # --- what is seen ----------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        with Horizontal(id="seat"):
            with Vertical(id="dashboard"):
                yield self.roof
                yield self.fare
                yield self.passenger
                yield self.keypad
                yield self.road
            with Vertical(id="around"):
                yield self.reader
                yield self.wallet
                yield self.paper
                yield self.switches
        yield self.hint
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        for ends in (signal.SIGHUP, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(ends, self.exit)
        self.wallet.can_focus = False
        self._draw()
        self.set_interval(_TICK_S, self._tick)
        self._in_thread(self._start, "start")

    def _start(self) -> None:
        try:
            self.rig.start()
        except FlagfallError as e:
            self._tell("failed", e)

    def _tell(self, kind: str, what: Any) -> None:
        self.post_message(self.Told(kind, what))

    def on_seat_told(self, event: Told) -> None:
        """Show what the unit did."""
        kind, what = event.kind, event.what
        if kind == "face":
            self.face = what
        elif kind == "tone":
            self.reader.tone(what)
            if what == "refused":
                self.bell()
            self.wallet.refresh_balances()
        elif kind == "paper":
            self.paper.put(what)
        elif kind == "progress":
            self._progress = what
        elif kind == "power":
            self._progress = None
        elif kind == "office":
            self.switches.said = what
        elif kind == "trouble":
            self.notify(what or self._words("no taxi"), severity="warning", timeout=8)
        elif kind == "failed":
            self.failure = what
            self.exit()
        self._draw()

    def _tick(self) -> None:
        rig = self.rig
        if not rig.held:
            self._answered = rig.apdus
        self.reader.show(
            powered=rig.powered,
            field_on=rig.field_on,
            held=rig.held,
            answered=rig.apdus - self._answered,
            lit=rig.lit,
        )
        printer = (rig.paper_out, rig.cover_open)
        shown = (rig.speed, rig.pedal, rig.powered, rig.port, self.switches.said, printer)
        if shown != self._shown:
            self._shown = shown
            self.road.show(rig.speed, rig.pedal)
            self.switches.show(
                powered=rig.powered, port=rig.port, paper_out=printer[0], cover_open=printer[1]
            )

    def _draw(self) -> None:
        powered = self.rig.powered
        self.fare.show(self.face, powered=powered)
        self.passenger.show(self.face, powered=powered)
        self.keypad.hide(bool(self.face.get("secret")))
        self.roof.show(powered and bool(self.face.get("roof_light")))
        self.hint.update(Text(self._next()))

    def _next(self) -> str:
        """What a newcomer may do now."""
        w, face = self._words, self.face
        if self._progress is not None:
            return w("starting", what=self._progress)
        if not self.rig.powered:
            return w("next power")
        if not face.get("driver"):
            return w("next sign")
        if face["position"] == "FOR HIRE":
            return w("next hire")
        if face["position"] == "HIRED":
            return w("next drive")
        if face["paid"]:
            return w("next free")
        return w("next tap" if self.rig.field_on else "next pay")

    # --- what is done ----------------------------------------------------------------------

    def on_keypad_pressed(self, event: Keypad.Pressed) -> None:
        self.rig.press(event.key, event.text)

    def action_press(self, key: str) -> None:
        self.keypad.press(key)

    def action_type(self, digit: str) -> None:
        self.keypad.type(digit)

    def action_pedal(self, steps: int) -> None:
        self.rig.drive(self.rig.pedal + steps * _PEDAL_STEP)

    def action_halt(self) -> None:
        self.rig.drive(0)

    def action_card(self, steps: int) -> None:
        if steps > 0:
            self.wallet.action_cursor_down()
        else:
            self.wallet.action_cursor_up()

    def action_tap(self) -> None:
        self.rig.tap(self.wallet.chosen())

    def action_tear(self) -> None:
        self.rig.tear(self.wallet.chosen())

    def action_power(self) -> None:
        self.rig.switch()

    def action_cable(self) -> None:
        self._in_thread(lambda: self.rig.cable(not self.rig.port), "cable")

    def action_pull(self) -> None:
        self._in_office(self._pull)

    def action_settle(self) -> None:
        self._in_office(self._settle)

    def action_paper(self) -> None:
        self.rig.take_paper()

    def action_cover(self) -> None:
        self.rig.lift_cover()

    def action_drivers(self) -> None:
        self._in_office(self._send_drivers)

    def action_help(self) -> None:
        self.push_screen(HelpPage(self._words))

    def action_leave(self) -> None:
        self.exit()

    def _in_thread(self, work: Callable[[], None], name: str) -> None:
        self.run_worker(work, name=name, thread=True, exit_on_error=False)

    # --- the office ------------------------------------------------------------------------

    def _in_office(self, work: Callable[[], str]) -> None:
        if self._busy:
            self.notify(self._words("office busy"))
            return
        self._busy = True

        def job() -> None:
            try:
                self._tell("office", work())
            except FlagfallError as e:
                self._tell("office", self._words("trouble"))
                self._tell("trouble", str(e))
            finally:
                self._busy = False

        self._in_thread(job, "office")

    def _send_drivers(self) -> str:
        card = self.wallet.chosen()
        self.office.send_drivers(card.uid)
        return self._words("drivers sent", number=DRIVER, pin=PIN, card=card.name)

    def _pull(self) -> str:
        w = self._words
        done = self.office.pull(
            lambda seq, total: self._tell("office", w("pulling", done=seq, total=total))
        )
        return w("pulled", records=done.records, trips=done.trips, takings=yuan(done.takings))

    def _settle(self) -> str:
        w = self._words
        done = self.office.settle(
            lambda sent, total: self._tell("office", w("settling", done=sent, total=total))
        )
        if done.refused:
            return w("refused", n=done.refused)
        if not done.taps:
            return w("nothing to settle")
        return w("settled", batch=done.batch, taps=done.taps, amount=yuan(done.amount))
