# The same card twice within a set time.

from flagfall.emv.recent_cards import RecentCards


def test_window_and_size():
    now = [100]
    recent = RecentCards(lambda pan, psn: b"%s/%d" % (pan.encode(), psn), lambda: now[0], 60, 2)
    assert not recent.seen("1", 0)
    recent.paid("1", 0)
    assert recent.seen("1", 0) and not recent.seen("1", 1) and not recent.seen("2", 0)
    now[0] = 160
    assert recent.seen("1", 0)
    now[0] = 161
    assert not recent.seen("1", 0)
    for pan in ("a", "b", "c"):
        recent.paid(pan, 0)
    assert [recent.seen(pan, 0) for pan in ("a", "b", "c")] == [False, True, True]
