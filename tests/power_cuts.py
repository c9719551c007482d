# A journal's life with power cuts at chosen operations, and the promises checked after each.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# A life is a seed (which gives the steps: trips, payments, receipts, restarts, idle time), a
# number of sectors, and cuts: each (operations after the start or the cut before, mode). It is
# written as "SEED/SECTORS/STEPS/12t.3g" and lived again by
#     python tests/power_cuts.py SEED/SECTORS/STEPS/12t.3g       (or micropython)
# which leaves the flash image as it was at the violation in build/flash-failures. "f/SEED/12t.3g"
# is a life on flash with failing sectors.


import sys

if __name__ == "__main__":
    sys.path[:0] = ["firmware", "firmware/lib", "boards/bench", "tests"]

from flagfall.journal import schema
from flagfall.journal.record import Damage, mac_good
from flagfall.journal.ring import Journal, JournalFull
from nor_flash import BEFORE, BLOCK, GARBAGE, HALF_ERASE, TORN, NorFlash, NorViolation, PowerCut

KEY = bytes(range(32))
LETTERS = {"b": BEFORE, "t": TORN, "g": GARBAGE, "h": HALF_ERASE}
TYPES = (schema.TRIP, schema.PAYMENT, schema.SHIFT, schema.TOTALS, schema.EVENT)


class Violation(Exception):
    # A promise of the journal that was not kept.
    pass


class Crash(Exception):
    # What went wrong in a life without being a promise.
    pass


class Dice:
    # xorshift32: the same numbers on both runtimes.
    def __init__(self, seed):
        self._x = seed * 2654435761 & 0xFFFFFFFF or 1
        for _ in range(4):
            self.roll(1)

    def roll(self, n):
        x = self._x
        x ^= x << 13 & 0xFFFFFFFF
        x ^= x >> 17
        x ^= x << 5 & 0xFFFFFFFF
        self._x = x
        return (x >> 5) % n


def steps_of(seed, count):
    # ("append", type, body length), ("receipt", records left open), ("idle",), ("restart",)
    # Every third seed gives few receipts, so that the journal is often full.
    dice = Dice(seed)
    steps = []
    often = 15 if seed % 3 else 13
    for _ in range(count):
        kind = dice.roll(20)
        if kind < 12:
            size = dice.roll(1160) if dice.roll(2) else 20 + dice.roll(200)
            steps.append(("append", TYPES[dice.roll(len(TYPES))], size))
        elif kind < often:
            steps.append(("receipt", dice.roll(6) if dice.roll(3) else 0))
        elif kind < 19:
            steps.append(("idle",))
        else:
            steps.append(("restart",))
    return steps


class Life:
    # Lives a list of steps on a flash; knows what must be true.

    def __init__(self, steps, flash, journal_class=Journal, faulty=False):
        self.flash = flash
        self._class = journal_class
        self._steps = steps
        self._next = 0
        self._faulty = faulty  # whether the flash has faults: then programs may be repeated
        self.returned = {}  # seq: (epoch, type, body) of what append returned
        self.flying = []  # (epoch, type, body) of appends that the power cut
        self.last_booked = None
        self.booked = 0  # what the host has booked, all up to this seq
        self.acked = 0  # the highest receipt that the unit said was taken, durably
        self.tried_receipt = 0  # the highest receipt that was begun
        self.top_epoch = 0  # of any record returned
        self.serial = 0
        self.keys = {}  # epoch: body of its KEY record
        self.fulls = 0
        self.cuts = 0
        self.fails_at = -1  # step before which one more sector fails

    def mount(self):
        self.journal = self._class(self.flash, KEY)
        epoch = self.journal.mount(3)
        if epoch <= self.top_epoch or epoch < 3:
            raise Violation("epoch %d after %d" % (epoch, self.top_epoch))
        if epoch > self.top_epoch + 20 and epoch != 3:
            raise Violation("epoch %d jumps after %d" % (epoch, self.top_epoch))
        self.check()

    def body(self, size):
        # Every body tells its own number, so that none can pass for another.
        self.serial += 1
        dice = Dice(self.serial)
        tag = b"\1%8d" % self.serial
        return tag + bytes([dice.roll(256) for _ in range(7)]) * (max(0, size - 9) // 7)

    def live(self, cuts=()):
        # Live all steps; each cut is (operations, letter). Power comes back at once.
        cuts = list(cuts)
        self._arm(cuts)
        mounted = False
        while True:
            try:
                if not mounted:
                    self.mount()
                    mounted = True
                while self._next < len(self._steps):
                    step = self._steps[self._next]
                    self._next += 1
                    if self._next == self.fails_at:
                        self.flash.silent_program.add(self.serial % self.flash.blocks)
                    if self._faulty and step[0] != "append":
                        self.flash.wrong_read_after(self.serial % 7)
                    self.do(step)
                break
            except PowerCut:
                self.cuts += 1
                mounted = False
                self.flash.power_on()
                self._arm(cuts)
        self.flash.power_on()
        self.mount()
        self.go_on()

    def _arm(self, cuts):
        if cuts:
            operations, letter = cuts.pop(0)
            self.flash.cut_after(operations, LETTERS[letter])

    def do(self, step):
        journal = self.journal
        if step[0] == "append":
            self.append(step[1], self.body(step[2]))
        elif step[0] == "receipt":
            self.receipt(max(1, journal.last_seq - step[1]))
        elif step[0] == "idle":
            journal.idle()
        else:
            self.mount()
            if self.serial % 2:
                # This start seals card data: its KEY record is repeated in each sector.
                self.keys[self.journal.epoch] = body = self.body(270)
                self.append(schema.KEY, body)

    def append(self, type, body):
        journal = self.journal
        self.flying.append((journal.epoch, type, body))
        try:
            seq = journal.append(type, body, self.serial)
        except JournalFull:
            self.fulls += 1
            self.flying.pop()
            return False
        self.flying.pop()
        if seq in self.returned or seq <= self.booked:
            raise Violation("seq %d is given twice" % seq)
        if seq != journal.last_seq:
            raise Violation("append returned %d, last_seq is %d" % (seq, journal.last_seq))
        self.returned[seq] = (journal.epoch, type, body)
        self.top_epoch = max(self.top_epoch, journal.epoch)
        return True

    def receipt(self, seq):
        # The host pulls what it has not, books it, and hands back the receipt.
        journal = self.journal
        if seq > journal.last_seq:
            return
        last = self.last_booked
        for record in journal.read(self.booked + 1) if seq > self.booked else ():
            if record.__class__ is Damage:
                raise Violation("%r" % record)
            if record.seq > seq:
                break
            if record.seq != self.booked + 1:
                raise Violation("pulled %d after %d" % (record.seq, self.booked))
            self.known(record)
            self.returned.pop(record.seq, None)
            self.booked = record.seq
            last = self.last_booked = record
        if last is None:
            raise Violation("nothing to pull from %d to %d" % (self.booked + 1, seq))
        seq = self.tried_receipt = last.seq
        before = journal.acked_seq
        try:
            freed = journal.acknowledge(last.epoch, last.seq, last.mac[:4], self.serial)
        except JournalFull:
            self.fulls += 1
            return
        if journal.acked_seq < before:
            raise Violation("the receipt went back")
        if freed:
            self.acked = max(self.acked, seq)

    def known(self, record):
        # The record is one that was returned, or was flying, or one of the journal's own.
        mine = (record.epoch, record.type, record.body)
        if not mac_good(KEY, record.raw):
            raise Violation("seq %d has a bad MAC" % record.seq)
        if record.seq in self.returned:
            if self.returned[record.seq] != mine:
                raise Violation("seq %d holds another record than was returned" % record.seq)
        elif record.type == schema.ACK:
            upto = schema.unpack(schema.ACK, record.body)["upto_seq"]
            if upto > self.tried_receipt:
                raise Violation("a receipt for %d that nobody gave" % upto)
        elif record.type == schema.KEY:
            if not self.key_known(record):
                raise Violation("seq %d is a key that nobody made" % record.seq)
            if mine in self.flying:
                self.flying.remove(mine)
        elif mine in self.flying:
            self.flying.remove(mine)
            self.returned[record.seq] = mine
            self.top_epoch = max(self.top_epoch, record.epoch)
        else:
            raise Violation("seq %d was invented" % record.seq)

    def key_known(self, record):
        return record.body == self.keys.get(record.epoch)

    def check(self):
        # After a mount: all that must be there is there, in order, chained, and nothing else.
        journal = self.journal
        if journal.acked_seq > self.tried_receipt:
            raise Violation("acked %d, tried %d" % (journal.acked_seq, self.tried_receipt))
        if journal.acked_seq < self.acked:
            raise Violation("the receipt for %d is gone" % self.acked)
        before = None
        seen = set()
        for record in journal.read(1):
            if record.__class__ is Damage:
                raise Violation("%r" % record)
            if before is not None and record.seq > self.booked:
                if record.seq != max(before.seq, self.booked) + 1:
                    raise Violation("seq %d after %d" % (record.seq, before.seq))
                if record.seq == before.seq + 1 and record.link != before.mac[:4]:
                    raise Violation("seq %d is not chained" % record.seq)
                if record.epoch < before.epoch:
                    raise Violation("epoch goes back at seq %d" % record.seq)
            if record.seq > self.booked:
                self.known(record)
            seen.add(record.seq)
            before = record
        for seq in self.returned:
            if seq not in seen:
                raise Violation("seq %d was returned and is gone" % seq)
        if before is not None and before.seq != journal.last_seq:
            raise Violation("last_seq %d, read up to %d" % (journal.last_seq, before.seq))
        if journal.last_seq < self.booked:
            raise Violation("last_seq %d, booked %d" % (journal.last_seq, self.booked))

    def go_on(self):
        # The journal must work on: booked as a whole, it takes records again.
        self.journal.idle()
        if self.journal.last_seq:
            self.receipt(self.journal.last_seq)
        for _ in range(3):
            self.journal.idle()
            if not self.append(schema.EVENT, self.body(30)):
                raise Violation("full although all is booked")
        self.check()
        if self.journal.erases_on_append and not self._faulty:
            raise Violation("an erase on append although idle ran")


def parse(text):
    seed, sectors, count, cuts = text.split("/")
    found = [(int(c[:-1]), c[-1]) for c in cuts.split(".") if c]
    return int(seed), int(sectors), int(count), found


def written(seed, sectors, count, cuts):
    return "%d/%d/%d/%s" % (seed, sectors, count, ".".join("%d%s" % cut for cut in cuts))


def lived(seed, sectors, count, cuts, journal_class=Journal, keep=True):
    # Live it and return it; Violation says how to live it again, and keeps the flash image.
    flash = NorFlash(sectors * BLOCK, None, seed)
    life = Life(steps_of(seed, count), flash, journal_class)
    try:
        life.live(cuts)
    except Exception as e:  # a crash too is to be lived again
        text = written(seed, sectors, count, cuts)
        raise broken("power_cuts", text, e, {"flash": flash} if keep else {}) from e
    return life


def depth_2(seed, sectors, count, every=1, reach=40, letters="btgh"):
    # Cut at pairs of operations: every `every`th pair, the second at most `reach` after the
    # first. Returns the number of cuts.
    total = operations(seed, sectors, count)
    cuts = pair = 0
    for at in range(total):
        for letter in letters:
            for second in range(min(reach, total - at + 8)):
                for other in letters:
                    pair += 1
                    if pair % every == 0:
                        both = [(at, letter), (second, other)]
                        cuts += lived(seed, sectors, count, both).cuts
    return cuts


def random_cuts(seed, lives):
    # Random lives with up to 12 cuts each; returns the number of cuts.
    dice = Dice(seed)
    cuts = 0
    for _ in range(lives):
        places = [(dice.roll(25), "btgh"[dice.roll(4)]) for _ in range(1 + dice.roll(12))]
        sectors = (3, 4, 5, 8)[dice.roll(4)]
        cuts += lived(dice.roll(1 << 20) + 1, sectors, 20 + dice.roll(100), places).cuts
    return cuts


def broken(program, text, e, chips):
    # The Violation, or Crash, that says how to live `text` again; keeps the flash of `chips`.
    import os

    promised = isinstance(e, (Violation, NorViolation))
    message = "%s: %s" % (text, e if promised else "%s: %s" % (e.__class__.__name__, e))
    message += "\n  live it again: .venv/bin/micropython tests/%s.py %s" % (program, text)
    for folder in ("build", "build/flash-failures"):
        try:
            os.mkdir(folder)
        except OSError:
            continue  # it is there
    for name in chips:
        path = "build/flash-failures/%s_%s_%s.bin" % (program, text.replace("/", "_"), name)
        try:
            with open(path, "wb") as f:
                f.write(chips[name].data)
        except OSError as e:
            path = "not kept, %s" % e
        message += "\n  %s as it was: %s" % (name, path)
    return Violation(message) if promised else Crash(message)


def operations(seed, sectors, count, journal_class=Journal, keep=True):
    # How many programs and erases the steps take without a cut.
    flash = lived(seed, sectors, count, [], journal_class, keep).flash
    return flash.programs + flash.erases


def faulty_life(seed, journal_class=Journal, cuts=(), keep=True):
    # A life on a flash of 10 sectors of which up to three fail, each in its own way.
    # Written as "f/SEED/cuts".
    dice = Dice(seed)
    flash = NorFlash(10 * BLOCK, None, seed)
    for _ in range(1 + dice.roll(3)):
        block = dice.roll(10)
        kind = dice.roll(5)
        if kind == 4:
            for _ in range(1 + dice.roll(3)):
                flash.stick(block * BLOCK + dice.roll(BLOCK), 1 << dice.roll(8), dice.roll(256))
        else:
            kinds = (flash.bad_program, flash.bad_erase, flash.silent_program, flash.silent_erase)
            kinds[kind].add(block)
    # From some point of the life on, another sector takes no more programs.
    life = Life(steps_of(seed, 150), flash, journal_class, True)
    life.fails_at = dice.roll(150)
    try:
        life.live(cuts)
    except Exception as e:  # a crash too is to be lived again
        text = "f/%d/%s" % (seed, ".".join("%d%s" % cut for cut in cuts))
        raise broken("power_cuts", text, e, {"flash": flash} if keep else {}) from e
    return life


def depth_1(seed, sectors, count, every=1, letters="btgh", journal_class=Journal, keep=True):
    # Cut at every operation in every mode; return the number of cuts.
    total = operations(seed, sectors, count, journal_class, keep)
    cuts = 0
    for at in range(0, total, every):
        for letter in letters:
            cuts += lived(seed, sectors, count, [(at, letter)], journal_class, keep).cuts
    return cuts


def relive(text):
    # Live again what a Violation named.
    if text.startswith("f/"):
        _, seed, cuts = text.split("/")
        faulty_life(int(seed), cuts=[(int(c[:-1]), c[-1]) for c in cuts.split(".") if c])
    else:
        lived(*parse(text))


if __name__ == "__main__":
    for text in sys.argv[1:]:
        try:
            relive(text)
        except (Violation, Crash) as e:
            print(e)
            sys.exit(1)
        print(text, "holds")
