# Plain wires for drivers: a pin, an analogue input, a PWM output. Both runtimes.
# MIT licence, (c) 2026 The Flagfall contributors.


class Wire:
    """A machine.Pin: `level` is set by the world or by the driver."""

    def __init__(self, level=0):
        self.level = level
        self.history = []

    def value(self, *level):
        if not level:
            return self.level
        self.level = int(level[0])
        self.history.append(self.level)
        return None


class Voltage:
    """A machine.ADC at a divider: `uv` at the pin."""

    def __init__(self, uv):
        self.uv = uv

    def read_uv(self):
        return self.uv


class Piezo:
    """A machine.PWM: `played` has (Hz, duty) after each change of the duty."""

    def __init__(self):
        self.played = []
        self.hertz = 0

    def freq(self, hertz):
        self.hertz = hertz

    def duty_u16(self, duty):
        self.played.append((self.hertz, duty))
