"""What a card keeps without power: counter, balance, log, and the copy of its last record.

Everything a transaction changes is put in place by one call, as a card's non-volatile memory
does it: before the call nothing has changed, after it everything has.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from flagfall_host.errors import FlagfallError

_LOG_ENTRIES = 10


class CardStateUnreadable(FlagfallError):
    """A file that should hold a bench card's state does not."""


@dataclass
class CardMemory:
    """The memory of one application. `balance` is in minor units."""

    atc: int = 0
    balance: int = 0
    log: list[str] = field(default_factory=list)  # newest first, hex
    last_record: str = ""  # whole record, hex; empty before the first transaction
    last_record_at: int = 0  # SFI * 256 + record number
    owner_present: bool = False  # a phone that its owner has unlocked for the next tap

    def commit(self, debit: int, log_entry: bytes, at: int, record: bytes) -> None:
        """Debit, log and keep the last record, all at once."""
        if not 0 <= debit <= self.balance:
            raise ValueError("debit outside the balance")
        log = [log_entry.hex().upper(), *self.log][:_LOG_ENTRIES]
        self.balance, self.log = self.balance - debit, log
        self.last_record, self.last_record_at = record.hex().upper(), at


def save(path: Path, memories: Mapping[str, CardMemory]) -> None:
    """Replace the file at `path`; whenever it is read it is the old state or the new one."""
    beside = path.with_name(path.name + ".new")
    state = {aid: asdict(memory) for aid, memory in memories.items()}
    beside.write_text(json.dumps(state, indent=1) + "\n", encoding="ascii")
    os.replace(beside, path)


def load(path: Path) -> dict[str, CardMemory]:
    """The state saved at `path`, by AID. Raises CardStateUnreadable."""
    try:
        state = json.loads(path.read_text(encoding="ascii"))
        return {aid: CardMemory(**memory) for aid, memory in state.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise CardStateUnreadable(
            f"{path} does not hold the state of a bench card: delete it to start a new card"
        ) from error
