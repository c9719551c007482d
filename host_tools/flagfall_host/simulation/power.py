"""What ends everything a unit is doing."""


class PowerGone(BaseException):
    """The unit has no power: whatever it was doing, it does no more.

    Not an Exception, so that no handler of the firmware's sees it.
    """
