"""What can go wrong between a desk and a unit. Each message names the port and the next step."""

from flagfall_host.errors import FlagfallError


class LinkError(FlagfallError):
    """The root of everything the link raises."""


class PortError(LinkError):
    """The port cannot be opened."""


class PortLost(LinkError):
    """The port went away while it was used."""


class NoAnswer(LinkError):
    """No unit was heard, or not any more."""


class WrongKey(LinkError):
    """The unit and this fleet folder do not share a key."""


class UnknownUnit(LinkError):
    """No key is at hand for the unit that answers."""


class FactoryState(LinkError):
    """The unit has no key yet."""


class AlreadyProvisioned(LinkError):
    """The unit has a key and does not take another."""


class UnitRefused(LinkError):
    """The unit answered with an ERROR; `code` is that of docs/formats.md section 6."""

    def __init__(self, message: str, code: int, text: str) -> None:
        super().__init__(message)
        self.code = code
        self.text = text


class UnitFault(LinkError):
    """The unit sent what no unit should send."""


class SessionLost(LinkError):
    """The unit has forgotten the session: it was restarted, or another host spoke to it."""
