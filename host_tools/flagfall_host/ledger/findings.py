"""What a reader of the ledger must be told: one finding, named and placed."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """`kind` is a stable word; the text says what it means, without card data."""

    kind: str
    unit_id: str
    first_seq: int
    last_seq: int
    text: str

    def __str__(self) -> str:
        which = (
            f"record {self.first_seq}"
            if self.first_seq == self.last_seq
            else f"records {self.first_seq} to {self.last_seq}"
        )
        return f"{self.unit_id} {which}: {self.kind}: {self.text}"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
