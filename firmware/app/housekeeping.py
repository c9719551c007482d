# What can wait until nobody does: erasing ahead, wrapping the data key, warnings.
# MIT licence, (c) 2026 The Flagfall contributors.

import gc

from flagfall.journal import schema
from flagfall.meter.taximeter import HIRED
from micropython import const

_EVERY_MS = const(1000)


class Housekeeping:
    """Erases a journal sector while nobody is hired or taps."""

    def __init__(self, board, journal, checkpoints, meter, payment, booking, warnings):
        self._board = board
        self._journal = journal
        self._checkpoints = checkpoints
        self._meter = meter
        self._payment = payment
        self._booking = booking
        self._warnings = warnings
        self._warned = False

    def at_start(self):
        """Before the first trip: a fresh sector and this epoch's wrapped key are ready."""
        self._warnings.look_at_files()
        self._journal.idle()
        self._checkpoints.idle()
        if self._payment is not None and self._journal.room_for_card():
            self._payment.ready_seal()

    async def run(self):
        while True:
            await self._board.sleep_ms(_EVERY_MS)
            self._warnings.look()
            if self._payment is not None and self._payment.waiting:
                continue  # no erase while a card may be in the field
            # Checkpoints do not stop while hired: better an erase here than on the way of one.
            self._checkpoints.idle()
            if self._meter.position == HIRED:
                continue
            self._journal.idle()
            self._meter.note_heap()
            gc.collect()
            full = self._journal.nearly_full
            if full and not self._warned:
                self._booking.event(schema.JOURNAL_FULL, "80 % full")
            self._warned = full
