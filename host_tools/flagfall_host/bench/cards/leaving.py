"""A card that is taken out of the field in the middle of a tap."""

from flagfall_host.bench.cards.card import Card, CardLeft


class LeavingCard(Card):
    """Wraps a card and pulls it away at one byte of the APDU stream, or at one APDU.

    `at_byte` counts the bytes of commands and responses (status words too) since the field came
    up: byte 0 is the first of the first command. A card that leaves while a command is being
    sent never executes it; one that leaves while it answers has executed it, and the answer is
    lost whole, as a reader chip drops a broken frame. `at_apdu` (0 is the first) with `part`
    "request" or "answer" says the same by APDU. The card leaves in the first `times` taps and
    then stays; it is back as soon as the field comes up anew.
    """

    def __init__(
        self,
        inner: Card,
        *,
        at_byte: int | None = None,
        at_apdu: int | None = None,
        part: str = "answer",
        times: int = 1,
    ) -> None:
        if (at_byte is None) == (at_apdu is None) or part not in ("request", "answer"):
            raise ValueError('give at_byte, or at_apdu and part "request" or "answer"')
        self.inner = inner
        self.name = inner.name
        self.identify_as(inner)
        self.at_byte, self.at_apdu, self.part = at_byte, at_apdu, part
        self.left = False  # out of the field now
        self._times = times
        self._bytes = self._apdus = 0

    def field_on(self) -> None:
        self.left = False
        self._bytes = self._apdus = 0
        self.inner.field_on()
        self.uid = self.inner.uid

    def field_off(self) -> None:
        self.inner.field_off()

    def apdu(self, command: bytes) -> bytes:
        if self.left:
            raise CardLeft(self.name)
        if self._cut("request", len(command)):
            self._leave()
        answer = self.inner.apdu(command)
        if self._cut("answer", len(answer)):
            self._leave()
        self._apdus += 1
        return answer

    def _cut(self, part: str, length: int) -> bool:
        first = self._bytes
        self._bytes += length
        if self._times == 0:
            return False
        if self.at_byte is not None:
            return first <= self.at_byte < self._bytes
        return self.at_apdu == self._apdus and part == self.part

    def _leave(self) -> None:
        self._times -= 1
        self.left = True
        self.inner.field_off()
        raise CardLeft(self.name)
