"""What can go wrong when a trip is run on the bench."""

from flagfall_host.errors import FlagfallError


class TripError(FlagfallError):
    """The trip asked for cannot be driven: a bad figure, trace, option or start."""


class RuntimeFailed(FlagfallError):
    """MicroPython is missing, or it stopped with an error."""
