"""The unit's keys, each labelled with the letter that presses it, and the digits typed so far."""

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.message import Message
from textual.widgets import Button, Static

from flagfall_host.bench.drive.words import Words

# letter on the keyboard, word of the label, key of the unit
KEYS = (
    ("s", "SIGN", "SIGN"),
    ("h", "HIRE", "HIRED"),
    ("p", "STOP", "STOP"),
    ("e", "EXTRA", "EXTRA"),
    ("c", "CASH", "CASH"),
    ("k", "CARD", "CARD"),
    ("r", "PRINT", "PRINT"),
    ("f", "FREE", "FOR_HIRE"),
)
_TAKES_NUMBER = ("SIGN", "EXTRA")
_LONGEST = 8  # digits


class Keypad(Vertical):
    """Posts `Pressed` for each key, with the number typed before it where it takes one."""

    class Pressed(Message):
        def __init__(self, key: str, text: str) -> None:
            super().__init__()
            self.key = key
            self.text = text

    def __init__(self, words: Words) -> None:
        super().__init__(id="keypad")
        self._words = words
        self._typed = ""
        self._hidden = False
        self.border_title = words("keys")

    def compose(self) -> ComposeResult:
        yield Static(id="typed")
        with Container(id="keys"):
            for letter, name, key in KEYS:
                label = Text.assemble((f"{letter.upper()} ", "bold #ffd60a"), self._words(name))
                button = Button(label, id=f"key-{key}", classes="key")
                button.can_focus = False
                yield button

    def on_mount(self) -> None:
        self._show()

    def type(self, digit: str) -> None:
        """One more digit; an empty text takes the last one back."""
        self._typed = (self._typed + digit)[:_LONGEST] if digit else self._typed[:-1]
        self._show()

    def hide(self, hidden: bool) -> None:
        """Whether stars stand for what is typed: the unit asks for a PIN."""
        if hidden != self._hidden:
            self._hidden = hidden
            self._show()

    def press(self, key: str) -> None:
        """Press a key of the unit."""
        text = ""
        if key in _TAKES_NUMBER:
            text, self._typed = self._typed, ""
            self._show()
        self.post_message(self.Pressed(key, text))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.press((event.button.id or "").removeprefix("key-"))

    def _show(self) -> None:
        shown = ("*" * len(self._typed) if self._hidden else self._typed) or "-"
        line = Text.assemble(
            (f"{self._words('typed')}: ", "#7d858f"), (f"{shown:<10}", "bold #64d2ff"),
            (self._words("digits"), "#4a505a"),
        )  # fmt: skip
        self.query_one("#typed", Static).update(line)
