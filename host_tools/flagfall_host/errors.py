"""The root of every error that a person may see.

A message says what happened, where, and what to do next, in one line. `cli.main` prints it and
exits with `exit_code`; no traceback reaches a user. Each layer has one small family below this.
"""


class FlagfallError(Exception):
    """Something the user can act on. `str(error)` is the whole message."""

    exit_code = 1
