"""The shortest run of a seed that still fails: fewer taxis, then fewer hours."""

from collections.abc import Callable

from flagfall_host.simulation.outcome import Outcome

_HALVINGS = 6
_SHORTEST_H = 0.1


def shortest(
    attempt: Callable[[int, float], Outcome], failed: Outcome, units: int, hours: float
) -> tuple[int, float, Outcome]:
    """(units, hours, outcome) of the smallest failure found; `attempt(units, hours)` runs one."""
    best = units, hours, failed
    for fewer in range(1, units):
        outcome = attempt(fewer, hours)
        if outcome.violation:
            best = fewer, hours, outcome
            break
    good = 0.0
    for _ in range(_HALVINGS):
        middle = round((good + best[1]) / 2, 2)
        if middle <= max(good, _SHORTEST_H) or middle >= best[1]:
            break
        outcome = attempt(best[0], middle)
        if outcome.violation:
            best = best[0], middle, outcome
        else:
            good = middle
    return best
