"""What a run of the simulation came to."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Outcome:
    """Of one seed; `story` are its last lines."""

    seed: int
    taps: int = 0
    trips: int = 0
    approved: int = 0
    cuts: int = 0
    kills: int = 0
    events: int = 0
    simulated_s: float = 0.0
    story_sha256: str = ""
    faults: dict[str, int] = field(default_factory=dict)  # how often each happened
    violation: str = ""
    story: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k != "story" or self.violation}
