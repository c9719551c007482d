# A thermal printer that speaks ESC/POS on a UART.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# GS r 1 is answered only when the printer has worked off everything before it: that answer is
# how the unit knows that a receipt is on paper. ASCII only; texts in other scripts wait for the
# host to prepare them.

from micropython import const

_RESET = b"\x1b@"  # ESC @
_FEED = b"\x1bd\x04"  # ESC d: the last line past the tear bar
_ASK_PAPER = b"\x1dr\x01"  # GS r 1: transmit the paper sensor's status
_PAPER_OUT = const(0x0C)  # bits 2 and 3 of the answer
_ANSWER = const(0x90)  # bits that are 0 in every answer: tells it from noise
_READY_MS = const(1000)
_PRINT_MS = const(20000)  # longest receipt at the slowest speed


class PrinterError(OSError):
    """The receipt is not known to be on paper; str() says why."""

    def __str__(self):
        return str(self.args[0]) if self.args else ""


class ReceiptPrinter:
    """`await print(lines)` returns when the lines are on paper. Raises PrinterError."""

    def __init__(self, port):
        self._port = port

    async def print(self, lines):
        """Print `lines` (str, at most 32 characters each)."""
        await self._port.write(_RESET)
        await self._paper(_READY_MS)
        text = "".join(_plain(line) + "\n" for line in lines)
        await self._port.write(text.encode() + _FEED)
        await self._paper(_PRINT_MS)

    async def _paper(self, timeout_ms):
        self._port.discard()
        await self._port.write(_ASK_PAPER)
        answer = await self._port.read(1, timeout_ms)
        if not answer:
            raise PrinterError("no answer, check its cable and supply")
        if answer[0] & _ANSWER:
            raise PrinterError("its answer makes no sense, check its speed")
        if answer[0] & _PAPER_OUT:
            raise PrinterError("out of paper")


def _plain(text):
    return "".join(c if " " <= c <= "~" else "?" for c in text)
