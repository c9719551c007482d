"""What a terminal asks about: one payment on its way, one batch, and the limits of both."""

from dataclasses import dataclass

from flagfall_host.ledger import money

LAST_STAN = 999_999
LAST_BATCH = 999_999
MOST_PAYMENTS = 999  # of a batch: DE48 counts with three digits
BALANCED, NOT_BALANCED = 1, 2  # the acquirer's verdict in DE48
# States of a settlement row: asked or to be asked; the acquirer agrees; it does not, and is being
# told each payment; it was told all.
BEGUN, CLOSED, UNBALANCED, TOLD = "begun", "balanced", "unbalanced", "told"


@dataclass(frozen=True)
class Upload:
    """One payment on its way: who it is, and the batch and STAN of its message."""

    unit_id: str
    epoch: int
    seq: int
    amount: int
    profile: int  # e-cash or transit, as in the PAYMENT record
    state: str
    batch: int
    stan: int
    sha256: str | None

    @property
    def key(self) -> money.Key:
        return self.unit_id, self.epoch, self.seq


@dataclass(frozen=True)
class Settled:
    """A batch's totals; `balanced` once the acquirer has agreed. `amount` in minor units.

    `uploaded`: how many of its payments a batch upload has told so far.
    """

    batch: int
    stan: int
    count: int
    amount: int
    balanced: bool
    state: str = CLOSED
    uploaded: int = 0
