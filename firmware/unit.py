# The unit: the one place where the parts are wired together.
# MIT licence, (c) 2026 The Flagfall contributors.

import asyncio
import gc
import sys

from app.booking import Booking
from app.configuration import Configuration
from app.duty import Duty
from app.keys import Keys
from app.meter import Meter
from app.screen import Screen
from flagfall.journal import schema
from flagfall.journal.ring import Journal
from flagfall.link import proof
from flagfall.meter.tariff import Tariff
from micropython import const

# What the meter does not need: loaded when its face is shown, one after the other, so that the
# meter runs in between. In this order, each finds loaded what it needs itself.
LATER = (
    "flagfall.emv.tlv",
    "flagfall.emv.capk",
    "flagfall.seal",
    "flagfall.emv.terminal",
    "flagfall.emv.oda_rsa",
    "flagfall.emv.outcome",
    "flagfall.emv.authentication",
    "flagfall.emv.purchase",
    "flagfall.emv.torn",
    "flagfall.emv.entry_point",
    "flagfall.emv.recovery",
    "flagfall.emv.transaction",
    "flagfall.emv.aid",
    "app.payment",
    "drivers.pn532",
    "flagfall.receipt",
    "app.receipts",
    "flagfall.link.messages",
    "flagfall.link.session",
    "app.seal",
    "app.office",
    "app.link",
    "app.selftest",
    "app.sign_in",
    "flagfall.emv.deny_list",
    "app.spool",
    "app.deny",
    "app.warnings",
    "app.housekeeping",
)
_REPEAT_MS = const(180000)  # a card that paid so recently asks the driver first
_STORED_COUNT = const(2000)  # taps that may wait for upload, and what they may come to
_STORED_AMOUNT = const(5000000)  # minor units
_STORED_AGE_S = const(604800)  # a week: uploads are due within 10 days


class Unit:
    """Built from a board (boards/<name>/board.py); `run` ends only when it wants to be rebuilt."""

    def __init__(self, board, make_reader):
        self._board = board
        self._make_reader = make_reader
        self._configuration = Configuration(board.files_root)
        self._payment_task = None
        self._reader_made = None
        self._update_task = None
        self._screen = Screen(board.display, board.buzzer, board.utc_s, self._configuration.words)

    async def run(self):
        """Bring the unit up and run it until new settings ask for a fresh start.

        The meter first: a trip that a loss of power cut off is on the displays, and the driver's
        keys are heard, before the rest of the unit is even loaded.
        """
        # Of the run before: their buffers are needed again.
        self._payment_task = self._reader_made = self._update_task = None
        self._tasks = []
        self._failed = []
        self._restart = asyncio.Event()  # asked for, or a task has died
        self._configuration.load()
        gc.collect()
        c = self._configuration
        if c.unit_key is None or c.settings is None or c.tariff_blob is None:
            await self._run_unprovisioned()
            return
        board = self._board
        journal_key = proof.journal_key(c.unit_key)
        journal = Journal(board.journal_flash, journal_key)
        checkpoints = Journal(board.trips_flash, journal_key, keep_unacked=False)
        journal.mount(c.first_epoch)
        checkpoints.mount(1)
        booking = Booking(journal, board.utc_s)
        duty = Duty()
        meter = Meter(
            board,
            Tariff(c.tariff_blob),
            c.settings,
            duty,
            booking,
            checkpoints,
            self._screen,
            c.promote_tariff,
        )
        if not journal.last_seq:
            # What was done before there was a journal: the audit trail begins with it.
            text = "%s, k %d, %d CA keys" % (c.unit_id, c.settings["k"], len(c.capks))
            booking.event(schema.PROVISIONED, text)
        booking.event(schema.STARTED, "epoch %d" % journal.epoch)
        # Before it takes a trip up again: one that a card has paid is booked there and then.
        meter.campaigns = lambda: c.campaigns
        meter.recover()
        if c.next_tariff_blob is not None:
            meter.change_tariff(Tariff(c.next_tariff_blob))
        if not duty.driver:
            self._screen.say("Sign in")
        self._screen.attach(meter, duty)
        keys = Keys(board, meter, duty, booking, self._screen)
        # A tap or a receipt that the loss of power cut off comes before the driver's next key.
        cut_off = bool(duty.intent or duty.receipt_due)
        self._begin(self._complete(journal_key, booking, duty, meter, keys, checkpoints, cut_off))
        self._begin(meter.run())
        if not cut_off:
            self._begin(keys.run())
        try:
            await self._until_restart()
        finally:
            if self._payment_task is not None:
                self._payment_task.end()
        if self._update_task is not None:
            self._update_task.begin_trial()

    async def _complete(self, journal_key, booking, duty, meter, keys, checkpoints, cut_off):
        """Load and begin what runs beside the meter: cards, paper, the office, the workshop."""
        # The bench has no such thing: its clock would run on meanwhile, as far as chance has it.
        breathe = getattr(self._board, "breathe", None)
        for name in LATER:
            if breathe is not None:
                await breathe()
            __import__(name)
        from app.housekeeping import Housekeeping
        from app.link import Cable, Maintenance
        from app.office import Office
        from app.receipts import Receipts
        from app.seal import Seal
        from app.selftest import SelfTest
        from app.sign_in import SignIn
        from app.warnings import Warnings
        from flagfall.seal import parse_public_key

        c = self._configuration
        board = self._board
        gc.collect()
        public_key = parse_public_key(c.fleet_key)
        capks = self._card_keys()
        deny = self._deny_list(public_key, booking)
        payment = self._payment(journal_key, booking, duty, meter, capks, deny)
        receipts = Receipts(board.printer, c, meter, duty, booking, self._screen)
        sign_in = SignIn(board, self._reader, c, duty, booking, self._screen)
        seal = Seal(board, c.unit_id, public_key, duty, booking)
        office = Office(
            board, c, booking, meter, self._screen, seal, public_key, capks, deny, self._reading
        )
        maintenance = Maintenance(board, c, booking, meter, duty, office, self._restart, seal)
        maintenance.tests = SelfTest(board, meter, payment, keys, booking, self._screen)
        warnings = Warnings(board, c, duty, meter, payment, receipts, booking, self._screen)
        self._screen.lights = getattr(board, "lights", None)
        house = Housekeeping(
            board, booking.journal, checkpoints, meter, payment, booking, warnings
        )
        if payment is not None:
            payment.erase_ahead = house.erase_ahead
            payment.no_cards = warnings.no_cards
            sign_in.reader_lost = payment.reader_lost
            self._screen.reader("idle")
        house.at_start()
        cable = Cable(board.cable_port(), maintenance, board.random)
        gc.collect()
        keys.attach(payment, receipts, sign_in)
        self._begin(house.run())
        self._begin(cable.run())
        if "uplink" in c.settings and board.modem_port() is not None:
            self._begin(self._uplink(maintenance, cable, meter, keys, booking))
        if "isu_vendor" in c.settings:
            # Only here, so that a unit without an ISU does not carry its code in RAM.
            from app.meter_port import MeterPort

            self._begin(MeterPort(board, board.isu_port(), c, meter, duty, booking).run())
        if deny is not None:
            self._begin(deny.run())
        self._update_task = self._update(deny, public_key, seal, booking, meter, maintenance)
        if self._update_task is not None:
            self._begin(self._update_task.run())
        self._begin(office.run())
        if cut_off:
            self._begin(keys.run())
        if duty.receipt_due:
            self._screen.say("Trip %d was paid: printing its receipt", duty.trip)
            self._begin(receipts.due())

    def _update(self, deny, public_key, seal, booking, meter, maintenance):
        # Only here, so that a unit without slots does not carry its code in RAM.
        chooser = sys.modules.get("chooser")
        if chooser is None or deny is None:
            return None
        from app.update import Update

        update = Update(
            chooser,
            self._board,
            self._configuration,
            public_key,
            seal,
            booking,
            meter,
            self._screen,
        )
        deny.spool.serve("firmware", update)
        maintenance.program = update.describe
        update.wanted = maintenance.ask_restart
        return update

    def _uplink(self, maintenance, cable, meter, keys, booking):
        # Only here, so that a unit without a modem does not carry its code in RAM.
        from app.uplink import Uplink
        from app.uplink_settings import UplinkSettings

        c = self._configuration
        settings = UplinkSettings(c.settings["uplink"])
        uplink = Uplink(
            self._board,
            settings,
            c,
            maintenance,
            cable,
            meter,
            keys,
            booking,
            self._screen,
        )
        maintenance.uplink = uplink.report
        return uplink.run()

    async def _run_unprovisioned(self):
        """As the factory left it, or half provisioned: only the cable works."""
        from app.link import Cable, Maintenance
        from app.office import Office
        from flagfall.seal import SealError, parse_public_key

        c = self._configuration
        board = self._board
        booking = None
        self._screen.attach(None, None)
        if c.unit_key is not None:
            journal = Journal(board.journal_flash, proof.journal_key(c.unit_key))
            journal.mount(c.first_epoch)
            booking = Booking(journal, board.utc_s)
        self._screen.say("Connect the office's cable")
        try:
            public_key = None if c.fleet_key is None else parse_public_key(c.fleet_key)
        except SealError:
            public_key = None  # only unsigned files are taken, and no card
        office = Office(board, c, booking, None, self._screen, None, public_key, None, None)
        maintenance = Maintenance(board, c, booking, None, None, office, self._restart)
        self._begin(Cable(board.cable_port(), maintenance, board.random).run())
        self._begin(self._idle())
        await self._until_restart()

    async def _idle(self):
        while True:
            await self._board.tick()

    def _reader(self):
        """The card reader, for payments and for drivers' cards."""
        if self._reader_made is None:
            self._reader_made = self._make_reader(self._board.reader_port())
        return self._reader_made

    def _reading(self):
        """Whether a card is being read just now."""
        return self._payment_task is not None and self._payment_task.reading

    def _card_keys(self):
        """The CA keys as the kernel keeps them: test keys or live ones, as the settings say."""
        from flagfall.emv.capk import CapkError, CapkStore

        c = self._configuration
        capks = CapkStore(c.settings.get("live", False))
        try:
            for row in c.capks:
                capks.add(row, c.capks_live)
        except CapkError as e:
            self._screen.say("Card keys: %s", str(e))
            return None
        capks.revoke_only(c.revoked)
        return capks

    def _deny_list(self, public_key, booking):
        """The deny list, or None on a board that has no place for one."""
        from app.deny import Deny

        c = self._configuration
        folder = getattr(self._board, "lists_root", None)
        if folder is None:
            return None

        def changed(version):
            c.note_version("deny", version)
            booking.event(schema.OFFICE_FILE, "deny list version %d" % version)
            self._screen.say("Deny list %d is in force", version)

        newest = lambda: c.newest("deny")  # noqa: E731
        deny = Deny(folder, c.unit_id, public_key, booking, self._reading, newest, changed)
        deny.load()
        return deny

    def _payment(self, journal_key, booking, duty, meter, capks, deny):
        """The payment task, or None while there are no limits or CA keys to pay with."""
        c = self._configuration
        if not c.settings["aids"] or capks is None or not c.capks or c.fleet_key is None:
            return None
        from app.payment import Payment
        from flagfall.emv.aid import parse_aid
        from flagfall.emv.terminal import ECASH, ODA, StoredLimits, Terminal
        from flagfall.seal import Sealer

        profiles = {"ecash": ECASH, "oda": ODA}
        settings = c.settings
        terminal = Terminal(
            settings["country"],
            settings["currency"],
            [parse_aid(bytes.fromhex(row)) for row in settings["aids"]],
            capks,
            profiles=[profiles[name] for name in settings.get("profiles", ("ecash",))],
            stored=StoredLimits(
                settings.get("stored_count", _STORED_COUNT),
                settings.get("stored_amount", _STORED_AMOUNT),
                settings.get("stored_age_s", _STORED_AGE_S),
            ),
            serial=(c.unit_id + "00000000")[:8].encode(),
        )
        if deny is not None:
            terminal.denied = deny.denied
        payment = Payment(
            self._board,
            self._reader(),
            terminal,
            # A key's number is unique over the epochs: sealed data outlive a restart.
            Sealer(c.fleet_key, self._board.random, booking.journal.epoch & 0xFFFF),
            journal_key,
            booking,
            duty,
            self._screen,
            settings.get("repeat_ms", _REPEAT_MS),
        )
        payment.attach(meter.checkpoint)
        if "tap_wait_ms" in settings:
            payment.wait_ms = settings["tap_wait_ms"]
        self._payment_task = payment
        return payment

    def _begin(self, coroutine):
        """Run it beside the others. If it dies, the unit starts afresh."""
        self._tasks.append(asyncio.create_task(self._watched(coroutine)))

    async def _watched(self, coroutine):
        try:
            await coroutine
        except asyncio.CancelledError:
            raise
        except Exception as e:  # whatever it was: report it and start the unit afresh
            self._failed.append(e)
            self._restart.set()

    async def _until_restart(self):
        """Run the tasks until a fresh start is asked for or one of them dies; end them all."""
        await self._restart.wait()
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            try:
                await task
            except asyncio.CancelledError:
                pass
        if self._failed:
            raise self._failed[0]
