"""The ledger: `Ledger.open(path_or_url)`."""

from flagfall_host.ledger.ledger import BookingResult, Finding, Ledger, LedgerError

__all__ = ["BookingResult", "Finding", "Ledger", "LedgerError"]
