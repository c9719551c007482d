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
        self.erase_ahead()
        if self._payment is not None and self._journal.room_for_card():
            self._payment.ready_seal()

    def erase_ahead(self):
        """Have an erased sector in both rings, whatever a tap uses: none is erased beside it."""
        self._checkpoints.idle()
        self._journal.idle()

    async def run(self):
        while True:
            await self._board.sleep_ms(_EVERY_MS)
            self._warnings.look()
            if self._payment is not None and self._payment.waiting:
                continue  # it calls erase_ahead itself, between a card and the next
            if self._meter.position == HIRED:
                # Checkpoints do not stop: better an erase here than on the way of one.
                self._checkpoints.idle()
                continue
            self.erase_ahead()
            self._meter.note_heap()
            gc.collect()
            full = self._journal.nearly_full
            if full and not self._warned:
                self._booking.event(schema.JOURNAL_FULL, "80 % full")
            self._warned = full
