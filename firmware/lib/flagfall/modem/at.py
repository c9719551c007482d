# What a modem says on its AT port, line by line: answers, results, and what nobody asked for.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# ITU-T V.250 5.7 (results) and 3GPP TS 27.007. Lines may come in any pieces, after an echo of the
# command, between unsolicited ones, or as garbage while the modem starts at another speed.

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


NOTHING = const(0)
INFO = const(1)  # a line of the open command's answer
DONE = const(2)  # OK
FAILED = const(3)  # ERROR, +CME ERROR: 10, NO CARRIER ...
CONNECTED = const(4)  # from here on the line carries data, not text
NOTICE = const(5)  # unsolicited

MAX_LINE = const(256)  # bytes; the longest line that means anything to us has about 60
_BUFFER = const(1024)
_CR = const(13)
_LF = const(10)

_FAILURES = ("ERROR", "NO CARRIER", "BUSY", "NO ANSWER", "NO DIALTONE", "NO DIAL TONE")
_FAILURE_HEADS = ("+CME ERROR", "+CMS ERROR")
# Unsolicited lines that begin with a letter; all others begin with a sign.
_NOTICE_HEADS = (
    "RDY",
    "RING",
    "PB DONE",
    "SMS DONE",
    "SMS READY",
    "CALL READY",
    "NORMAL POWER DOWN",
    "POWERED DOWN",
    "START",
    "DST:",
)
_SIGNS = "+*^$#"


class AtReader:
    """Cuts a modem's bytes into lines and says what each is.

    `expect` opens a command; then `feed` bytes and call `next` until it returns NOTHING. `text`
    is the line. After CONNECTED, `rest` are the bytes that already belong to the data.
    Counters: `garbage` (lines that are no text), `dropped` (bytes that found no room).
    """

    def __init__(self):
        self._buf = bytearray(_BUFFER)
        self._end = 0
        self._skipping = False  # the rest of a line that was too long
        self._command = ""  # "" : none is open
        self._prefix = ""
        self._dials = False
        self.text = ""
        self.garbage = self.dropped = 0

    def expect(self, command, prefix="", dials=False):
        """`command` is being sent. Its answer's lines begin with `prefix`; "" if with nothing
        in particular. `dials`: it ends in CONNECT, not OK."""
        self._command = command
        self._prefix = prefix
        self._dials = dials

    def close(self):
        """The open command is given up: what still comes for it is nobody's."""
        self._command = ""

    def clear(self):
        """Forget what was fed and not read."""
        self._end = 0
        self._skipping = False

    def feed(self, chunk):
        n = min(len(chunk), _BUFFER - self._end)
        self.dropped += len(chunk) - n
        self._buf[self._end : self._end + n] = memoryview(chunk)[:n]
        self._end += n

    @property
    def rest(self):
        return bytes(self._buf[: self._end])

    def next(self):
        """The kind of the next line; NOTHING when more bytes are needed."""
        while True:
            line = self._line()
            if line is None:
                return NOTHING
            try:
                text = str(line, "utf-8").strip()
            except UnicodeError:
                self.garbage += 1
                continue
            if not text or text == self._command:
                continue
            for c in text:
                if not 32 <= ord(c) < 127:
                    self.garbage += 1
                    break
            else:
                self.text = text
                return self._kind(text)

    def _line(self):
        """The next line without its end, or None."""
        buf = self._buf
        for i in range(self._end):
            if buf[i] == _CR or buf[i] == _LF:
                line = bytes(buf[:i])
                self._cut(i + 1)
                if self._skipping or len(line) > MAX_LINE:
                    self._skipping = False
                    self.garbage += 1
                    return b""
                return line
        if self._end > MAX_LINE:
            # No line of ours is that long: keep room for the next.
            self.dropped += self._end
            self._end = 0
            self._skipping = True
        return None

    def _cut(self, n):
        self._buf[: self._end - n] = self._buf[n : self._end]
        self._end -= n

    def _kind(self, text):
        if not self._command:
            return NOTICE
        if text == "OK" and not self._dials:
            return self._ended(DONE)
        if self._dials and (text == "CONNECT" or text.startswith("CONNECT ")):
            if self._end and self._buf[0] == _LF:
                self._cut(1)
            return self._ended(CONNECTED)
        if text == "NO CARRIER" and not self._dials:
            return NOTICE  # of a call before
        if text in _FAILURES or text.startswith(_FAILURE_HEADS):
            return self._ended(FAILED)
        if self._prefix and text.startswith(self._prefix):
            return INFO
        if text[0] in _SIGNS or text.startswith(_NOTICE_HEADS) or self._prefix or self._dials:
            return NOTICE
        return INFO

    def _ended(self, kind):
        self._command = ""
        return kind
