"""What a pull brings, and what it needs of a ledger."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from flagfall_host.depot.link_errors import LinkError


@dataclass(frozen=True)
class DamagedRange:
    """Records that the unit's flash has lost; `remains` are up to 256 bytes of what is there."""

    first_seq: int
    last_seq: int
    address: int
    raw: bytes


class Refused(Protocol):
    """A record that was not booked; str() says which and why."""

    @property
    def seq(self) -> int: ...

    @property
    def raw(self) -> bytes: ...


class Booking(Protocol):
    """What the ledger says of one batch."""

    @property
    def repeated(self) -> int: ...

    @property
    def refused(self) -> Sequence[Refused]: ...

    @property
    def findings(self) -> Sequence[object]: ...


class Ledger(Protocol):
    """What a pull needs of the ledger; each call is durable when it returns."""

    def last_seq(self, unit_id: str) -> int: ...

    def book(self, unit_id: str, raws: list[bytes], journal_key: bytes) -> Booking: ...

    def book_damage(self, unit_id: str, damage: Any, accepted: bool = False) -> Any: ...

    def receipt(self, unit_id: str) -> tuple[int, int, bytes] | None: ...


class BookingDesk(Protocol):
    """A ledger that may make its caller wait; each call is durable when its wait is over."""

    async def last_seq(self, unit_id: str) -> int: ...

    async def book(self, unit_id: str, raws: list[bytes], journal_key: bytes) -> Booking: ...

    async def book_damage(self, unit_id: str, damage: Any, accepted: bool = False) -> Any: ...

    async def receipt(self, unit_id: str) -> tuple[int, int, bytes] | None: ...


class LostRecords(LinkError):
    """Everything else is booked, but records are damaged, forged or gone."""

    exit_code = 3

    def __init__(self, message: str, result: "PullResult") -> None:
        super().__init__(message)
        self.result = result


@dataclass
class PullResult:
    """What one pull brought."""

    unit_id: str
    from_seq: int
    last_seq: int = 0  # the newest record in the unit's journal
    records: int = 0
    record_bytes: int = 0
    repeated: int = 0  # of the records: booked before
    damaged: list[DamagedRange] = field(default_factory=list)
    missing: list[tuple[int, int]] = field(default_factory=list)  # in neither unit nor ledger
    refused: list[tuple[int, str]] = field(default_factory=list)  # by the ledger: seq, why
    findings: list[str] = field(default_factory=list)  # booked, but the chain does not hold
    receipt_upto: int = 0  # 0: none was given
    freed: int = 0  # sectors
    pulls: int = 0  # PULLs sent: more than one after lost frames
    seconds: float = 0.0
    info: dict[str, object] = field(default_factory=dict)  # what INFO answered
