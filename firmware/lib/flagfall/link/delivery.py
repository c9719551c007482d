# A pull in progress: journal records into DATA frames, one at a time, inside a window.
# MIT licence, (c) 2026 The Flagfall contributors.

import struct

from flagfall.journal.record import Damage

from . import messages
from .frame import HEADER, MAX_PAYLOAD
from .proof import TAG

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_ROOM = const(8 + 2048 - 8)  # where records in a frame must end to leave room for the tag


class Delivery:
    """Turns what `journal.read` yields into payloads of DATA, DAMAGED and END frames.

    `seq` is that of the PULL and of all its answers. Nothing is read from flash before the
    window has room for it.
    """

    def __init__(self, journal, from_seq, window, seq):
        self._journal = journal
        self._records = iter(journal.read(from_seq))
        self._held = None  # read and not yet sent
        self._window = window
        self._number = 0  # of the next frame
        self._arrived = 0  # frames that the host has
        self.seq = seq
        self.ended = False

    def arrived(self, number):
        """The host has all frames up to `number`: the window moves on."""
        if self._arrived <= number < self._number:
            self._arrived = number + 1

    @property
    def ready(self):
        """Whether a frame may be sent now."""
        return not self.ended and self._number - self._arrived < self._window

    def fill(self, buf):
        """Write the next payload to `buf[8:]`; return (message type, payload length).

        Raises what the journal raises.
        """
        item = self._held
        if item is None:
            item = next(self._records, None)
        self._held = None
        number = self._number
        if item is None:
            struct.pack_into("<II", buf, HEADER, number, self._journal.last_seq)
            self.ended = True
            type, n = messages.END, 8
        elif isinstance(item, Damage):
            remains = item.raw[: messages.MAX_REMAINS]
            n = len(remains)
            struct.pack_into(
                "<IIIIH", buf, HEADER, number, item.first_seq, item.last_seq, item.address, n
            )
            n += 18
            buf[HEADER + 18 : HEADER + n] = remains
            type = messages.DAMAGED
        else:
            struct.pack_into("<I", buf, HEADER, number)
            type, n = messages.DATA, self._records_into(buf, item) - HEADER
        self._number = number + 1
        return type, n

    def _records_into(self, buf, item):
        """Copy `item` and what follows it and fits; return where they end in `buf`."""
        at = HEADER + 4
        while item is not None and not isinstance(item, Damage):
            end = at + len(item.raw)
            if end > _ROOM:
                break
            buf[at:end] = item.raw
            at = end
            item = next(self._records, None)
        self._held = item
        return at


def tag_fits(n):
    """Whether a payload of `n` bytes leaves room for its tag."""
    return n + TAG <= MAX_PAYLOAD
