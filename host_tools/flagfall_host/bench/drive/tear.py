"""When to pull a card away so that it hurts most: while the record that debits it is read."""

from flagfall.emv.tlv import TlvError, collect

from flagfall_host.bench.reader.field import Exchange, Field

_GPO, _READ_RECORD = 0xA8, 0xB2


class TearAtLastRecord:
    """For Field.tear: counts the records that the card's AFL names, and tears at the last."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self._left: int | None = None

    def heard(self, exchange: Exchange) -> None:
        """To be the field's `on_exchange`: learns from the answer to GPO."""
        answer = exchange.response
        if answer is not None and exchange.command[1] == _GPO:
            self._left = records_of(answer[:-2])

    def matches(self, command: bytes, _index: int) -> bool:
        if command[1] != _READ_RECORD or self._left is None:
            return False
        self._left -= 1
        return self._left <= 0


def records_of(answer: bytes) -> int:
    """How many records the AFL (EMV Book 3, 10.2) in an answer to GPO names."""
    found: dict[int, bytes] = {}
    try:
        collect(answer, found)
    except TlvError:
        return 0
    afl = found.get(0x94, b"")
    return sum(afl[i + 2] - afl[i + 1] + 1 for i in range(0, len(afl) - 3, 4))
