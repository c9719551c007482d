# Cards that paid a short while ago, so that a second tap by mistake asks the driver first.
# MIT licence, (c) 2026 The Flagfall contributors.


class RecentCards:
    """The last `size` cards, kept for `window_s` seconds and by their card tag only.

    `tag(pan, psn)` gives the card tag (docs/formats.md, section 3), so that no number is kept;
    `now_s()` is any clock in seconds that does not step back.
    """

    def __init__(self, tag, now_s, window_s=180, size=8):
        self._tag = tag
        self._now_s = now_s
        self._window_s = window_s
        self._size = size
        self._cards = []  # (tag, seconds), oldest first

    def paid(self, pan, psn):
        """Note that this card has paid."""
        self.paid_by_tag(self._tag(pan, psn))

    def paid_by_tag(self, tag):
        """The same, where only the tag is known."""
        if len(self._cards) >= self._size:
            self._cards.pop(0)
        self._cards.append((bytes(tag), self._now_s()))

    def seen(self, pan, psn):
        """`Terminal`'s question: did this card pay within the window?"""
        now = self._now_s()
        while self._cards and now - self._cards[0][1] > self._window_s:
            self._cards.pop(0)
        tag = self._tag(pan, psn)
        return any([kept == tag for kept, _ in self._cards])
