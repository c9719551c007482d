"""The page that `?` shows: what every key does, and what is worth trying."""

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from flagfall_host.bench.drive.words import Words

_HEAD, _KEY, _DIM = "bold #64d2ff", "bold #ffd60a", "#9aa2ad"

_WHAT = (
    "A taximeter that takes cards, as the driver has it before him. The unit runs its real "
    "firmware; road, cards, paper, cable and acquirer are simulated. Nothing here is real money.",
    "司机面前的一台能刷卡的计价器。设备运行的是真实固件；道路、卡片、小票、数据线和收单行都是"
    "模拟的。这里没有真钱。",
)
_HEADS = (
    ("A trip", "走完一趟"),
    ("Every key", "全部按键"),
    ("Worth trying", "可以试试"),
)
_TRIP = (
    ("1 2 3 S", "sign in", "签到"),
    ("H", "a passenger gets in", "乘客上车"),
    ("↑ ↑ ↑ ↑", "drive, and watch the fare grow", "行驶，看车费增加"),
    ("space  P", "brake, and stop the meter", "刹停，停止计价"),
    ("K  T", "ask for a card, and tap the one in the hand", "要求刷卡，刷手中的卡"),
    ("F", "free for the next passenger", "恢复空车"),
)
_KEYS = (
    (
        "0-9",
        "the number for S (yours) and for E (the supplement in fen: 500 is 5.00)",
        "S 用的工号；E 用的附加费（单位为分：500 即 5.00 元）",
    ),
    (
        "S",
        "sign in with a number; without one: sign out, the summary of the shift prints",
        "输入工号后签到；不输数字：签退并打印交班小结",
    ),
    ("H P F", "HIRED, STOP, FOR HIRE", "载客、停车、空车"),
    ("C K E R", "cash; card; a supplement; the receipt again", "现金；刷卡；附加费；重打小票"),
    ("↑ ↓ space", "faster, slower, brake to a stop", "加速、减速、刹停"),
    ("[ ]", "another card into the hand (or the mouse)", "换一张卡（或用鼠标）"),
    (
        "T",
        "hold the card to the reader until it beeps; T again takes it away before",
        "把卡放在读卡区直到响声；再按 T 提前拿走",
    ),
    (
        "X",
        "hold it, and tear it away at the worst moment: then tap the same card again",
        "刷卡并在最坏的时刻抽走：然后再刷同一张卡",
    ),
    (
        "W",
        "the power switch, at any moment: what was paid is not lost",
        "电源开关，随时可按：已付的不会丢失",
    ),
    ("V", "pull the cable out, or plug it in", "拔下或插上数据线"),
    (
        "N L",
        "take the printer's paper out, or its cover up; and back",
        "取出打印纸，打开机盖；再按恢复",
    ),
    (
        "D",
        "the office sends a list of drivers: from then on S wants a PIN or the card in the hand",
        "办公室下发司机名单：此后按 S 要密码，或手中的这张卡",
    ),
    (
        "O A",
        "the office pulls the records over the cable; settles them with the acquirer",
        "办公室经数据线采集记录；与收单行结算",
    ),
    ("? Q", "this page; leave (the next start goes on from here)", "本页；离开（下次从这里继续）"),
)
_TRY = (
    (
        "Tear a card away (X), then tap another one. Tap the expired one. Cut the power (W) while "
        "a card is read, switch it on again, press K. Pull the cable out (V) while the office "
        "pulls (O). The port beside “cable” is real: flagfall unit info --port PORT --fleet "
        "FOLDER/fleet in another window talks to this unit."
    ),
    (
        "抽走一张卡（X），再刷另一张。刷那张过期的卡。读卡时断电（W），通电后按 K。采集时（O）"
        "拔掉数据线（V）。“数据线”旁的端口是真的：在另一个窗口运行 flagfall unit info --port PORT "
        "--fleet FOLDER/fleet 就能与这台设备通信。"
    ),
)


class HelpPage(ModalScreen[None]):
    """Closed with Escape or `?`."""

    BINDINGS = [("escape", "dismiss", "close"), ("question_mark", "dismiss", "close")]

    def __init__(self, words: Words) -> None:
        super().__init__()
        self._title = words("help")
        self._index = 1 if words.language == "zh" else 0

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help") as page:
            page.border_title = self._title
            page.border_subtitle = "Escape"
            yield Static(self._page())

    def _page(self) -> Group:
        i = self._index
        heads = [Text("\n" + pair[i], style=_HEAD) for pair in _HEADS]
        return Group(
            Text(_WHAT[i]),
            heads[0],
            self._table(_TRIP),
            heads[1],
            self._table(_KEYS),
            heads[2],
            Text(_TRY[i], style=_DIM),
        )

    def _table(self, rows: tuple[tuple[str, str, str], ...]) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_column(width=10)
        table.add_column()
        for keys, *texts in rows:
            table.add_row(Text(keys, style=_KEY), Text(texts[self._index]))
        return table
