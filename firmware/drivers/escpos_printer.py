# A thermal printer that speaks ESC/POS on a UART.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Two questions are asked (Epson ESC/POS command reference, "Status commands"). DLE EOT n is
# answered at once, by a printer without paper too: it says what is wrong. GS r 1 is answered only
# when everything before it has been worked off: that answer is how the unit knows that a receipt
# is on paper. Small printers often know only the second; they are found out and still work.
#
# A line is text (ASCII) or bytes: bytes are a text in the printer's Chinese code (GB 18030 or
# GBK), prepared by the host, since the unit has no codec.

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


CHINESE_ON = b"\x1c&"  # FS &: two-byte characters
CHINESE_OFF = b"\x1c."  # FS .
CUT = b"\x1dVB\x00"  # GS V 66: feed to the knife, cut and leave a bridge

_RESET = b"\x1b@"  # ESC @
_FEED = b"\x1bd\x04"  # ESC d: the last line past the tear bar
_ASK_PAPER = b"\x1dr\x01"  # GS r 1: transmit the paper sensor's status
_ASK_NOW = b"\x10\x04"  # DLE EOT n

_PAPER_OUT = const(0x0C)  # bits 2 and 3 of GS r's answer
_QUEUED_MASK = const(0x90)  # bits that are 0 in every answer to GS r
_NOW_MASK = const(0x93)  # bits 0, 1, 4 and 7 tell an answer to DLE EOT,
_NOW = const(0x12)  # which has them so

_READY_MS = const(1000)
_NOW_MS = const(200)  # a printer that knows DLE EOT answers it within milliseconds
_PRINT_MS = const(20000)  # longest receipt at the slowest speed
_LOOK_MS = const(1000)  # while it prints: how often to ask whether something is wrong

NO_PAPER = "no paper: put in a new roll"
COVER_OPEN = "cover open: close it"
SILENT = "no answer: check its cable and supply"
# DLE EOT n: (n, bit, what is wrong and what to do), the likeliest first.
_TROUBLE = (
    (4, 0x60, NO_PAPER),
    (2, 0x04, COVER_OPEN),
    (2, 0x20, NO_PAPER),
    (3, 0x08, "cutter stuck: open the cover and clear it"),
    (3, 0x20, "printer defect: have it repaired"),
    (3, 0x40, "print head hot: wait a minute"),
    (2, 0x40, "printer error: switch it off and on"),
)
_NONSENSE = "answer makes no sense: check its speed"


class PrinterError(OSError):
    """The receipt is not known to be on paper; str() says what is wrong and what to do."""

    def __str__(self):
        return str(self.args[0]) if self.args else ""


class EscPosPrinter:
    """`await print(lines)` returns when the lines are on paper. Raises PrinterError.

    `port` has read(n, timeout_ms), write(data), discard(). `chinese` are the commands before and
    after a text of bytes: a printer that wants a code page instead takes ESC t n here. `ending`
    is sent behind the last line (feed, and a cut where there is a knife).
    """

    def __init__(self, port, chinese=(CHINESE_ON, CHINESE_OFF), ending=_FEED):
        self._port = port
        self._chinese_on, self._chinese_off = chinese
        self._ending = ending
        self._realtime = True  # until it is known that it has no DLE EOT

    async def print(self, lines):
        """Print `lines`: str of at most 32 characters, or bytes in the printer's Chinese code."""
        await self.status()
        await self._port.write(_RESET)
        await self._port.write(b"".join(self._encoded(line) for line in lines) + self._ending)
        await self._printed()

    async def status(self):
        """Return if the printer is ready to print. Raises PrinterError with what is wrong."""
        self._port.discard()
        if self._realtime:
            trouble = await self._trouble()
            if trouble is None:
                return
            if trouble:
                raise PrinterError(trouble)
        await self._port.write(_ASK_PAPER)
        answer = await self._port.read(1, _READY_MS)
        if not answer:
            # Silence to both: off, not a printer that knows no DLE EOT.
            self._realtime = True
            raise PrinterError(SILENT)
        self._judge(answer[0])
        self._realtime = False

    async def _trouble(self):
        """None: all is well. A text: what is wrong. An empty one: no answer to DLE EOT."""
        asked = None
        answer = 0
        for n, bits, text in sorted(_TROUBLE, key=_number):
            if n != asked:
                asked = n
                await self._port.write(_ASK_NOW + bytes((n,)))
                said = await self._port.read(1, _NOW_MS)
                if not said:
                    return ""
                answer = said[0]
                if answer & _NOW_MASK != _NOW:
                    return _NONSENSE
            if answer & bits:
                return text
        return None

    async def _printed(self):
        """Wait until everything is on paper; look meanwhile whether something is wrong."""
        await self._port.write(_ASK_PAPER)
        for _ in range(_PRINT_MS // _LOOK_MS):
            answer = await self._port.read(1, _LOOK_MS)
            if answer:
                self._judge(answer[0])
                return
            if self._realtime:
                trouble = await self._trouble_while_printing()
                if trouble is None:
                    return
                if trouble:
                    raise PrinterError(trouble)
        raise PrinterError(SILENT)

    async def _trouble_while_printing(self):
        """As `_trouble`, for the paper only; None: the answer to GS r came instead."""
        await self._port.write(_ASK_NOW + b"\x04")
        said = await self._port.read(1, _NOW_MS)
        if said and said[0] & _NOW_MASK != _NOW:
            self._judge(said[0])
            self._port.discard()
            return None
        if said and said[0] & _TROUBLE[0][1]:
            return _TROUBLE[0][2]
        if said:
            await self._port.write(_ASK_NOW + b"\x02")
            said = await self._port.read(1, _NOW_MS)
            if said and said[0] & _NOW_MASK == _NOW and said[0] & _TROUBLE[1][1]:
                return _TROUBLE[1][2]
            if said and said[0] & _NOW_MASK != _NOW:
                self._judge(said[0])
                self._port.discard()
                return None
        return ""

    def _judge(self, answer):
        if answer & _QUEUED_MASK:
            raise PrinterError(_NONSENSE)
        if answer & _PAPER_OUT:
            raise PrinterError(_TROUBLE[0][2])

    def _encoded(self, line):
        if isinstance(line, str):
            return _plain(line).encode() + b"\n"
        return self._chinese_on + line + b"\n" + self._chinese_off


def _number(row):
    # Paper first (4), then the cover (2), then errors (3): the likeliest.
    return (4, 2, 3).index(row[0])


def _plain(text):
    return "".join(c if " " <= c <= "~" else "?" for c in text)
