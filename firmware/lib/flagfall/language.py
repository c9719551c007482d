# A language file: the unit's own texts in the driver's language, looked up by the English ones.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# docs/formats.md section 7.4. Integers little-endian:
#
#   0    4  magic "FFLG"
#   4    1  format, 1
#   5    1  0
#   6    2  number of texts t
#   8    2  number of characters c
#  10   8t  index, sorted: CRC32 of the English text 4, where its translation begins 2 (counted
#           from the end of the characters), its length in bytes 2
#      4c   characters that a printer may need, sorted: code point 2, GBK 2 (lead byte high)
#           the translations, UTF-8
#
# The unit has no codec: the characters are what it can print, prepared by the host. Nothing of
# the file stays in RAM; a look-up reads some 10 times 8 bytes.

import struct
from binascii import crc32

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


MAGIC = b"FFLG"
FORMAT = const(1)
HEAD = "<4sBBHH"
ROW = "<IHH"
CHARACTER = "<HH"
_HEAD_SIZE = const(10)
_ROW_SIZE = const(8)
_CHARACTER_SIZE = const(4)
_NOT_SHOWN = const(0x3F)  # a question mark
_UNPRINTABLE = b"??"  # as wide as the character that it stands for


def english(template, *args):
    """`template` filled with its arguments; without any it is the text."""
    return template % args if args else template


class LanguageError(ValueError):
    """Not a language file, or not a whole one. The text says why."""


class Language:
    """A language file in `f`, open for reading bytes, whose content begins at `start`.

    Raises LanguageError.
    """

    def __init__(self, f, start=0):
        self._f = f
        f.seek(start)
        head = f.read(_HEAD_SIZE)
        if len(head) < _HEAD_SIZE or head[:4] != MAGIC:
            raise LanguageError("not a language file")
        _, form, _, self.texts, self.characters = struct.unpack(HEAD, head)
        if form != FORMAT:
            raise LanguageError("a language file of format %d, which is not known" % form)
        self._rows = start + _HEAD_SIZE
        self._printable = self._rows + _ROW_SIZE * self.texts
        self._said = self._printable + _CHARACTER_SIZE * self.characters

    def text(self, english):
        """The translation of `english`, or None. Raises LanguageError: the file is damaged."""
        wanted = crc32(english.encode())
        row = self._search(self._rows, self.texts, ROW, _ROW_SIZE, wanted)
        if row is None:
            return None
        return self._translation(row)

    def printed(self, line):
        """The bytes of `line` in the printer's code; ?? for a character that is not there."""
        out = bytearray()
        for c in line:
            if c <= "~":
                out.append(ord(c) if c >= " " else _NOT_SHOWN)
                continue
            row = self._search(
                self._printable, self.characters, CHARACTER, _CHARACTER_SIZE, ord(c)
            )
            if row is None:
                out.extend(_UNPRINTABLE)
            else:
                out.append(row[1] >> 8)
                out.append(row[1] & 0xFF)
        return bytes(out)

    def check(self, size):
        """Look at all of it; `size`: bytes of the content. Raises LanguageError."""
        if self._said - self._rows + _HEAD_SIZE > size:
            raise LanguageError("language file: cut off")
        room = size - (self._said - self._rows) - _HEAD_SIZE
        last = -1
        for i in range(self.texts):
            row = self._row(self._rows + _ROW_SIZE * i, ROW, _ROW_SIZE)
            if row[0] <= last or row[1] + row[2] > room:
                raise LanguageError("language file: text %d is out of order or cut off" % i)
            last = row[0]
            self._translation(row)
        last = 0x7E
        for i in range(self.characters):
            at = self._printable + _CHARACTER_SIZE * i
            point, gbk = self._row(at, CHARACTER, _CHARACTER_SIZE)
            if point <= last or not 0x81 <= gbk >> 8 <= 0xFE or not 0x40 <= gbk & 0xFF <= 0xFE:
                raise LanguageError("language file: character %d is no GBK, or out of order" % i)
            last = point

    def _translation(self, row):
        self._f.seek(self._said + row[1])
        raw = self._f.read(row[2])
        if len(raw) != row[2]:
            raise LanguageError("language file: cut off")
        try:
            text = raw.decode()
        except ValueError:  # UnicodeError
            raise LanguageError("language file: a text is not UTF-8") from None
        for c in text:
            if c < " ":
                raise LanguageError("language file: control characters are not shown")
        return text

    def _search(self, at, n, layout, size, wanted):
        low, high = 0, n
        while low < high:
            middle = (low + high) // 2
            row = self._row(at + size * middle, layout, size)
            if row[0] == wanted:
                return row
            if row[0] < wanted:
                low = middle + 1
            else:
                high = middle
        return None

    def _row(self, at, layout, size):
        self._f.seek(at)
        raw = self._f.read(size)
        if len(raw) != size:
            raise LanguageError("language file: cut off")
        return struct.unpack(layout, raw)
