# A unit's life with power cuts: journal, checkpoint ring and small files lose power together.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# The firmware's own meter, duty, booking and configuration, on three chips with one supply; the
# small files on the real littlefs (vfs.VfsLfs2). Runs in MicroPython:
#     micropython tests/unit_cuts.py SEED/STEPS/12t.3g      live this life again ("/f" behind it:
#                                        on flash with failing sectors, "/s": with stuck bits)
#     micropython tests/unit_cuts.py depth1 SEED STEPS LETTERS [f|s]  at every operation
#     micropython tests/unit_cuts.py depth2 SEED STEPS EVERY          at every EVERYth pair
#     micropython tests/unit_cuts.py random SEED LIVES
# A life that breaks a promise leaves its three flash images in build/flash-failures.

import sys

_HERE = __file__.rsplit("/", 1)[0] if "/" in __file__ else "."
sys.path[:0] = [
    _HERE,
    _HERE + "/firmware/lib/flagfall/meter",
    _HERE + "/../boards/bench",
    _HERE + "/../firmware/lib",
    _HERE + "/../firmware",
]

import gc  # noqa: E402
import hashlib  # noqa: E402
import json  # noqa: E402
import struct  # noqa: E402

import vfs  # noqa: E402
from app.booking import Booking  # noqa: E402
from app.configuration import Configuration  # noqa: E402
from app.duty import INTENT, Duty  # noqa: E402
from app.meter import Meter, Refused  # noqa: E402
from flagfall import signed_file  # noqa: E402
from flagfall.journal import schema  # noqa: E402
from flagfall.journal.record import seq_at  # noqa: E402
from flagfall.journal.ring import Journal, JournalFull  # noqa: E402
from flagfall.journal.sector import GOOD  # noqa: E402
from flagfall.meter.tariff import Tariff  # noqa: E402
from flagfall.meter.taximeter import FOR_HIRE, HIRED, STOPPED  # noqa: E402
from meter_forms import HEFEI, NOON, pack  # noqa: E402
from nor_flash import BLOCK, NorFlash, Power, PowerCut  # noqa: E402
from power_cuts import KEY, Crash, Dice, Life, Violation, broken  # noqa: E402

K = 1000  # pulses a kilometre
TICK_MS = 300
FASTEST_MM = 14000  # a second's drive in `_move`
SECTORS = {"journal": 6, "trips": 4, "config": 16}
_TOTALS = ("distance", "hired", "hirings", "supplements", "fares", "cards", "card_amount")
_PLACE = "/unit_cuts"
_NO_POWER = -5  # EIO
# Each begins with a ride by card and files replaced, then with a ride on a full journal.
_BEGIN = """
sign,hire,drive,stop,config,card,for hire,tariff,receipt
fill,fill,fill,hire,stop,extra,card,cash,for hire,receipt
idle,hire,drive,stop,torn,restart,resolve,for hire,capk
"""
_ALWAYS = ("config", "capk", "tariff", "receipt", "idle", "restart", "clock", "sign", "fill")


def steps_of(seed, count):
    # A day's work: rides that are paid in each way, and what the office and the host do between.
    dice = Dice(seed)
    steps = _BEGIN.strip().replace("\n", ",").split(",")
    while len(steps) < count:
        if dice.roll(3) == 0:
            steps.append(_ALWAYS[dice.roll(len(_ALWAYS))])
            continue
        steps += ["roll", "hire", "drive", "drive"][dice.roll(2) :]
        if dice.roll(2):
            steps.append("extra")
        steps += ["idle", "stop"]
        how = dice.roll(5)
        steps += (["cash"], ["card"], ["torn", "resolve"], ["torn"], [])[how]
        if dice.roll(4):
            steps.append("for hire")
    return steps[:count]


class Clockwork:
    # The board, as far as the meter asks for it.
    def __init__(self):
        self.utc_ms = NOON * 1000
        self.power_on()

    def power_on(self):
        self.ms = 1234
        self.count = 0

    def ticks_ms(self):
        return self.ms

    def utc_s(self):
        return self.utc_ms // 1000

    def pulses(self):
        return self.count

    def pass_ms(self, ms):
        self.ms += ms
        self.utc_ms += ms


def signed_header(kind, blob, version):
    # As the office's, but for the signature, which nobody here looks at.
    digest = hashlib.sha256(blob).digest()
    head = signed_file.to_sign(kind, "", version, NOON, len(blob), digest)
    return signed_file.Header(signed_file.close(head, b"\1" * 64))


def _umount():
    try:
        vfs.umount(_PLACE)
    except OSError:
        return  # nothing is mounted


class FileChip(NorFlash):
    # Without power it answers with an error, so that littlefs lets go of files that are open.
    def readblocks(self, block, buf, offset=0):
        return _NO_POWER if self.power.off else NorFlash.readblocks(self, block, buf, offset)

    def writeblocks(self, block, buf, offset=None):
        return _NO_POWER if self.power.off else NorFlash.writeblocks(self, block, buf, offset)

    def ioctl(self, op, arg):
        return _NO_POWER if self.power.off and op == 6 else NorFlash.ioctl(self, op, arg)


class Silent:
    def say(self, template, *args):
        pass

    def refresh(self):
        pass


class Watched(Journal):
    # A journal whose appends are noted by the life: begun, and returned.
    life = None

    def append(self, type, body, time):
        return self.life.watch(self, type, body, time)


class Checkpoints(Journal):
    # The ring of checkpoints; the life knows what the newest must be.
    life = None

    def append(self, type, body, time):
        self.life.begun = (body, self.life.state())
        seq = Journal.append(self, type, body, time)
        self.life.durable = self.life.begun
        self.life.begun = None
        return seq


class State:
    # What a checkpoint says, as far as promises go.
    def __init__(self, meter, duty):
        t = duty.totals
        self.totals = (
            t.distance_mm,
            t.hired_distance_mm,
            t.hirings,
            t.supplements,
            t.fares,
            t.card_payments,
            t.card_amount,
        )
        x = meter.taximeter
        self.position = x.position
        self.trip = duty.trip
        self.fare = x.fare
        self.distance_mm = x.distance_mm
        self.hired_ms = x.hired_ms
        self.intent = bool(duty.intent)


class UnitLife(Life):
    # With `faulty` reads come back wrong once, and with "f" a sector of the journal and one of the
    # checkpoint ring fail, with "s" bits stick on both and in the small files.

    def __init__(self, steps, seed, faulty=""):
        self.power = Power()
        self.chips = {}
        for name, sectors in SECTORS.items():
            kind = FileChip if name == "config" else NorFlash
            self.chips[name] = kind(sectors * BLOCK, None, seed, self.power)
        Life.__init__(self, steps, self.chips["journal"], Watched, faulty)
        self.board = Clockwork()
        self.configuration = None
        self.durable = self.begun = None
        self.at_cut = None
        self.meter = None
        self.trips = {}  # number: fields of its TRIP record, in flash
        self.unrecorded = {}  # the same of trips for which the journal had no room
        self.payments = {}  # seq: amount of approved ones
        self.torn = {}  # seq of each payment that is torn and not resolved
        self.files = {}  # name: what is in force
        self.replacing = {}  # name: what it is being replaced with
        self.asked = False  # a card was asked to debit, and no record says what came of it
        self.serial = self.refused = 0
        self.sealing = 0  # the epoch whose data key is in flash
        dice = Dice(seed)
        for name in ("journal", "trips") if faulty == "f" else ():
            chip = self.chips[name]
            kinds = (chip.bad_program, chip.bad_erase, chip.silent_program, chip.silent_erase)
            kinds[dice.roll(4)].add(dice.roll(chip.blocks))
        self._factory()
        for name in ("journal", "trips", "config") if faulty == "s" else ():
            self._stick(self.chips[name], dice)

    def _stick(self, chip, dice):
        # Up to three bits in one sector; on the file system not where its root is.
        block = 2 + dice.roll(chip.blocks - 2)
        for _ in range(1 + dice.roll(3)):
            address = block * BLOCK + dice.roll(BLOCK)
            bit = 1 << dice.roll(8)
            if chip is self.chips["config"]:
                # In use since the factory: it cannot have got there with another value.
                chip.stick(address, bit, chip.data[address])
            else:
                chip.stick(address, bit, dice.roll(256))

    def _factory(self):
        chip = self.chips["config"]
        _umount()
        vfs.VfsLfs2.mkfs(chip)
        vfs.mount(vfs.VfsLfs2(chip), _PLACE)
        c = Configuration(_PLACE)
        c.provision({"unit_id": "T-1", "unit_key": "11" * 32, "fleet_key": "22", "epoch": 3})
        self.files["settings"] = self._settings(0)
        c.put_settings(self.files["settings"])
        self.files["tariff"] = pack(**HEFEI)
        c.put_tariff(self.files["tariff"])
        self.files["next"] = self.files["capks"] = self.files["clock"] = None
        vfs.umount(_PLACE)

    def _settings(self, n):
        settings = {"k": K, "currency": 156, "country": 156, "terminal_id": "1", "aids": []}
        settings.update({"merchant_id": "2", "plate": "A-%05d" % n, "company": "c" * (n % 200)})
        return json.dumps(settings).encode()

    # Start.

    def mount(self):
        try:
            self._start()
        except OSError:
            if not self.power.off:
                raise
            raise PowerCut("the power went while a file was written") from None

    def _start(self):
        if self.meter is not None:
            self.at_cut = self.state()
            self.meter = None
        self.board.power_on()
        # A dip, or long enough that the trip is closed.
        self.board.pass_ms(3000 if self.cuts % 2 else 40000)
        self._mount_files()
        Watched.life = Checkpoints.life = self
        Life.mount(self)
        checkpoints = Checkpoints(self.chips["trips"], KEY, keep_unacked=False)
        checkpoints.mount(1)
        self._check_checkpoint(checkpoints)
        c = self.configuration
        self.duty = Duty()
        self.booking = Booking(self.journal, self.board.utc_s)
        meter = Meter(
            self.board,
            Tariff(c.tariff_blob),
            c.settings,
            self.duty,
            self.booking,
            checkpoints,
            Silent(),
            self._promote,
        )
        self.meter = meter
        self.booking.event(schema.STARTED, "epoch %d" % self.journal.epoch)
        meter.recover()
        self._check_recovered()
        self._files_in_order()
        if c.next_tariff_blob is not None:
            meter.change_tariff(Tariff(c.next_tariff_blob))
        self._recover_intent()
        self.journal.idle()
        checkpoints.idle()
        self.checkpoints = checkpoints

    def _mount_files(self):
        # The file system of before the cut keeps the chip without power for ever.
        old = self.chips["config"]
        new = FileChip(len(old.data), None, self.serial + 7, self.power)
        new.data = bytearray(old.data)
        new.programs, new.erases, new.stuck = old.programs, old.erases, old.stuck
        old.power = Power()
        old.power.off = True
        _umount()
        self.chips["config"] = new
        vfs.mount(vfs.VfsLfs2(new), _PLACE)
        self.configuration = c = Configuration(_PLACE)
        c.load()
        if c.unit_id != "T-1" or c.first_epoch != 3:
            raise Violation("the unit's identity is gone")
        found = {
            "settings": None if c.settings is None else c.settings["plate"],
            "tariff": c.tariff_blob,
            "next": c.next_tariff_blob,
            "capks": c.capks,
            "clock": c.clock_budget,
        }
        for name, value in found.items():
            if value != self._loaded(name, self.files[name]):
                if name not in self.replacing:
                    raise Violation("%s is not what was put there" % name)
                if value != self._loaded(name, self.replacing[name]):
                    raise Violation("%s is neither the old nor the new one" % name)
                self.files[name] = self.replacing[name]
        self.replacing = {}

    def _loaded(self, name, blob):
        if name == "settings":
            return json.loads(blob)["plate"]
        if name == "capks":
            return tuple(bytes.fromhex(x) for x in json.loads(blob)) if blob else ()
        return blob

    def _check_checkpoint(self, checkpoints):
        record = checkpoints.newest(schema.CHECKPOINT)
        found = None if record is None else record.body
        if self.begun is not None and found == self.begun[0]:
            self.durable = self.begun
        elif found != (None if self.durable is None else self.durable[0]):
            raise Violation("the newest checkpoint is not the last that was made")
        self.begun = None

    def _check_recovered(self):
        now = self.state()
        was = self.durable[1] if self.durable else None
        if now.position != FOR_HIRE and not self.duty.trip_booked:
            # Found no room, and the power went before it was cleared: it may be driven on.
            self.unrecorded.pop(now.trip, None)
        self._check_money(now)
        if {t[0] for t in self.duty.torn} != set(self.torn):
            raise Violation("torn %r, known %r" % (self.duty.torn, self.torn))
        if self.asked and not self.duty.intent:
            raise Violation("a tap that was cut off is forgotten")
        cut = self.at_cut
        self.at_cut = None
        if cut is None:
            return
        for name, value, floor in zip(_TOTALS, now.totals, self.floor):  # noqa: B905
            if value < floor:
                raise Violation("total %s stepped back from %d to %d" % (name, floor, value))
        if cut.position == HIRED and now.trip == cut.trip:
            record = self.trips.get(cut.trip) or self.unrecorded.get(cut.trip)
            hired_ms = record["hired_ms"] if record else now.hired_ms
            if not 0 <= cut.hired_ms - hired_ms <= 1000:
                raise Violation("%d ms of a trip lost" % (cut.hired_ms - hired_ms))
        if cut.totals[0] - now.totals[0] > FASTEST_MM:
            raise Violation("%d mm of distance lost" % (cut.totals[0] - now.totals[0]))
        if was and was.trip == now.trip and was.position == now.position and was.fare != now.fare:
            raise Violation("the fare went from %d to %d" % (was.fare, now.fare))

    def _check_money(self, now):
        cards = (len(self.payments), sum(self.payments.values()))
        if now.totals[5:] != cards:
            raise Violation("card totals %r, payments in flash %r" % (now.totals[5:], cards))
        fares = extras = 0
        for trips in (self.trips, self.unrecorded):
            for number, fields in trips.items():
                if number != now.trip or now.position == FOR_HIRE:
                    fares += fields["fare"]
                    extras += fields["supplements"]
        if (extras, fares) != now.totals[3:5]:
            raise Violation("fares in totals %r, of trips %r" % (now.totals[3:5], (extras, fares)))
        if now.totals[2] != now.trip:
            raise Violation("%d hirings, trip %d" % (now.totals[2], now.trip))

    def _recover_intent(self):
        # What payment.py does with a tap that the power cut off.
        if not self.duty.intent:
            return
        sealed = self.duty.intent[-len(self._seal()) :]
        self.booking.key_of(sealed)
        seq = self._pay(schema.TORN, sealed, 0)
        self.duty.torn.append(self._torn_entry(seq))
        self._remember()

    # Noting what the firmware appends.

    def state(self):
        return State(self.meter, self.duty)

    @property
    def floor(self):
        # What totals may not fall below: those of the last durable checkpoint.
        return self.durable[1].totals if self.durable else (0,) * len(_TOTALS)

    def watch(self, journal, type, body, time):
        if type == schema.ACK:
            return Journal.append(journal, type, body, time)
        if type == schema.KEY:
            self.keys[journal.epoch] = body
        entry = (journal.epoch, type, body)
        self.flying.append(entry)
        try:
            seq = Journal.append(journal, type, body, time)
        except JournalFull:
            self.fulls += 1
            self.flying.pop()
            if type == schema.TRIP:
                fields = schema.unpack(type, body)
                self.unrecorded[fields["trip"]] = fields
            raise
        self.flying.pop()
        if seq in self.returned or seq <= self.booked:
            raise Violation("seq %d is given twice" % seq)
        self.returned[seq] = entry
        self.top_epoch = max(self.top_epoch, journal.epoch)
        self._note(seq, type, body)
        return seq

    def key_known(self, record):
        # One of an epoch before is repeated beside a tap that the power cut off.
        return record.body in self.keys.values()

    def check(self):
        Life.check(self)
        for place in range(self.journal.sectors):
            self._check_opens_alone(place)

    def _check_opens_alone(self, place):
        # A sector needs no other for its card data. (What moved here out of a failing one may
        # leave a key behind that the host has.)
        places = self.journal._places
        header = places.header(place)
        if header.state != GOOD or header.moved:
            return
        keys = set()
        for offset in places.walk(place):
            body = self.journal._sector[offset + 20 : offset + 20 + 1200]
            type, seq = self.journal._sector[offset + 1], seq_at(self.journal._sector, offset)
            if type == schema.KEY:
                keys.add(bytes(body[1:3]))
            elif type == schema.PAYMENT and seq > self.booked and seq in self.returned:
                sealed = schema.unpack(type, self.returned[seq][2])["sealed"]
                if sealed and bytes(sealed[:2]) not in keys:
                    raise Violation("seq %d cannot be opened with its sector alone" % seq)

    def known(self, record):
        flying = (record.epoch, record.type, record.body) in self.flying
        fresh = record.seq not in self.returned
        Life.known(self, record)
        if flying and fresh:
            self._note(record.seq, record.type, record.body)

    def _note(self, seq, type, body):
        if type == schema.TRIP:
            fields = schema.unpack(type, body)
            if fields["trip"] in self.trips:
                raise Violation("trip %d is recorded twice" % fields["trip"])
            self.unrecorded.pop(fields["trip"], None)
            self.trips[fields["trip"]] = fields
        elif type == schema.PAYMENT:
            fields = schema.unpack(type, body)
            self.asked = False
            if fields["outcome"] in (schema.APPROVED, schema.TORN_DEBITED):
                self.payments[seq] = fields["amount"]
            if fields["outcome"] == schema.TORN:
                self.torn[seq] = fields["trip"]
            elif fields["torn_seq"]:
                self.torn.pop(fields["torn_seq"], None)

    # Steps.

    def do(self, step):
        self.serial += 1
        if self._faulty:
            self.chips["journal"].wrong_read_after(self.serial % 7)
            self.chips["trips"].wrong_read_after(self.serial % 5)
        try:
            getattr(self, "_" + step.replace(" ", "_"))()
        except (Refused, JournalFull):
            self.refused += 1  # a key that does not fit, or a full journal, is no fault
        except OSError:
            if not self.power.off:
                raise
            raise PowerCut("the power went while a file was written") from None

    def _sign(self):
        duty = self.duty
        if self.meter.position != FOR_HIRE:
            return
        event = schema.SIGN_OUT if duty.driver else schema.SIGN_IN
        if duty.driver:
            duty.driver = ""
        else:
            duty.sign_in(duty.shift + 1, "D%d" % self.serial)
        self.booking.shift(
            shift=duty.shift, event=event, trips=duty.shift_trips, fares=duty.shift_fares,
            card_payments=duty.shift_cards, card_amount=duty.shift_card_amount,
            driver=duty.driver,
        )  # fmt: skip
        self.meter.checkpoint()

    def _hire(self):
        self.meter.hire()

    def _move(self, seconds, pulses):
        for i in range((seconds * 1000 + TICK_MS - 1) // TICK_MS):
            self.board.pass_ms(TICK_MS)
            self.board.count += 3 * pulses if i % 3 else 0
            self.meter.step()

    def _roll(self):
        self._move(2, 2)

    def _drive(self):
        self._move(3, 2)

    def _stop(self):
        self.meter.stop()

    def _extra(self):
        self.meter.supplement(100 + self.serial)

    def _cash(self):
        if self._open():
            self.meter.paid(schema.CASH)

    def _open(self):
        return self.meter.position == STOPPED and self.duty.paid == schema.OPEN

    def _card(self):
        if not self._open() or not self.journal.room_for_card() or self.duty.torn:
            return
        self._intend()
        self._approved(0)

    def _ready_seal(self):
        if self.sealing != self.journal.epoch:
            number = struct.pack("<H", self.journal.epoch)
            self.booking.key(b"\1" + number + bytes([self.journal.epoch % 256]) * 269)
            self.sealing = self.journal.epoch

    def _intend(self):
        # As payment.py: the sealing key, then the intent, then the card is asked to debit.
        self._ready_seal()
        self.booking.key_ahead()
        duty = self.duty
        context = b"context %6d" % self.serial
        duty.intent = (
            struct.pack(INTENT, duty.trip, duty.shift, b"card tag", b"0011", len(context))
            + context
            + self._seal()
        )
        self.meter.checkpoint()
        self.asked = True

    def _seal(self):
        # Card data under this epoch's key, by whose number it begins.
        return struct.pack("<H", self.sealing) + bytes(238)

    def _approved(self, torn_seq):
        due = self.meter.due
        outcome = schema.TORN_DEBITED if torn_seq else schema.APPROVED
        self._pay(outcome, self._seal(), torn_seq)
        self.duty.torn = [t for t in self.duty.torn if t[0] != torn_seq]
        self.duty.card_paid(due)
        self._remember()
        self.meter.paid(schema.CARD)

    def _pay(self, outcome, sealed, torn_seq):
        duty = self.duty
        return self.booking.payment(
            trip=duty.trip, shift=duty.shift, outcome=outcome, profile=schema.ECASH,
            amount=self.meter.due, currency=156, last_digits="0011", atc=self.serial,
            balance_after=1, torn_seq=torn_seq, card_tag=b"card tag", reason="",
            sealed=bytes(sealed),
        )  # fmt: skip

    def _torn(self):
        # The card leaves while it is asked to debit.
        if not self._open() or not self.journal.room_for_card() or self.duty.torn:
            return
        self._intend()
        seq = self._pay(schema.TORN, self._seal(), 0)
        self.duty.torn.append(self._torn_entry(seq))
        self._remember()

    def _torn_entry(self, seq):
        duty = self.duty
        return (seq, duty.trip, duty.shift, b"card tag", b"context")

    def _resolve(self):
        # The same card comes back and says that it had debited; or the trip is another by now.
        if not self.duty.torn or not self.journal.room_for_card():
            return
        seq, trip = self.duty.torn[0][:2]
        if trip == self.duty.trip and self._open():
            self._ready_seal()
            self._approved(seq)
            return
        self._pay(schema.TORN_NOT_DEBITED, b"", seq)
        self.duty.torn.pop(0)
        self._remember()

    def _remember(self):
        self.duty.intent = b""
        self.meter.checkpoint()

    def _for_hire(self):
        self.meter.for_hire()

    def _receipt(self):
        self.receipt(max(1, self.journal.last_seq - self.serial % 3))

    def _fill(self):
        # As much as the host lets come together.
        for _ in range(6):
            self.journal.append(schema.EVENT, self.body(1100), self.board.utc_s())
            self.journal.idle()

    def _idle(self):
        self.journal.idle()
        self.checkpoints.idle()

    def _restart(self):
        # New settings: the firmware starts anew, nothing is lost.
        self.mount()

    def _replace(self, name, blob, put):
        self.replacing[name] = blob
        put(blob)
        self.files[name] = blob
        del self.replacing[name]

    def _config(self):
        self._replace("settings", self._settings(self.serial), self.configuration.put_settings)

    def _capk(self):
        blob = json.dumps(["%02x" % self.serial * 150] * 4).encode()
        self._push("capk", "capks", blob, self.configuration.put_capks)

    def _push(self, kind, name, blob, put):
        # As app/office.py puts what the office signed in force.
        header = signed_header(kind, blob, self.configuration.newest(kind) + 1)
        self._replace(name, blob, lambda blob: put(blob, header))
        self.configuration.note_version(kind, header.version)
        self._files_in_order()

    def _files_in_order(self):
        if self.duty.older_files(self.configuration.versions()):
            raise Violation("files of the office are taken for older ones")

    def _clock(self):
        blob = b"budget %9d" % self.serial
        self._replace("clock", blob, self.configuration.put_clock_budget)

    def _tariff(self):
        forms = dict(HEFEI)
        forms["name"] = "t%d" % self.serial
        blob = pack(**forms)
        self._push("tariff", "next", blob, self.configuration.put_next_tariff)
        self.meter.change_tariff(Tariff(blob))

    def _promote(self):
        self.replacing["tariff"] = self.files["next"]
        self.replacing["next"] = None
        self.configuration.promote_tariff()
        self.files["tariff"], self.files["next"] = self.files["next"], None
        self.replacing = {}

    def go_on(self):
        # Everything works on: the host books all, a whole ride goes through, files are replaced.
        self._idle()
        if self.journal.last_seq:
            self.receipt(self.journal.last_seq)
        steps = (
            "stop",
            "resolve",
            "cash",
            "for hire",
            "hire",
            "drive",
            "stop",
            "card",
            "for hire",
        )
        for step in steps + ("config", "capk", "receipt", "restart"):
            self._idle()
            self.do(step)
        self.check()
        self._check_money(self.state())
        if self.meter.position != FOR_HIRE or self.duty.torn or self.torn:
            raise Violation("the unit does not go on")


def written(seed, count, cuts, faulty=""):
    text = "%d/%d/%s" % (seed, count, ".".join("%d%s" % cut for cut in cuts))
    return text + "/" + faulty if faulty else text


def lived(seed, count, cuts, faulty="", keep=True):
    # Live it; Violation says how to live it again, and keeps the flash images.
    life = UnitLife(steps_of(seed, count), seed, faulty)
    try:
        life.live(cuts)
    except Exception as e:  # a crash too is to be lived again
        text = written(seed, count, cuts, faulty)
        raise broken("unit_cuts", text, e, life.chips if keep else {}) from e
    return life


def meets(seed, count, faulty=""):
    # What a life meets without a cut, as counts.
    life = lived(seed, count, [], faulty)
    return {
        "trips": len(life.trips),
        "card payments": len(life.payments),
        "receipts": life.acked > 0,
        "journal wrapped": life.journal._generation // SECTORS["journal"],
        "checkpoints wrapped": life.checkpoints._generation // SECTORS["trips"],
        "full": life.fulls,
        "retired": life.journal.retired + life.checkpoints.retired,
        "files": sum(1 for name in life.files if life.files[name]),
    }


def depth_1(seed, count, letters="btgh", faulty="", keep=True, every=1):
    # Cut at every operation in the modes given; return (operations, cuts).
    at = cuts = before = 0
    while True:
        for letter in letters:
            cuts += lived(seed, count, [(at, letter)], faulty, keep).cuts
        if cuts == before:
            return at, cuts
        before = cuts
        at += every
        gc.collect()


def depth_2(seed, count, every=1, reach=30, letters="tgh"):
    # Every `every`th pair of operations, the second at most `reach` after the first.
    at = cuts = pair = 0
    while True:
        met = False
        for second in range(reach):
            for letter in letters:
                for other in letters:
                    pair += 1
                    if pair % every == 0:
                        n = lived(seed, count, [(at, letter), (second, other)]).cuts
                        met = met or n
                        cuts += n
        if not met:
            return at, cuts
        at += 1


def random_cuts(seed, lives):
    # Lives of any length with up to 8 cuts, half of them on flash that fails.
    dice = Dice(seed)
    cuts = 0
    for i in range(lives):
        places = [(dice.roll(60), "btgh"[dice.roll(4)]) for _ in range(1 + dice.roll(8))]
        faulty = ("", "f", "", "s")[i % 4]
        cuts += lived(dice.roll(1 << 20) + 1, 20 + dice.roll(80), places, faulty).cuts
        gc.collect()
    return cuts


def main(words):
    numbers = [int(word) for word in words[1:] if word.isdigit()]
    if words[0] == "meets":
        print(meets(*numbers, "".join(words[3:])))
    elif words[0] == "depth1":
        faulty = "".join(words[4:])
        print("unit: %d operations, %d cuts at every one" % depth_1(*numbers, words[3], faulty))
    elif words[0] == "depth2":
        print("unit: %d operations, %d cuts in pairs" % depth_2(*numbers))
    elif words[0] == "random":
        print("unit: %d cuts in %d random lives" % (random_cuts(*numbers), numbers[1]))
    else:
        for text in words:
            seed, count, cuts, faulty = (text + "//").split("/")[:4]
            found = [(int(c[:-1]), c[-1]) for c in cuts.split(".") if c]
            lived(int(seed), int(count), found, faulty)
            print(text, "holds")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (Crash, Violation) as e:
        print(e)
        sys.exit(1)
