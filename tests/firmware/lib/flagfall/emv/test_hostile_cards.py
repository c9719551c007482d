# Cards that answer with noise, with their own answers spoilt, or with structures made to hurt.
# Whatever they send, a tap ends in a typed outcome, after a bounded number of steps, and never
# approves without a signature that verifies. More of the same: test_hostile_soak_cpython.py.

import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0])

import os  # noqa: E402

import scripted_card as sc  # noqa: E402
from flagfall.emv import outcome as oc  # noqa: E402
from flagfall.emv import transaction as kernel  # noqa: E402
from flagfall.emv.tlv import encode  # noqa: E402
from flagfall.emv.transaction import Transaction  # noqa: E402

_SOAK = os.getenv("FLAGFALL_SOAK") == "1"
ANSWERS = 15000 if _SOAK else 1000  # for each of the two kinds below

CODES = (
    oc.APPROVED,
    oc.DECLINED,
    oc.TORN,
    oc.DISPUTED,
    oc.TRY_AGAIN,
    oc.OTHER_INTERFACE,
    oc.END,
    oc.ANOTHER_CARD,
    oc.ASK_DRIVER,
)


class Dice:
    """The same numbers on both runtimes (a linear congruential generator of 32 bit)."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 1664525 + 1013904223) & 0xFFFFFFFF
        return (self.state >> 8) % n

    def bytes(self, n):
        return bytes([self.below(256) for _ in range(n)])


def play(answer, terminal, torn=None):
    """Run one tap against `answer(command)`; return (transaction, answers given)."""
    tx = Transaction(terminal, 2160, sc.UN, sc.DATE, sc.TIME, torn=torn)
    command = tx.start()
    answers = 0
    while command is not None:
        assert 5 <= len(command) <= 261
        command = tx.step(answer(command))
        answers += 1
        assert answers <= kernel.MAX_APDUS
    assert tx.outcome.code in CODES and tx.outcome.message
    # A record that counts as money is of an approved tap, and of no other.
    assert (tx.outcome.record_outcome() in (1, 4)) == (tx.outcome.code == oc.APPROVED)
    return tx, answers


def tlv_noise(dice, depth=3):
    """Objects that are well formed, with tags a kernel knows and values of any kind."""
    tags = (0x82, 0x94, 0x57, 0x5A, 0x9F10, 0x9F26, 0x9F36, 0x9F27, 0x84, 0x9F38, 0x4F, 0x87)
    tags += (0x8F, 0x90, 0x92, 0x9F32, 0x9F46, 0x9F47, 0x9F48, 0x9F4A, 0x9F4B, 0x9F69, 0x5F24)
    nests = (0x6F, 0xA5, 0xBF0C, 0x61, 0x70, 0x77)
    out = b""
    for _ in range(dice.below(5)):
        if depth and dice.below(2):
            inner = tlv_noise(dice, depth - 1)
            out += encode(nests[dice.below(len(nests))], inner)
        else:
            out += encode(tags[dice.below(len(tags))], dice.bytes(dice.below(20)))
    return out[:256]


def test_noise():
    noise(1, ANSWERS)


def noise(seed, count):
    """Play `count` answers that no honest card gives."""
    dice = Dice(seed)
    terminal = sc.terminal(profiles=(sc.ODA, sc.ECASH), sm2=True)
    given = 0
    while given < count:

        def answer(command):
            kind = dice.below(3)
            body = dice.bytes(dice.below(64)) if kind == 0 else tlv_noise(dice)
            if kind == 2 and command[:2] == b"\x00\xb2":
                body = encode(0x70, body[:250])
            return body + (b"\x90\x00" if dice.below(8) else dice.bytes(2))

        tx, answers = play(answer, terminal)
        given += answers
        assert tx.outcome.code != oc.APPROVED


def altered(card, victim, change):
    """An `answer` for `play`: the card's own, but for that to command `victim`."""

    def answer(command):
        response = card.apdu(command)
        return change(response) if card.count - 1 == victim else response

    card.field_on()
    return answer


def spoil(dice, response):
    """Change one thing of an honest answer."""
    kind = dice.below(6)
    at = dice.below(len(response))
    if kind == 0:
        return response[:at]
    if kind == 1:
        return response[:at] + dice.bytes(1) + response[at + 1 :]
    if kind == 2:
        return response[:at] + response[at + 1 :]
    if kind == 3:
        return response[:at] + bytes((response[at] ^ 1 << dice.below(8),)) + response[at + 1 :]
    if kind == 4:
        return response[:at] + dice.bytes(dice.below(8)) + response[at:]
    return dice.bytes(dice.below(260))


# Bytes that no signature covers, so that a change of them may well be approved, and which the
# issuer checks instead when the payment is uploaded: cryptogram, issuer data, discretionary data.
def _harmless(card, tx):
    data = dict(tx.outcome.data)
    signed = (0x5A, 0x5F24, 0x82, 0x9F36)
    same = dict(sc.tap(sc.Card()).outcome.data)
    return all([data.get(tag) == same.get(tag) for tag in signed])


def test_honest_answers_spoilt():
    assert len(spoilt(2, ANSWERS)) >= 4


def spoilt(seed, count):
    """Play `count` answers, one of each tap spoilt; return how the taps ended."""
    dice = Dice(seed)
    terminal = sc.terminal()
    given = 0
    ends = {}
    while given < count:
        card = sc.Card()
        victim = dice.below(7)
        tx, answers = play(altered(card, victim, lambda r: spoil(dice, r)), terminal)
        given += answers
        code = tx.outcome.code
        ends[code] = ends.get(code, 0) + 1
        if code == oc.APPROVED:
            assert _harmless(card, tx), (tx.outcome, victim)
        elif card.balance != 50000:
            # The money has gone: then the outcome must not be "nothing was debited".
            assert code in (oc.DISPUTED, oc.TORN), (tx.outcome, victim)
    return ends


def flip(tag, size, offset):
    """A `change_records` that changes one byte of the value of `tag`, which has `size` bytes."""
    name = encode(int(tag, 16), bytes(size))[:-size]  # tag and length

    def change(records):
        for at, record in enumerate(records):
            start = record.find(name)
            if start >= 0:
                start += len(name) + offset
                changed = bytes((record[start] ^ 0x40,))
                records[at] = record[:start] + changed + record[start + 1 :]
                return
        raise ValueError(tag)

    return change


def test_no_fdda_no_approval():
    sizes = {"9F4B": 64, "90": 80, "92": 28, "9F46": 72, "9F48": 34}
    for tag in sorted(sizes):
        for offset in range(0, sizes[tag], 5):
            card = sc.Card(change_records=flip(tag, sizes[tag], offset))
            tx = sc.tap(card)
            assert tx.outcome.code in (oc.DECLINED, oc.END), (tag, offset, tx.outcome)
            assert card.balance == 50000


def test_replayed_tap_is_not_approved():
    first = sc.Card()
    replies = []
    first.field_on()
    tx = Transaction(sc.terminal(), 2160, sc.UN, sc.DATE, sc.TIME)
    command = tx.start()
    while command is not None:
        replies.append(first.apdu(command))
        command = tx.step(replies[-1])
    assert tx.outcome.code == oc.APPROVED
    replay = list(replies)
    tx = Transaction(sc.terminal(), 2160, b"\x00\x00\x00\x01", sc.DATE, sc.TIME)
    command = tx.start()
    while command is not None:
        command = tx.step(replay.pop(0))
    assert (tx.outcome.code, tx.outcome.reason) == (oc.DISPUTED, "fdda")
    replay = list(replies)
    tx = Transaction(sc.terminal(), 2161, sc.UN, sc.DATE, sc.TIME)
    command = tx.start()
    while command is not None:
        command = tx.step(replay.pop(0))
    assert (tx.outcome.code, tx.outcome.reason) == (oc.DISPUTED, "fdda")


def test_noise_at_the_re_tap_keeps_the_torn_payment():
    dice = Dice(3)
    for _ in range(60):
        card = sc.Card(leave_at=(6, "answer"))
        torn = sc.tap(card).torn
        victim = dice.below(6)
        answer = altered(card, victim, lambda r: spoil(dice, r))
        tx, _ = play(answer, sc.terminal(), torn)
        if tx.outcome.code == oc.APPROVED:
            assert tx.outcome.flags & oc.FLAG_RESOLVED
        else:
            assert tx.torn is torn, tx.outcome
        assert card.balance == 50000 - 2160


def test_structures_made_to_hurt():
    deep = b"\x5a\x01\x12"
    while len(deep) < 250:
        deep = encode(0x61, deep)
    wide = b"\x81\x00" * 120
    longest = encode(0x94, b"\x08\x01\x20\x00\x10\x01\x20\x00")
    for body in (deep, wide, longest, encode(0x6F, deep), encode(0x6F, wide), b"\x00" * 256):
        answers = body[:256] + b"\x90\x00"
        for position in range(7):
            card = sc.Card(answers={position: answers})
            card.field_on()
            tx, _ = play(card.apdu, sc.terminal())
            assert tx.outcome.code != oc.APPROVED


def test_card_with_too_many_applications_and_records():
    entries = b""
    for n in range(13):
        entries += encode(0x61, encode(0x4F, sc.RID + bytes((n, 0, 0))))
    body = encode(0x84, b"2PAY.SYS.DDF01") + encode(0xA5, encode(0xBF0C, entries))
    ppse = encode(0x6F, body) + b"\x90\x00"
    assert len(ppse) <= 258
    from flagfall.emv.aid import AidParameters

    row = AidParameters(sc.RID)
    row.floor = 50000
    commands = []

    def answer(command):
        commands.append(command)
        return ppse if len(commands) == 1 else b"\x6a\x82"

    tx, answers = play(answer, sc.terminal(aids=[row]))
    assert (tx.outcome.code, answers) == (oc.END, 14)
    tx, answers = play(lambda command: ppse, sc.terminal(aids=[row]))
    assert tx.outcome.code == oc.END
