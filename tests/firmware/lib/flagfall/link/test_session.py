# The unit's side of the link: proof, repeats, pushes, and what must not work.
# MIT licence, (c) 2026 The Flagfall contributors.

import hashlib
import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0])

from fake_unit import UNIT_ID, UNIT_KEY, FakeUnit, Stream  # noqa: E402
from flagfall.hmac_sha256 import equal  # noqa: E402
from flagfall.link import messages as m  # noqa: E402
from flagfall.link import proof  # noqa: E402
from flagfall.link.frame import FrameReader, encode  # noqa: E402
from flagfall.link.session import Session  # noqa: E402

HOST_NONCE = b"host's nonce 16B"


class Host:
    """The host's words, spoken by hand."""

    def __init__(self, unit=None, unit_key=UNIT_KEY):
        self.unit = FakeUnit() if unit is None else unit
        self.session = Session(self.unit, Stream(b"unit"))
        self.key = proof.link_key(unit_key)
        self.tagger = None
        self.seq = 0

    def raw(self, wire):
        """Feed bytes; return the frames that come back, as (type, seq, payload)."""
        self.session.feed(wire)
        return self.collect()

    def collect(self, limit=200):
        reader = FrameReader(1 << 16)
        out = []
        for _ in range(limit):
            piece = self.session.next_output()
            if piece is None:
                break
            reader.feed(piece)
            assert reader.next()
            out.append((reader.type, reader.seq, bytes(reader.payload)))
        return out

    def wire(self, type, payload=b"", seq=None):
        if seq is None:
            self.seq += 1
            seq = self.seq
        if self.tagger is not None:
            payload += self.tagger.tag(b"H", bytes((type, seq & 255, seq >> 8)), payload)
        return encode(type, seq, payload)

    def say(self, type, payload=b"", seq=None):
        """Send a question; return all frames, their tags checked and taken off."""
        return [self.untag(f) for f in self.raw(self.wire(type, payload, seq))]

    def untag(self, frame):
        if self.tagger is None:
            return frame
        type, seq, payload = frame
        head = bytes((type, seq & 255, seq >> 8))
        assert self.tagger.good(b"U", head, memoryview(payload)), frame
        return type, seq, payload[:-8]

    def hello(self, nonce=HOST_NONCE):
        self.tagger = None
        frames = self.say(m.HELLO, nonce)
        assert len(frames) == 1 and frames[0][0] == m.CHALLENGE
        self.nonce = nonce
        self.challenge = m.parse_challenge(frames[0][2])
        return self.challenge

    def proof_wire(self):
        unit_nonce, _, _, _, _, unit_id = self.challenge
        p = proof.host_proof(self.key, self.nonce, unit_nonce, unit_id.encode())
        return self.wire(m.PROOF, p)

    def open(self, nonce=HOST_NONCE):
        self.hello(nonce)
        frames = self.raw(self.proof_wire())
        self.tagger = proof.Tagger(proof.session_key(self.key, nonce, self.challenge[0]))
        assert [self.untag(f) for f in frames] == [(m.OK, self.seq, b"")]
        return self

    def ask(self, type, payload=b"", seq=None):
        frames = self.say(type, payload, seq)
        assert len(frames) == 1, frames
        if frames[0][0] == m.ERROR:
            return m.parse_error(frames[0][2])
        assert frames[0][0] == m.OK
        return m.parse_json(frames[0][2])


def records_of(frames):
    from flagfall.journal.record import split

    out = []
    for type, _, payload in frames:
        if type == m.DATA:
            out += [r.seq for r in split(payload[4:])]
    return out


def test_the_unit_proves_its_key_and_names_itself():
    host = Host()
    unit_nonce, state, unit_proof, model, version, unit_id = host.hello()
    assert (state, model, version, unit_id) == (1, "fake", "0.0 test", UNIT_ID)
    expected = proof.unit_proof(host.key, HOST_NONCE, unit_nonce, unit_id.encode())
    assert equal(unit_proof, expected)


def test_without_a_proof_the_unit_answers_hello_and_nothing_else():
    host = Host()
    for type in range(2, 0x80):
        frames = host.say(type, bytes(24))
        assert len(frames) == 1 and frames[0][0] == m.ERROR
        assert m.parse_error(frames[0][2])[0] == m.NOT_AUTHENTICATED
    host.hello()
    assert host.ask(m.INFO)[0] == m.NOT_AUTHENTICATED
    assert not host.session.authenticated
    assert host.unit.pushed == [] and host.unit.provisioned == []


def test_a_wrong_key_is_told_reported_and_slowed():
    host = Host(unit_key=b"not the key of this unit, 32 byt")
    host.hello()
    frames = host.raw(host.proof_wire())
    assert m.parse_error(frames[0][2])[0] == m.WRONG_KEY
    assert host.unit.events == [(9, "wrong key on the link, tries: 1")]
    right = Host(host.unit)
    right.session = host.session
    right.hello()
    frames = right.raw(right.proof_wire())
    code, text = m.parse_error(frames[0][2])
    assert (code, text) == (m.BUSY, "a wrong key was tried: wait 1 s")
    host.unit.clock += 1
    right.open()
    assert right.ask(m.INFO)["unit_id"] == UNIT_ID


def test_waits_double_to_the_limit_and_events_thin_out():
    host = Host(unit_key=b"not the key of this unit, 32 byt")
    waits = []
    for _ in range(20):
        host.hello()
        frames = host.raw(host.proof_wire())
        assert m.parse_error(frames[0][2])[0] == m.WRONG_KEY
        host.hello()
        code, text = m.parse_error(host.raw(host.proof_wire())[0][2])
        assert code == m.BUSY
        waits.append(int(text.split(" ")[-2]))
        host.unit.clock += waits[-1]
    assert waits == [1, 2, 4, 8, 16, 32] + [60] * 14
    assert [int(t.split(" ")[-1]) for _, t in host.unit.events] == [1, 2, 4, 8, 16]


def test_a_clock_set_back_does_not_lock_the_unit():
    host = Host(unit_key=b"not the key of this unit, 32 byt")
    host.hello()
    host.raw(host.proof_wire())
    host.unit.clock -= 5000
    right = Host(host.unit)
    right.session = host.session
    right.open()


def test_one_challenge_is_good_for_one_try():
    host = Host(unit_key=b"not the key of this unit, 32 byt")
    host.hello()
    first = host.raw(host.proof_wire())
    assert m.parse_error(first[0][2])[0] == m.WRONG_KEY
    host.key = proof.link_key(UNIT_KEY)
    host.unit.clock += 60
    again = host.raw(host.proof_wire())
    assert m.parse_error(again[0][2])[0] == m.NOT_AUTHENTICATED


def test_a_replayed_proof_opens_nothing():
    host = Host()
    host.hello()
    recorded = host.proof_wire()
    host.raw(recorded)
    host.tagger = proof.Tagger(proof.session_key(host.key, HOST_NONCE, host.challenge[0]))
    assert host.ask(m.BYE) == {}
    assert not host.session.authenticated
    host.hello()  # the thief sends the same nonce again
    frames = host.raw(recorded)
    assert m.parse_error(frames[0][2])[0] == m.WRONG_KEY
    assert not host.session.authenticated


def test_a_replayed_question_does_nothing():
    host = Host().open()
    recorded = host.wire(m.TIME, m.pack_u32(5))
    host.raw(recorded)
    assert host.ask(m.INFO)["unit_id"] == UNIT_ID
    assert host.raw(recorded) == []
    assert host.unit.times == [5]
    host.open(b"another nonce 16")
    assert host.raw(recorded) == []
    assert host.unit.times == [5]
    assert host.session.bad_tag == 1 and host.session.stale == 1


def test_reflected_frames_and_wrong_tags_are_dropped_and_counted():
    host = Host().open()
    answer = host.raw(host.wire(m.INFO))[0]
    assert host.raw(encode(*answer)) == []  # an echo
    seq = host.seq + 1
    head = bytes((m.TIME, seq & 255, seq >> 8))
    payload = m.pack_u32(9)
    reflected = encode(m.TIME, seq, payload + host.tagger.tag(b"U", head, payload))
    assert host.raw(reflected) == []
    assert host.raw(encode(m.TIME, seq, payload + bytes(8))) == []
    assert host.raw(encode(m.TIME, seq, payload)) == []
    assert host.raw(encode(m.TIME, seq, b"")) == []
    assert host.session.bad_tag == 4
    assert host.unit.times == []


def test_a_repeated_question_gets_the_same_answer_and_is_done_once():
    host = Host().open()
    wire = host.wire(m.TIME, m.pack_u32(77))
    first = host.raw(wire)
    assert host.raw(wire) == first and host.raw(wire) == first
    assert host.unit.times == [77]
    assert host.session.repeats == 2


def test_a_repeated_hello_gets_the_same_challenge_and_a_repeated_proof_the_same_ok():
    host = Host()
    assert host.hello() == host.hello()
    wire = host.proof_wire()
    first = host.raw(wire)
    assert len(first) == 1 and host.raw(wire) == first
    assert host.unit.events == []


def test_a_late_copy_of_the_greeting_does_not_disturb_the_session():
    host = Host()
    hello = host.wire(m.HELLO, HOST_NONCE)
    host.challenge = m.parse_challenge(host.raw(hello)[0][2])
    host.nonce = HOST_NONCE
    wire = host.proof_wire()
    host.raw(wire)
    host.tagger = proof.Tagger(proof.session_key(host.key, HOST_NONCE, host.challenge[0]))
    assert host.ask(m.INFO)["unit_id"] == UNIT_ID
    assert host.raw(hello) == [] and host.raw(wire) == []
    assert host.ask(m.INFO)["unit_id"] == UNIT_ID
    assert host.unit.events == []


def test_a_strangers_hello_does_not_end_the_session():
    host = Host().open()
    stranger = host.raw(encode(m.HELLO, 1, b"stranger's nonce"))
    assert stranger[0][0] == m.CHALLENGE
    assert host.ask(m.INFO)["unit_id"] == UNIT_ID


def test_a_strangers_wrong_proof_does_not_end_the_session():
    host = Host().open()
    host.raw(encode(m.HELLO, 1, b"stranger's nonce"))
    assert m.parse_error(host.raw(encode(m.PROOF, 2, bytes(16)))[0][2])[0] == m.WRONG_KEY
    assert host.ask(m.INFO)["unit_id"] == UNIT_ID


def test_unknown_and_malformed_questions_change_nothing():
    host = Host().open()
    assert host.ask(0x55)[0] == m.UNKNOWN_MESSAGE
    for type in (
        m.PULL,
        m.RECEIPT,
        m.PUSH,
        m.PART,
        m.COMMIT,
        m.TIME,
        m.BAUD,
        m.SELFTEST,
        m.INFO,
        m.BYE,
    ):
        assert host.ask(type, b"\xff" * 3)[0] == m.MALFORMED, type
    assert host.ask(m.PUSH, b"\x01")[0] == m.MALFORMED
    assert host.ask(m.INFO)["unit_id"] == UNIT_ID


def test_any_bytes_of_a_host_that_has_the_key_get_an_answer_and_no_crash():
    host = Host().open()
    rnd = Stream(b"any")
    for _ in range(300):
        type = (m.INFO, m.PULL, m.RECEIPT, m.PUSH, m.PART, m.COMMIT, m.TIME, m.BAUD, m.SELFTEST)[
            rnd.below(9)
        ]
        for answer in host.say(type, rnd(32)[: rnd.below(33)]):
            assert answer[0] in (m.OK, m.ERROR, m.END, m.DATA)
    assert host.ask(m.INFO)["unit_id"] == UNIT_ID


def test_records_come_in_order_inside_the_window():
    host = Host()
    host.unit.append(120, 200)
    host.open()
    frames = host.say(m.PULL, m.pack_pull(1, 2))
    assert [f[0] for f in frames] == [m.DATA, m.DATA]
    assert [int.from_bytes(f[2][:4], "little") for f in frames] == [0, 1]
    pull_seq = host.seq
    for number in range(200):
        if frames[-1][0] == m.END:
            break
        more = host.wire(m.MORE, m.pack_u32(number), pull_seq)
        frames += [host.untag(f) for f in host.raw(more)]
    assert records_of(frames) == list(range(1, 121))
    assert m.parse_end(frames[-1][2]) == (len(frames) - 1, 120)
    assert all(len(f[2]) + 8 <= 2048 for f in frames)
    assert not host.session.pulling


def test_frames_are_well_filled():
    host = Host()
    host.unit.append(100, 90)
    host.open()
    frames = host.say(m.PULL, m.pack_pull(1, 32))
    sizes = [len(f[2]) for f in frames if f[0] == m.DATA]
    assert min(sizes[:-1]) > 2036 - 160


def test_a_pull_from_the_middle_and_from_beyond_the_end():
    host = Host()
    host.unit.append(30)
    host.open()
    assert records_of(host.say(m.PULL, m.pack_pull(21, 32))) == list(range(21, 31))
    frames = host.say(m.PULL, m.pack_pull(31, 32))
    assert [f[0] for f in frames] == [m.END] and m.parse_end(frames[0][2]) == (0, 30)


def test_questions_are_answered_while_records_wait_for_the_window():
    host = Host()
    host.unit.append(200, 200)
    host.open()
    host.say(m.PULL, m.pack_pull(1, 1))
    assert host.session.pulling
    assert host.ask(m.INFO)["last_seq"] == 200
    host.open(b"another nonce 16")
    assert not host.session.pulling


def test_a_more_of_another_pull_or_beyond_what_was_sent_moves_nothing():
    host = Host()
    host.unit.append(200, 200)
    host.open()
    host.say(m.PULL, m.pack_pull(1, 1))
    assert host.say(m.MORE, m.pack_u32(0), host.seq - 1) == []
    assert host.say(m.MORE, m.pack_u32(1000), host.seq) == []
    assert [f[0] for f in host.say(m.MORE, m.pack_u32(0), host.seq)] == [m.DATA]


def test_a_receipt_frees_and_a_wrong_one_is_refused():
    host = Host()
    host.unit.append(200, 200)
    host.open()
    record = next(host.unit.journal.read(150))
    wrong = m.pack_receipt(record.epoch, 150, b"\0\0\0\0")
    assert host.ask(m.RECEIPT, wrong)[0] == m.JOURNAL
    assert host.ask(m.RECEIPT, m.pack_receipt(record.epoch, 9999, b"abcd"))[0] == m.JOURNAL
    right = m.pack_receipt(record.epoch, 150, bytes(record.mac[:4]))
    assert host.ask(m.RECEIPT, right)["freed"] > 2
    assert host.ask(m.RECEIPT, right) == {"freed": 0}


def test_sector_headers_are_told_in_parts():
    host = Host(FakeUnit(sectors=70)).open()
    host.unit.append(200)
    rows = []
    while len(rows) < 70:
        answer = host.ask(m.SECTORS, m.pack_u32(len(rows)))
        assert answer["sectors"] == 70 and 1 <= len(answer["rows"]) <= 32
        rows += answer["rows"]
    good = [row for row in rows if row[0] == 1]
    assert [row[1] for row in good] == list(range(1, len(good) + 1))
    assert good[0][2] == 1 and rows[-1] == [0, 0, 0]
    assert host.ask(m.SECTORS, m.pack_u32(70))["rows"] == []
    assert host.say(m.SECTORS, b"")[0][0] == m.ERROR


def test_a_damaged_record_is_shown_in_its_place():
    host = Host()
    host.unit.append(9)
    at = bytes(host.unit.flash.data).find(b"record 5 ")
    host.unit.flash.data[at] = 0
    host.open()
    frames = host.say(m.PULL, m.pack_pull(1, 32))
    assert records_of(frames) == [1, 2, 3, 4, 6, 7, 8, 9]
    assert [f[0] for f in frames] == [m.DATA, m.DAMAGED, m.DATA, m.END]
    number, first, last, address, remains = m.parse_damaged(frames[1][2])
    assert (number, first, last) == (1, 5, 5)
    assert address <= at < address + len(remains) and len(remains) <= 256


def push(host, kind, blob, start=0, part=700):
    digest = hashlib.sha256(blob).digest()
    offset = host.ask(m.PUSH, m.pack_push(kind, len(blob), digest))["offset"]
    assert offset == start
    while offset < len(blob):
        offset = host.ask(m.PART, m.pack_part(offset, blob[offset : offset + part]))["offset"]
    return host.ask(m.COMMIT, m.pack_str(kind))


def test_a_pushed_file_arrives_whole():
    host = Host().open()
    blob = bytes(range(256)) * 20
    assert push(host, "tariff", blob) == {}
    assert host.unit.pushed == [("tariff", blob)]


def test_a_cut_push_goes_on_in_the_next_session():
    host = Host().open()
    blob = bytes(range(256)) * 20
    digest = hashlib.sha256(blob).digest()
    host.ask(m.PUSH, m.pack_push("tariff", len(blob), digest))
    host.ask(m.PART, m.pack_part(0, blob[:1000]))
    host.open(b"another nonce 16")
    assert push(host, "tariff", blob, start=1000) == {}
    assert host.unit.pushed == [("tariff", blob)]


def test_a_busy_unit_keeps_the_file_until_it_is_asked_again():
    host = Host().open()
    taken = host.unit.push
    host.unit.push = busy
    assert push(host, "tariff", b"abc") == (m.BUSY, "a card is being read")
    host.unit.push = taken
    assert host.ask(m.COMMIT, m.pack_str("tariff")) == {}
    assert host.unit.pushed == [("tariff", b"abc")]
    assert host.ask(m.FILES, b"") == {"kinds": {}}
    assert host.ask(m.FILES, b"x")[0] == m.MALFORMED


def busy(kind, blob):
    raise m.Busy("a card is being read")


class Spool:
    # Takes "long" files; what it holds, and one wait before a file is in force.
    def __init__(self):
        self.held = b""
        self.waits = 1

    def takes(self, kind):
        return kind == "long"

    def begin(self, kind, total, sha256):
        return len(self.held)

    def part(self, offset, data):
        if offset == len(self.held):
            self.held += bytes(data)
        return len(self.held)

    def must_be_whole(self, kind):
        if len(self.held) != 2000:
            raise m.Refused("%d bytes have come" % len(self.held))

    def put(self, kind):
        if self.waits:
            self.waits -= 1
            raise m.Busy("being checked")


def test_long_files_go_to_the_spool_and_short_ones_do_not():
    spool = Spool()
    unit = FakeUnit()
    unit.spool = spool
    host = Host(unit).open()
    blob = bytes(2000)
    assert push(host, "short", b"abc") == {}
    host.ask(m.PUSH, m.pack_push("long", 2000, bytes(32)))
    host.ask(m.PART, m.pack_part(0, blob[:900]))
    assert host.ask(m.COMMIT, m.pack_str("long")) == (m.REFUSED, "900 bytes have come")
    assert host.ask(m.PART, m.pack_part(0, blob[:900])) == {"offset": 900}
    host.open(b"another nonce 16")
    assert push(host, "long", blob, start=900) == (m.BUSY, "being checked")
    assert host.ask(m.COMMIT, m.pack_str("long")) == {}
    assert spool.held == blob and host.unit.pushed == [("short", b"abc")]


def test_parts_out_of_place_are_answered_with_the_right_offset():
    host = Host().open()
    host.ask(m.PUSH, m.pack_push("x", 100, bytes(32)))
    assert host.ask(m.PART, m.pack_part(50, b"late")) == {"offset": 0}
    assert host.ask(m.PART, m.pack_part(0, b"a" * 60)) == {"offset": 60}
    assert host.ask(m.PART, m.pack_part(0, b"a" * 60)) == {"offset": 60}
    assert host.ask(m.PART, m.pack_part(60, b"a" * 60))[0] == m.REFUSED
    assert host.ask(m.COMMIT, m.pack_str("x"))[0] == m.REFUSED


def test_a_file_that_is_damaged_too_long_or_nonsense_is_not_taken():
    host = Host().open()
    host.ask(m.PUSH, m.pack_push("x", 4, bytes(32)))
    host.ask(m.PART, m.pack_part(0, b"abcd"))
    assert host.ask(m.COMMIT, m.pack_str("x"))[0] == m.REFUSED
    assert host.ask(m.PUSH, m.pack_push("x", 16385, bytes(32)))[0] == m.REFUSED
    assert host.ask(m.PUSH, m.pack_push("x", 0, bytes(32)))[0] == m.REFUSED
    assert host.ask(m.PART, m.pack_part(0, b"abcd"))[0] == m.REFUSED
    assert push(host, "nonsense", b"abc") == (m.NOT_ACCEPTED, "this makes no sense")
    assert host.unit.pushed == []


def test_a_factory_unit_takes_its_identity_once():
    host = Host(FakeUnit(None))
    _, state, unit_proof, _, _, unit_id = host.hello()
    assert (state, unit_proof, unit_id) == (0, bytes(16), "")
    assert host.ask(m.INFO)[0] == m.NOT_AUTHENTICATED
    assert host.ask(m.PROVISION, b"{")[0] == m.MALFORMED
    assert host.ask(m.PROVISION, m.pack_json({"x": 1}))[0] == m.REFUSED
    key = UNIT_KEY
    hexed = "".join("%02x" % b for b in key)
    wire = host.wire(m.PROVISION, m.pack_json({"unit_id": "NEW-1", "unit_key": hexed}))
    first = host.raw(wire)
    assert first[0][0] == m.OK and host.raw(wire) == first
    assert len(host.unit.provisioned) == 1
    again = m.pack_json({"unit_id": "OTHER", "unit_key": hexed})
    assert host.ask(m.PROVISION, again)[0] == m.NOT_AUTHENTICATED
    host.open(b"another nonce 16")
    assert host.unit.unit_id == "NEW-1"


def test_a_proof_sent_to_a_factory_unit_is_no_crash_and_no_try():
    host = Host(FakeUnit(None))
    host.hello()
    assert host.ask(m.PROOF, bytes(16))[0] == m.NOT_AUTHENTICATED
    assert host.unit.events == []


def test_a_unit_without_journal_refuses_to_pull():
    host = Host()
    host.unit.journal = None
    host.open()
    assert host.ask(m.PULL, m.pack_pull(1, 1))[0] == m.REFUSED
    assert host.ask(m.RECEIPT, m.pack_receipt(1, 1, b"abcd"))[0] == m.REFUSED


def test_bye_ends_the_session():
    host = Host().open()
    assert host.ask(m.BYE) == {}
    assert not host.session.authenticated
    host.tagger = None
    assert host.ask(m.INFO)[0] == m.NOT_AUTHENTICATED


def test_many_questions_in_one_chunk_are_all_answered():
    host = Host().open()
    wire = b"".join(host.wire(m.INFO) for _ in range(40))
    assert len(host.raw(wire)) == 40


def test_garbage_of_any_kind_leaves_the_session_alive():
    host = Host().open()
    rnd = Stream(b"line")
    for _ in range(100):
        host.session.feed(rnd(32) * rnd.below(9))
        host.collect()
        host.session.feed(b"")
    for _ in range(600):
        host.session.feed(b"")
        host.collect()
    assert host.ask(m.INFO)["unit_id"] == UNIT_ID


def test_the_output_is_small_enough_and_made_one_frame_at_a_time():
    host = Host()
    host.unit.append(300, 200)
    host.open()
    reads = host.unit.journal.medium.reads
    host.session.feed(host.wire(m.PULL, m.pack_pull(1, 32)))
    first = host.session.next_output()
    assert len(first) <= 2060
    assert host.unit.journal.medium.reads - reads < 60


def test_the_units_ping_is_answered_by_one_pong_and_no_other():
    host = Host()
    assert not host.session.ping()  # nobody has proved the key yet
    host.open()
    host.unit.append(3)
    assert host.session.ping() and host.session.waits_for_pong and host.session.more is None
    (kind, seq, payload) = host.untag(host.collect()[0])
    assert (kind, m.parse_u32(payload)) == (m.PING, host.unit.journal.last_seq)
    assert host.say(m.PONG, m.pack_pong(True), seq + 1) == []  # of another ping
    assert host.say(m.PONG, b"\x02", seq) == [] and host.session.waits_for_pong
    pong = host.wire(m.PONG, m.pack_pong(True), seq)
    assert host.raw(pong) == [] and host.session.more is True
    assert not host.session.waits_for_pong
    host.session.ping()
    (kind, again, _) = host.untag(host.collect()[0])
    assert again == seq + 1
    assert host.raw(pong) == [] and host.session.waits_for_pong  # recorded: it counts no more
    assert host.say(m.PONG, m.pack_pong(False), again) == []
    assert host.session.more is False
    assert host.session.stale == 3
    assert host.ask(m.INFO)["last_seq"] == 3  # the host's own sequence has not moved


def test_a_ping_does_not_disturb_a_pull_or_an_answer_that_is_due():
    host = Host().open()
    host.unit.append(5)
    host.session.feed(host.wire(m.INFO))
    host.session.ping()
    frames = [host.untag(f) for f in host.collect()]
    assert [f[0] for f in frames] == [m.OK, m.PING]
    host.session.ping()
    kinds = [f[0] for f in host.say(m.PULL, m.pack_pull(1, 8))]
    assert kinds == [m.PING, m.DATA, m.END]
    host.ask(m.BYE)
    assert not host.session.ping() and host.collect() == []


def test_a_part_is_tested_and_an_unknown_one_refused():
    host = Host().open()
    assert host.ask(m.SELFTEST, m.pack_str("reader")) == {"state": "pass", "detail": "reader"}
    assert host.ask(m.SELFTEST, m.pack_str("engine"))[0] == m.REFUSED
