"""What can go wrong with a ledger, as a person may act on it."""

from flagfall_host.errors import FlagfallError


class LedgerError(FlagfallError):
    """The root of the ledger's errors."""


class CannotOpen(LedgerError):
    """The database is not there, cannot be read or written, or is no ledger."""


class Busy(LedgerError):
    """Another program holds the ledger for longer than anyone should."""


class StorageFailed(LedgerError):
    """The database could not keep what it was given (disk full, connection lost)."""


class BadUnitId(LedgerError):
    """Not 1 to 16 characters of A-Z, 0-9 and -."""


class MoneyError(LedgerError):
    """Money was to move between two states that nothing leads between."""


class SeveralCurrencies(LedgerError):
    """A sum over more than one currency was asked for."""


class DecisionError(LedgerError):
    """A person asked for something that cannot be decided so."""
