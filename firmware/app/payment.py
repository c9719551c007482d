# A payment by tap: reader below, kernel inside, journal first, screen last.
# MIT licence, (c) 2026 The Flagfall contributors.

import asyncio
import struct

from app.duty import INTENT, INTENT_FIXED
from app.waiting import Waiting
from drivers.reader import CardLost, ReaderError, SeveralCards
from flagfall.clock import civil
from flagfall.emv import outcome as oc
from flagfall.emv import recovery, torn
from flagfall.emv.recent_cards import RecentCards
from flagfall.emv.tlv import encode
from flagfall.emv.transaction import Transaction
from flagfall.hmac_sha256 import hmac_sha256
from flagfall.journal import schema
from flagfall.journal.ring import JournalFull
from micropython import const

_LOOK_MS = const(300)  # one look for a card; a key is heard between two
_FRESH_MS = const(1000)  # a transaction made ready bears the time; its card may come later
_TAP_WAIT_MS = const(60000)  # how long the driver's request to tap stands
_LEAVE_POLL_MS = const(50)
_LEAVE_POLLS = const(40)  # how long a paid card may stay before the field is cut anyway
_TORN_T2_MS = const(60000)  # a torn payment waits so long for its card (payment terminals' T2)
_CLOCK_FLOOR = const(820454400)  # 2026-01-01: no unit of this release is older
_TORN_BYTES = const(280)  # of contexts; a checkpoint must hold them in one record
_FIELD_OFF_MS = const(10)  # EMV Contactless Book D: tRESET is 5.1 to 10 ms
_APART_MS = const(200)  # of two cards one is taken away; until then they would answer at once
_NO_CARD = b"\0" * 8


class Torn:
    """A payment whose card left too early: its record, and the kernel's context to finish it."""

    def __init__(self, seq, trip, shift, tag, context):
        self.seq = seq
        self.trip = trip
        self.shift = shift
        self.tag = tag
        self.context = context
        self.insist = True  # its trip takes no other card, until time or driver say otherwise


class Payment:
    """Takes taps, one payment at a time; `take` returns True when the trip is paid."""

    def __init__(
        self, board, reader, terminal, sealer, journal_key, booking, duty, screen, repeat_ms
    ):
        self._board = board
        self._reader = reader
        self._terminal = terminal
        self._sealer = sealer
        self._journal_key = journal_key
        self._booking = booking
        self._duty = duty
        self._screen = screen
        self._checkpoint = None
        self._open = False  # the reader chip is configured
        self._key_booked = False
        self._cancelled = False
        self._torn = []
        self._asked_trip = 0  # the trip for which the driver was asked about a repeated card
        self._waiting = Waiting(booking.journal)
        self._recent = RecentCards(self._tag_of, board.utc_s, repeat_ms // 1000)
        if repeat_ms:
            terminal.seen = self._recent.seen
        self.waiting = False  # for a card: nothing is decided yet
        self.reading = False  # a card is being talked to: no flash work beside it
        self.fault = ""  # of the reader, until it is well again
        self.erase_ahead = lambda: None  # called while no card is there (app/housekeeping.py)
        self.no_cards = None  # asked before each payment: why there is none now, or None
        self.wait_ms = _TAP_WAIT_MS

    def attach(self, checkpoint):
        """`checkpoint()` makes the duty durable. Takes up torn payments from before a restart."""
        self._checkpoint = checkpoint
        for seq, trip, shift, tag, packed in self._duty.torn:
            try:
                context = torn.unpack(packed, self._same_card(tag))
            except ValueError:
                continue  # the TORN record itself is in the journal: the office sees it open
            self._torn.append(Torn(seq, trip, shift, tag, context))
        try:
            # The power may have gone between the record of a tear and that of what it displaced.
            self._give_up_oldest(False)
            self._recover_intent()
        except (ValueError, JournalFull) as e:
            self._booking.event(schema.READER_FAULT, "cut off tap: %s" % e)

    def end(self):
        """The epoch ends with this unit's tasks: its data key leaves the memory."""
        self._sealer.forget()

    def cancel(self):
        """The driver wants something else: stop waiting for a card."""
        self._cancelled = True

    def reader_lost(self, why):
        """The reader failed, here or in other hands: it is opened anew before the next tap."""
        self._open = False
        self.fault = why

    async def probe(self):
        """Wake the reader, switch its field on and off. Raises ReaderError."""
        self._open = False
        await self._reader.open()
        self._open = True
        await self._reader.field(True)
        await self._reader.field(False)

    async def take(self, amount, utc_offset_s):
        """Take `amount` (minor units) from the next card. True if it is paid and in flash."""
        if not self._booking.journal.room_for_card():
            self._screen.say("Memory full: no cards until the office has pulled. Take cash.")
            return False
        if self._board.utc_s() < _CLOCK_FLOOR:
            # No card's expiry can be judged by a clock that has lost the year.
            self._screen.say("Clock is not set: connect the office's cable. Take cash.")
            return False
        why = self.no_cards() if self.no_cards is not None else None
        if why:
            self._screen.say(*why)
            return False
        self._cancelled = False
        try:
            self.ready_seal()
            if not self._open:
                await self._reader.open()
                self._open = True
            await self._reader.field(True)
            self.fault = ""
            self._screen.reader("ready")
            return await self._taps(amount, utc_offset_s)
        except ReaderError as e:
            self.reader_lost(str(e))
            self._booking.event(schema.READER_FAULT, str(e))
            self._screen.say("Card reader fault: %s. Take cash.", str(e))
            return False
        except JournalFull:
            self._screen.say("Memory full: nothing was charged by this unit. Call the office.")
            return False
        finally:
            self.waiting = self.reading = False
            await self._field_off()
            self._screen.reader("idle")

    async def _taps(self, amount, utc_offset_s):
        """One payment, over as many taps as it needs."""
        began = self._board.ticks_ms()
        self.waiting = True
        self._screen.say("Tap card: %d.%02d", amount // 100, amount % 100)
        tx = None
        ready = 0
        while not self._cancelled:
            insist = any(t.insist and t.trip == self._duty.trip for t in self._torn)
            limit = _TORN_T2_MS if insist else self.wait_ms
            if self._board.ticks_ms() - began > limit:
                break
            # All that needs no card is done before there is one.
            if tx is None or self._board.ticks_ms() - ready > _FRESH_MS:
                self.erase_ahead()
                ready = self._board.ticks_ms()
                tx = self._transaction(amount, utc_offset_s, insist)
                apdu = tx.start()
            try:
                target = await self._reader.activate(_LOOK_MS)
            except SeveralCards:
                self._screen.say("More than one card. Present one card.")
                await self._anew(_APART_MS)
                continue
            if target is None:
                continue
            if not target.takes_apdus:
                self._screen.say("This card cannot pay. Take another card or cash.")
                await self._let_go()
                continue
            self.reading = True
            self._screen.reader("processing")
            await self._transact(tx, apdu)
            self.reading = False
            done = self._conclude(tx)
            if done is not None:
                self.waiting = False
                await self._let_go()
                return done
            await self._anew(max(tx.outcome.wait_ms, _FIELD_OFF_MS))
            self._screen.reader("ready")
            tx = None
            began = self._board.ticks_ms()
        # What is torn stays known: its card is recognised whenever it comes back, and not charged
        # again. But from here on another card, or cash, may pay.
        for entry in self._torn:
            entry.insist = False
        self.waiting = False
        self._screen.say("No card taken")
        return False

    async def _anew(self, pause_ms):
        """A card must leave the field before it can be selected afresh."""
        await self._reader.field(False)
        await asyncio.sleep_ms(pause_ms)
        await self._reader.field(True)

    def _transaction(self, amount, utc_offset_s, insist):
        """The kernel's transaction for the card that comes next."""
        now = self._board.utc_s()
        local = civil(now + utc_offset_s)
        return Transaction(
            self._terminal,
            amount,
            self._board.random(4),
            _bcd(local[0] % 100, local[1], local[2]),
            _bcd(*local[3:6]),
            sequence=self._booking.journal.last_seq + 1,
            torn=[t.context for t in self._torn] or None,
            stored=self._waiting.total(now),
            confirmed=self._asked_trip == self._duty.trip,
            insist=insist,
            now_s=now,
        )

    async def _transact(self, tx, apdu):
        """Run `tx` from its first command `apdu` on against the card in the field, to its end."""
        while apdu is not None:
            debit = tx.before_debit()
            if debit is not None:
                self._intend(tx, debit[0], debit[1])
            try:
                # What the answers before this one leave to do is done while the card works.
                apdu = tx.step(await self._reader.transceive(apdu, tx.work))
            except CardLost:
                tx.card_lost()
                break
            except SeveralCards:
                tx.two_cards()
                break
            except ReaderError:
                if debit is None:
                    raise
                # The reader failed while the card was debiting: nobody knows, so it is torn.
                tx.card_lost()
                self._open = False
                break
        if tx.card_read:
            self._screen.reader("read")
            # Not yet paid: certificates of transit cards are checked while the card is put away.
            self._screen.say("Card read. Take your card.")
            while tx.work():
                await asyncio.sleep_ms(0)

    def _intend(self, tx, context, result):
        """The next command debits the card. Make durable what a power cut must not take."""
        packed = context.pack()
        self._booking.key_ahead()
        self._duty.intent = (
            struct.pack(
                INTENT,
                self._duty.trip,
                self._duty.shift,
                self._tag(tx),
                (result.last_four or "0000").encode(),
                len(packed),
            )
            + packed
            + self._sealed(result)
        )
        self._checkpoint()

    def _recover_intent(self):
        """The power went while a card was being debited: from here on it is a torn payment."""
        intent = self._duty.intent
        if not intent:
            return
        trip, shift, tag, digits, n = struct.unpack(INTENT, intent[:INTENT_FIXED])
        packed = intent[INTENT_FIXED : INTENT_FIXED + n]
        entry = Torn(0, trip, shift, tag, torn.unpack(packed, self._same_card(tag)))
        sealed = intent[INTENT_FIXED + n :]
        self._booking.key_of(sealed)
        entry.seq = self._book_torn(entry, schema.TORN, "power", digits.decode(), sealed)
        self._add_torn(entry)
        self._remember()
        self._screen.say("A tap was cut off by the power. Hold the same card again: CARD")

    def _conclude(self, tx):
        """Book what the tap has shown, then say it. True paid, False not, None: tap again."""
        result = tx.outcome
        resolved = None
        for context, verdict in tx.torn_results:
            entry = self._entry(context)
            if verdict == recovery.NOT_DEBITED:
                # What this tap has debited is not in flash yet: its intent stands.
                self._close_torn(entry, schema.TORN_NOT_DEBITED, False)
            elif verdict == recovery.DEBITED:
                resolved = entry
        kind = result.record_outcome()
        seq = self._book(tx, kind, resolved) if kind else 0
        self._asked_trip = self._duty.trip if result.code == oc.ASK_DRIVER else 0
        if result.code == oc.APPROVED:
            if resolved is not None:
                self._torn.remove(resolved)
            self._duty.card_paid(result.amount)
            self._waiting.add(seq, result.amount, self._board.utc_s())
            self._recent.paid_by_tag(resolved.tag if resolved else self._tag(tx))
            self._remember()
            self._screen.say(*result.said)
            self._screen.tone("approved")
            if resolved is not None and resolved.trip != self._duty.trip:
                return None  # an earlier trip is settled; this one is still to be paid
            return True
        if kind == schema.TORN and tx.torn is not None:
            tag = self._tag(tx)
            self._add_torn(Torn(seq, self._duty.trip, self._duty.shift, tag, tx.torn))
        if self._duty.intent or kind == schema.TORN:
            self._remember()
        self._screen.say(*result.said)
        if result.code in (oc.TORN, oc.TRY_AGAIN, oc.ANOTHER_CARD):
            self._screen.reader("alert")
            self._screen.tone("again")
            return None
        if result.code == oc.ASK_DRIVER:
            self._screen.say("%s CARD: yes. CASH: no.", result.message)
        self._screen.reader("alert")
        self._screen.tone("declined")
        return False

    def _book(self, tx, kind, resolved):
        """A PAYMENT record of the kernel's outcome; card data sealed. Returns its seq."""
        result = tx.outcome
        balance = result.balance_after
        return self._booking.payment(
            trip=resolved.trip if resolved else self._duty.trip,
            shift=resolved.shift if resolved else self._duty.shift,
            outcome=kind,
            profile=result.profile,
            amount=result.amount,
            currency=result.currency,
            last_digits=result.last_four or self._digits_of(resolved),
            atc=result.atc,
            balance_after=schema.UNKNOWN_BALANCE if balance is None else balance,
            torn_seq=resolved.seq if resolved else 0,
            card_tag=resolved.tag if resolved else self._tag(tx),
            reason=result.record_reason(),
            sealed=self._sealed(result),
        )

    def _digits_of(self, resolved):
        """Last digits as the record of the tear has them: the card may not give them again."""
        if resolved is not None:
            for record in self._booking.journal.read(resolved.seq):
                if getattr(record, "seq", 0) == resolved.seq:
                    return schema.unpack(schema.PAYMENT, record.body)["last_digits"]
                break  # a receipt has freed it, or it is damaged
        return "0000"

    def _sealed(self, result):
        """The outcome's card data, which nobody on this unit can read from here on."""
        plain = b"".join(encode(tag, value) for tag, value in result.data)
        return self._sealer.seal(plain) if plain else b""

    def _close_torn(self, entry, kind, concluded):
        """A torn payment has not debited, or is given up: say so in the journal."""
        self._book_torn(entry, kind, "torn")
        self._torn.remove(entry)
        self._remember(concluded)

    def _book_torn(self, entry, kind, reason, digits="0000", sealed=b""):
        """A PAYMENT record from what is known of a torn payment; it refers to the record of the
        tear unless it is that itself. Returns its seq."""
        context = entry.context
        return self._booking.payment(
            trip=entry.trip,
            shift=entry.shift,
            outcome=kind,
            profile=context.profile,
            amount=context.amount,
            currency=context.currency,
            last_digits=digits,
            atc=context.atc,
            balance_after=schema.UNKNOWN_BALANCE,
            torn_seq=entry.seq,
            card_tag=entry.tag,
            reason=reason,
            sealed=sealed,
        )

    def _add_torn(self, entry):
        """Keep one more; what no longer fits is given up, the oldest first."""
        self._torn.append(entry)
        self._give_up_oldest(True)

    def _give_up_oldest(self, concluded):
        while len(self._torn) > 1 and not self._torn_fit():
            self._close_torn(self._torn[0], schema.TORN_GIVEN_UP, concluded)

    def _torn_fit(self):
        size = sum(len(t.context.pack()) for t in self._torn)
        return len(self._torn) <= torn.MAX_TORN and size <= _TORN_BYTES

    def _entry(self, context):
        for entry in self._torn:
            if entry.context is context:
                return entry
        raise ValueError("the kernel names a torn payment that is not ours")

    def _remember(self, concluded=True):
        """Make what is torn durable; with `concluded` what was intended has its record."""
        if concluded:
            self._duty.intent = b""
        self._duty.torn = [(t.seq, t.trip, t.shift, t.tag, t.context.pack()) for t in self._torn]
        self._checkpoint()

    def _tag(self, tx):
        text = tx.card_tag_input()
        return hmac_sha256(self._journal_key, text)[:8] if text else _NO_CARD

    def _tag_of(self, pan, psn):
        return schema.card_tag(self._journal_key, pan, psn)

    def _same_card(self, tag):
        return lambda pan, psn: self._tag_of(pan, psn) == tag

    def ready_seal(self):
        """Put this epoch's wrapped data key in flash; before the first payment, best when idle."""
        if not self._key_booked:
            self._booking.key(self._sealer.key_record_body())
            self._key_booked = True

    # Reader.

    async def _let_go(self):
        """Wait until the card is taken away, within reason, and release it."""
        try:
            for _ in range(_LEAVE_POLLS):
                if not await self._reader.present():
                    break
                await asyncio.sleep_ms(_LEAVE_POLL_MS)
            await self._reader.release()
        except ReaderError:
            self._open = False  # opened again before the next tap

    async def _field_off(self):
        try:
            await self._reader.field(False)
        except ReaderError:
            self._open = False


def _bcd(*pairs):
    """Two-digit numbers as BCD bytes."""
    return struct.pack("%dB" % len(pairs), *(n // 10 << 4 | n % 10 for n in pairs))
