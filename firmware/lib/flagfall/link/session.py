# The unit's side of the link: bytes in, bytes out, and the unit asked to act.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# docs/formats.md sections 5 and 6. Two kinds of talk share the line. Bare frames (before the
# proof) and tagged ones (after it) each remember their last question, so that a question
# repeated because its answer was lost is answered again without the thing being done twice.

from flagfall.journal.record import JournalError

from . import messages
from .delivery import Delivery, tag_fits
from .frame import HEADER, MAX_FRAME, MAX_PAYLOAD, FrameReader, seal
from .greeting import Greeting, Waiting, WrongKey
from .intake import Intake
from .messages import Busy, Malformed, Refused
from .proof import FROM_HOST, FROM_UNIT, TAG, Tagger
from .speed import Speed

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_FRAMES_A_CALL = const(8)  # frames looked at in one call of next_output
_SECTORS_A_CALL = const(32)  # headers read for one answer: a few milliseconds of flash
_MAX_BARE = const(640)  # bytes of the longest bare answer, a CHALLENGE
_PING_FRAME = const(24)  # bytes: header, newest seq, tag, CRC


class Session:
    """Talks to a host for `unit`; `random_bytes(n)` gives nonces.

    `unit` has: unit_id (str, None in factory state), model, version (str), link_key (32 bytes,
    None in factory state), journal, now() (UTC seconds since 2000), info() -> dict,
    set_time(t) -> the time before, push(kind, bytearray), files() -> dict, provision(dict),
    event(code, text), selftest(part) -> dict, where the carrier's speed can be changed what
    speed.py names, and where long files are taken `spool` (intake.py). push, provision and
    selftest raise Refused to decline, Busy to be asked again.

    The unit's task alternates `feed` and `next_output`. On TLS it is also the one that asks
    whether the other end still lives, with `ping`. Counters: frames, bad_crc, dropped
    (bytes), bad_tag, repeats (questions answered again), stale (frames of the past).
    """

    def __init__(self, unit, random_bytes):
        self._unit = unit
        self._in = FrameReader()
        self._greeting = Greeting(unit, random_bytes)
        self._intake = Intake(getattr(unit, "spool", None))
        self._speed = Speed(unit)
        self._delivery = None
        self._data = bytearray(MAX_FRAME)
        # Bare talk.
        self._bare = bytearray(_MAX_BARE)
        self._bare_length = 0
        self._bare_due = False
        self._bare_question = None  # (type, seq)
        # The session.
        self._tagger = None
        self._answer = bytearray(MAX_FRAME)
        self._answer_length = 0
        self._answer_due = False
        self._last_seq = 0
        # The unit's own pings.
        self._ping = bytearray(_PING_FRAME)
        self._ping_seq = 0
        self._ping_length = 0
        self._ping_due = False
        self.waits_for_pong = False
        self.more = None  # what the last PONG of this session said: True, False; None: none came
        self.bad_tag = self.repeats = self.stale = 0
        self._handlers = {
            messages.INFO: self._info,
            messages.PULL: self._pull,
            messages.RECEIPT: self._receipt,
            messages.PUSH: self._push,
            messages.PART: self._part,
            messages.COMMIT: self._commit,
            messages.TIME: self._time,
            messages.BAUD: self._baud,
            messages.SELFTEST: self._selftest,
            messages.SECTORS: self._sectors,
            messages.FILES: self._files,
            messages.BYE: self._bye,
        }

    @property
    def frames(self):
        return self._in.frames

    @property
    def bad_crc(self):
        return self._in.bad_crc

    @property
    def dropped(self):
        return self._in.dropped

    @property
    def authenticated(self):
        """Whether a host has proved that it holds the unit's key."""
        return self._tagger is not None

    @property
    def pulling(self):
        """Whether records are being sent, or wait for the window to move on."""
        return self._delivery is not None

    def ping(self):
        """Send a PING with the next output; False while no host has proved the key.

        `waits_for_pong` is True until its answer has come, `more` is what that said.
        """
        if self._tagger is None:
            return False
        journal = self._unit.journal
        newest = messages.pack_u32(0 if journal is None else journal.last_seq)
        self._ping_seq = (self._ping_seq + 1) & 0xFFFF
        self._ping[HEADER : HEADER + len(newest)] = newest
        self._ping_length = self._seal_tagged(
            self._ping, messages.PING, self._ping_seq, len(newest)
        )
        self._ping_due = self.waits_for_pong = True
        return True

    def feed(self, chunk):
        """Take bytes from the line; b"" says that a cable was silent for 50 ms or more."""
        if len(chunk):
            self._in.feed(chunk)
        else:
            self._in.silence()

    def next_output(self):
        """The next bytes to send, None if there are none now.

        The view is good until the next call of `next_output`, which says that the bytes have
        been handed to the line. Questions are answered before records go on.
        """
        self._speed.step()
        for _ in range(_FRAMES_A_CALL):
            if self._bare_due or self._answer_due or not self._in.next():
                break
            self._take()
        if self._bare_due:
            self._bare_due = False
            return memoryview(self._bare)[: self._bare_length]
        if self._answer_due:
            self._answer_due = False
            return memoryview(self._answer)[: self._answer_length]
        if self._ping_due:
            self._ping_due = False
            return memoryview(self._ping)[: self._ping_length]
        if self._delivery is not None:
            return self._next_of_delivery()
        return None

    # Frames in.

    def _take(self):
        frame = self._in
        type = frame.type
        if type >= 0x80:
            self.stale += 1  # an answer: our own words, sent back by an echoing line
        elif type == messages.HELLO:
            self._hello()
        elif type == messages.PROOF and self._greeting.open and self._unit.link_key is not None:
            self._proof()
        elif self._bare_question == (type, frame.seq):
            self._repeat_bare()
        elif type == messages.PROVISION and self._unit.link_key is None:
            self._provision()
        elif type == messages.PROOF and self._tagger is not None:
            if frame.seq == self._last_seq:
                self._repeat()
            else:
                self.stale += 1
        elif self._tagger is None:
            text = "prove the key first"
            if self._unit.link_key is None:
                text = "this unit is in factory state: provision it first"
            self._say_bare(messages.ERROR, messages.pack_error(messages.NOT_AUTHENTICATED, text))
        elif not self._tagger.good(FROM_HOST, frame.head, frame.payload):
            self.bad_tag += 1
        else:
            self._tagged(frame.payload[: len(frame.payload) - TAG])

    def _tagged(self, payload):
        type, seq = self._in.type, self._in.seq
        self._speed.good_frame()
        if type == messages.MORE:
            self._more(seq, payload)
        elif type == messages.PONG:
            self._pong(seq, payload)
        elif seq == self._last_seq:
            self._repeat()
        elif seq < self._last_seq:
            self.stale += 1  # the sequence only grows within a session: this was recorded
        else:
            self._last_seq = seq
            self._answer_length = 0
            try:
                handler = self._handlers.get(type)
                if handler is None:
                    self._error(messages.UNKNOWN_MESSAGE, "message %02X is not known" % type)
                else:
                    handler(payload)
            except Malformed as e:
                self._error(messages.MALFORMED, str(e))
            except Busy as e:
                self._error(messages.BUSY, str(e))
            except Refused as e:
                self._error(messages.REFUSED, str(e))
            except JournalError as e:
                self._error(messages.JOURNAL, str(e))

    # Bare talk: greeting and provisioning.

    def _hello(self):
        try:
            nonce = messages.parse_bytes(self._in.payload, 16)
        except Malformed as e:
            self._say_bare(messages.ERROR, messages.pack_error(messages.MALFORMED, str(e)))
            return
        payload = self._greeting.challenge(nonce)
        if payload is None:
            self.stale += 1
            return
        self._bare_question = None
        self._say_bare(messages.CHALLENGE, payload)

    def _proof(self):
        seq = self._in.seq
        try:
            key = self._greeting.prove(messages.parse_bytes(self._in.payload, 16))
        except Malformed as e:
            self._say_bare(messages.ERROR, messages.pack_error(messages.MALFORMED, str(e)))
            return
        except Waiting as e:
            self._say_bare(messages.ERROR, messages.pack_error(messages.BUSY, str(e)))
            return
        except WrongKey as e:
            self._bare_question = (messages.PROOF, seq)
            self._say_bare(messages.ERROR, messages.pack_error(messages.WRONG_KEY, str(e)))
            return
        self._bare_question = None
        self._delivery = None
        self._no_ping()
        self._tagger = Tagger(key)
        self._last_seq = seq
        self._ok({})

    def _provision(self):
        self._bare_question = (messages.PROVISION, self._in.seq)
        try:
            self._unit.provision(messages.parse_json(self._in.payload))
        except Malformed as e:
            self._say_bare(messages.ERROR, messages.pack_error(messages.MALFORMED, str(e)))
        except Refused as e:
            self._say_bare(messages.ERROR, messages.pack_error(messages.REFUSED, str(e)))
        else:
            self._say_bare(messages.OK, b"")

    def _say_bare(self, type, payload):
        n = len(payload)
        self._bare[HEADER : HEADER + n] = payload
        self._bare_length = seal(self._bare, type, self._in.seq, n)
        self._bare_due = True

    def _repeat_bare(self):
        if self._bare_length:
            self.repeats += 1
            self._bare_due = True

    # Answers of the session.

    def _seal_tagged(self, buf, type, seq, n):
        """Tag and close the frame whose payload of `n` bytes is at `buf[8:]`."""
        view = memoryview(buf)
        buf[3] = type
        buf[4] = seq & 0xFF
        buf[5] = seq >> 8
        end = HEADER + n
        view[end : end + TAG] = self._tagger.tag(FROM_UNIT, view[3:6], view[HEADER:end])
        return seal(buf, type, seq, n + TAG)

    def _say(self, type, payload):
        n = len(payload)
        self._answer[HEADER : HEADER + n] = payload
        self._answer_length = self._seal_tagged(self._answer, type, self._last_seq, n)
        self._answer_due = True

    def _ok(self, fields):
        payload = messages.pack_json(fields)
        if not tag_fits(len(payload)):
            raise Refused("the answer is longer than %d bytes" % (MAX_PAYLOAD - TAG))
        self._say(messages.OK, payload)

    def _error(self, code, text):
        self._say(messages.ERROR, messages.pack_error(code, text))

    def _repeat(self):
        if self._answer_length:
            self.repeats += 1
            self._answer_due = True

    # Questions of the session.

    def _info(self, payload):
        messages.parse_bytes(payload, 0)
        self._ok(self._unit.info())

    def _pull(self, payload):
        from_seq, window = messages.parse_pull(payload)
        self._delivery = Delivery(self._journal(), from_seq, window, self._last_seq)

    def _journal(self):
        journal = self._unit.journal
        if journal is None:
            raise Refused("the unit has no journal yet: it lacks its configuration or tariff")
        return journal

    def _more(self, seq, payload):
        if self._delivery is None or self._delivery.seq != seq:
            self.stale += 1
            return
        try:
            self._delivery.arrived(messages.parse_u32(payload))
        except Malformed:
            self.stale += 1

    def _no_ping(self):
        self._ping_due = self.waits_for_pong = False
        self.more = None

    def _pong(self, seq, payload):
        if not self.waits_for_pong or seq != self._ping_seq:
            self.stale += 1
            return
        try:
            self.more = messages.parse_pong(payload)
            self.waits_for_pong = False
        except Malformed:
            self.stale += 1

    def _next_of_delivery(self):
        delivery = self._delivery
        if not delivery.ready:
            return None
        try:
            type, n = delivery.fill(self._data)
        except JournalError as e:
            payload = messages.pack_error(messages.JOURNAL, str(e))
            type, n = messages.ERROR, len(payload)
            self._data[HEADER : HEADER + n] = payload
            self._delivery = None
        if delivery.ended:
            self._delivery = None
        return memoryview(self._data)[: self._seal_tagged(self._data, type, delivery.seq, n)]

    def _receipt(self, payload):
        epoch, upto_seq, link = messages.parse_receipt(payload)
        freed = self._journal().acknowledge(epoch, upto_seq, link, self._unit.now())
        self._ok({"freed": freed})

    def _sectors(self, payload):
        journal = self._journal()
        rows = journal.headers(messages.parse_u32(payload), _SECTORS_A_CALL)
        self._ok({"sectors": journal.sectors, "rows": rows})

    def _push(self, payload):
        kind, total, sha256 = messages.parse_push(payload)
        self._ok({"offset": self._intake.begin(kind, total, sha256)})

    def _part(self, payload):
        offset, data = messages.parse_part(payload)
        self._ok({"offset": self._intake.part(offset, data)})

    def _commit(self, payload):
        kind = messages.parse_kind(payload)
        spool = self._intake.spool_of(kind)
        blob = None
        if spool is None:
            blob = self._intake.whole(kind)
        else:
            spool.must_be_whole(kind)
        try:
            if spool is None:
                self._unit.push(kind, blob)
            else:
                spool.put(kind)
        except Busy:
            raise  # the file is kept: it is asked again
        except Refused as e:
            self._error(messages.NOT_ACCEPTED, str(e))
        else:
            self._ok({})
        self._intake.forget()

    def _files(self, payload):
        messages.parse_bytes(payload, 0)
        self._ok(self._unit.files())

    def _time(self, payload):
        self._ok({"was": self._unit.set_time(messages.parse_u32(payload))})

    def _baud(self, payload):
        self._speed.ask(messages.parse_u32(payload))
        self._ok({})

    def _selftest(self, payload):
        self._ok(self._unit.selftest(messages.parse_kind(payload)))

    def _bye(self, payload):
        messages.parse_bytes(payload, 0)
        self._ok({})
        self._delivery = None
        self._no_ping()
        self._tagger = None
        self._greeting.session_ended()
        self._speed.end()
