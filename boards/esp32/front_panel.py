# What the driver, the passenger and the street see: every display, and the roof light.
# MIT licence, (c) 2026 The Flagfall contributors.


class FrontPanel:
    """Shows a face on all displays, `driver`'s first, then the fare, then the `others`, and by
    the roof light whether the taxi is free."""

    def __init__(self, driver, fare, others, roof_light):
        self._fare = fare
        self._displays = [driver, fare] + others
        self._roof_light = roof_light
        self._starting = False

    @property
    def faults(self):
        """How often a display did not answer."""
        return sum(display.faults for display in self._displays)

    @property
    def fare_faults(self):
        """How often the fare display did not answer."""
        return self._fare.faults

    def show(self, face):
        self._roof_light.value(1 if face.get("roof_light") else 0)
        for display in self._displays:
            display.show(face)
        if self._starting:
            self._starting = False
            self.all_segments(False)

    def start(self):
        """Light everything there is until there is a first face: who waits sees that no segment
        is dark, and no fare that is not one."""
        self._starting = True
        self.all_segments(True)

    def all_segments(self, on):
        """Light everything there is, until it is called again with False."""
        for display in self._displays:
            display.all_segments(on)
