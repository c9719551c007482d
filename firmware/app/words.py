# What the unit says, in the driver's language: the one place where English becomes another.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# The language file is checked once at start, and read text by text when something is said. With
# none, an old one, a damaged one or one that was not made for this release the unit speaks
# English: no text is worth a trip or a tap.

import io

from flagfall.language import Language, LanguageError, english


class Words:
    """`words(template, *args)` is the text to print or show; `path` is the language file's."""

    def __init__(self, path):
        self._path = path
        self._start = None  # of the content in the file; None: English

    def use(self, start):
        """Speak by the content that begins at `start` of the file, looked at before; None:
        English."""
        self._start = start

    def __call__(self, template, *args):
        """`template` translated, then filled; of the arguments those that are texts of the unit
        themselves are translated too."""
        if self._start is None:
            return english(template, *args)
        own = (self._own(arg) if isinstance(arg, str) else arg for arg in args)
        try:
            return english(self._own(template), *own)
        except (TypeError, ValueError):
            return english(template, *args)  # the translation does not take these arguments

    def _own(self, text):
        return self._ask(Language.text, text) or text

    def printed(self, line):
        """`line` for the printer: a str of ASCII as it is, else bytes in the printer's code."""
        for c in line:
            if c > "~":
                return self._ask(Language.printed, line) or "".join(_ascii(c) for c in line)
        return line

    def _ask(self, question, text):
        if self._start is None:
            return None
        try:
            with open(self._path, "rb") as f:
                return question(Language(f, self._start), text)
        except (OSError, LanguageError):
            return None


def whole(content):
    """Whether `content` (None: there is none) can be spoken by."""
    if content is None:
        return False
    try:
        check(content)
    except LanguageError:
        return False
    return True


def check(content):
    """Raise LanguageError unless `content` is a whole language file."""
    Language(io.BytesIO(content)).check(len(content))


def _ascii(c):
    return c if c <= "~" else "??"
