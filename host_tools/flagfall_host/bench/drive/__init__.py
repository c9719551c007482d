"""The driver's seat: the bench unit on a terminal screen, for a person to drive."""
