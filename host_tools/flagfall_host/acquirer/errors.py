"""What may go wrong between the ledger and the acquirer."""

from flagfall_host.errors import FlagfallError


class AcquirerError(FlagfallError):
    """The root of this layer's errors. No message holds a card number."""


class ProfileError(AcquirerError):
    """The acquirer's profile makes no sense."""


class FrameError(AcquirerError):
    """Bytes that should be an ISO 8583 frame of this profile are not."""


class KeysError(AcquirerError):
    """A working key does not check, or there is none."""


class NoAnswer(AcquirerError):
    """The acquirer did not answer: what was asked stays unknown until it is asked again."""


class Refused(AcquirerError):
    """The acquirer answered, and said no."""


class SealedError(AcquirerError):
    """Sealed card data cannot be opened."""


class KeyRecordMissing(SealedError):
    """The KEY record that opens these data has not arrived (yet)."""


class WrongFleetKey(AcquirerError):
    """Card data are sealed to another fleet key than the one at hand."""
