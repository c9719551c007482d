# The deny list: look-ups, damage, deltas.

import hashlib

from expect import raises
from flagfall.emv import deny_list as dl

SALT = bytes(range(16))


def pan(n):
    return "62109480%08d" % n


def whole(pans, ranges=(), version=1, size=6):
    body = b"".join([bytes.fromhex(a + b) for a, b in ranges])
    entries = sorted([dl.pan_hash(SALT, p, size) for p in pans])
    body += b"".join(entries)
    digest = hashlib.sha256(body).digest()
    return dl.whole_header(version, size, len(entries), len(ranges), SALT, digest) + body


def delta(base, new, added, removed, ranges=(), size=6):
    head = dl.Header(new)
    out = dl.make_header(
        1,
        size,
        head.version,
        base,
        len(added),
        len(ranges),
        len(removed),
        SALT,
        head.digest,
    )
    out += b"".join([bytes.fromhex(a + b) for a, b in ranges])
    for part in (added, removed):
        out += b"".join(sorted([dl.pan_hash(SALT, p, size) for p in part]))
    return out


def opened(data):
    return dl.DenyList(lambda at, n: data[at : at + n])


def test_look_up():
    for count in (0, 1, 2, 85, 86, 400):
        held = opened(whole([pan(2 * n) for n in range(count)]))
        for n in range(count):
            assert pan(2 * n) in held and pan(2 * n + 1) not in held
        assert pan(999999) not in held


def test_ranges():
    ranges = (("6200000000", "6200000099"), ("6210940000", "6210949999"))
    held = opened(whole([pan(1)], ranges))
    assert pan(77) in held  # its first ten digits are 6210948000
    assert "6200000099000001" in held and "6200000100000001" not in held
    assert "6199999999999999" not in held and "6211000000000000" not in held
    many = [("%010d" % (n * 20), "%010d" % (n * 20 + 9)) for n in range(300)]
    held = opened(whole([], many))
    for n in range(0, 6000, 7):
        assert (("%010d123456" % n) in held) == (n % 20 < 10), n


def test_denied_is_a_plain_function():
    denied = opened(whole([pan(5)])).denied
    assert denied(pan(5)) and not denied(pan(6))


def test_a_damaged_list_is_refused():
    good = whole([pan(n) for n in range(20)], (("6200000000", "6200000099"),))
    opened(good)
    for at in range(0, len(good), 3):
        bad = bytearray(good)
        bad[at] ^= 4
        raises(dl.DenyListError, opened, bytes(bad))
    for n in (0, 4, 111, 112, len(good) - 1):
        raises(dl.DenyListError, opened, good[:n])
    raises(dl.DenyListError, opened, delta(1, good, [], []))


def test_delta():
    before = [pan(n) for n in range(0, 300)]
    after = [pan(n) for n in range(100, 350)]
    ranges = (("6200000000", "6200000099"),)
    old = opened(whole(before))
    new = whole(after, ranges, version=2)
    change = delta(1, new, [pan(n) for n in range(300, 350)], before[:100], ranges)
    out = bytearray()
    assert dl.apply_delta(old, lambda at, n: change[at : at + n], out.extend) == 2
    assert bytes(out) == new
    held = opened(bytes(out))
    assert held.version == 2 and pan(349) in held and pan(99) not in held


def test_delta_that_does_not_fit():
    old = opened(whole([pan(n) for n in range(10)], version=7))
    new = whole([pan(n) for n in range(1, 11)], version=8)

    def refused(change):
        raises(
            dl.DenyListError,
            dl.apply_delta,
            old,
            lambda at, n: change[at : at + n],
            bytearray().extend,
        )

    good = delta(7, new, [pan(10)], [pan(0)])
    out = bytearray()
    dl.apply_delta(old, lambda at, n: good[at : at + n], out.extend)
    assert bytes(out) == new
    refused(delta(6, new, [pan(10)], [pan(0)]))  # another base
    refused(delta(7, new, [pan(10)], [pan(77)]))  # takes away what is not there
    refused(delta(7, new, [pan(5)], [pan(0)]))  # adds what is there
    refused(delta(7, new, [], []))
    refused(new)  # a whole list
    bad = bytearray(good)
    bad[-1] ^= 1
    refused(bytes(bad))


class Synthetic(dl.DenyList):
    """A list of evenly spread hashes that is never held in memory, so not hashed as a whole."""

    def __init__(self, count):
        self.step = 2**48 // count
        self.head = dl.whole_header(1, 6, count, 0, SALT, bytes(32))
        super().__init__(self.read)

    def _check(self):
        pass

    def read(self, at, n):
        if at == 0:
            return self.head
        first, offset = divmod(at - dl.HEADER, 6)
        assert offset == 0
        items = [(first + i) * self.step for i in range(n // 6)]
        return b"".join([item.to_bytes(6, "big") for item in items])


def test_reads_of_a_hundred_thousand_entries():
    held = Synthetic(100000)
    worst = 0
    for n in range(300):
        assert pan(n) not in held
        worst = max(worst, held.reads)
    assert worst <= 11, worst
