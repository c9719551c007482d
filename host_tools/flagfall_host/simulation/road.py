"""Where a taxi is: stretches of constant speed, so that a position is one multiplication."""


class Road:
    """`drive` changes the speed; `pulses` says what a distance generator has given by then."""

    def __init__(self) -> None:
        self._mm = 0
        self._since_ms = 0
        self._mm_s = 0  # speed in mm/s

    def drive(self, now_s: float, mm_s: int) -> None:
        """Go on at `mm_s` from now."""
        now_ms = round(now_s * 1_000)
        self._mm = self._mm_at(now_ms)
        self._since_ms = now_ms
        self._mm_s = mm_s

    def jump(self, mm: int) -> None:
        """Pulses that no wheel gave, as of `mm` at once."""
        self._mm += mm

    def _mm_at(self, now_ms: int) -> int:
        return self._mm + (now_ms - self._since_ms) * self._mm_s // 1_000

    def pulses(self, now_s: float, k: int) -> int:
        """Pulses since the beginning of time at `k` pulses a kilometre."""
        return self._mm_at(round(now_s * 1_000)) * k // 1_000_000
