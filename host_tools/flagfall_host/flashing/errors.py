"""What may go wrong while a unit is flashed. Each message says what to do next.

Exit codes: 2 something on this computer is missing or wrong (nothing was sent to the unit), 3 no
answer, 4 not the right chip or module, 5 written but not verified, 1 anything else.
"""

from flagfall_host.errors import FlagfallError


class FlashError(FlagfallError):
    """The unit was not flashed, or only in part: running the command again makes it right."""


class InputError(FlashError):
    """A file or a board is missing or makes no sense. Nothing was sent to the unit."""

    exit_code = 2


class NoAnswer(FlashError):
    """The port cannot be opened, or nobody answers there."""

    exit_code = 3


class WrongChip(FlashError):
    """There is a chip, but not the one that this board has."""

    exit_code = 4


class NotVerified(FlashError):
    """What was read back is not what was written."""

    exit_code = 5
