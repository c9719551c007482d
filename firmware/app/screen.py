# What the driver and the passenger see: the face of the meter, sent only when it changes.
# MIT licence, (c) 2026 The Flagfall contributors.

from flagfall.clock import civil
from flagfall.language import english
from flagfall.meter.taximeter import FOR_HIRE, HIRED, STOPPED

_POSITIONS = {FOR_HIRE: "FOR HIRE", HIRED: "HIRED", STOPPED: "STOPPED"}


class Screen:
    """Composes the face. `say` puts a line for the driver on it.

    Both the English text and, where `words` (app/words.py) has another, the driver's own are on
    the face: a display that has no font for his language shows the English one.
    """

    def __init__(self, display, buzzer, utc_s, words):
        self._display = display
        self._buzzer = buzzer
        self._utc_s = utc_s
        self._words = words
        self._meter = None
        self._duty = None
        self._face = None  # as it was shown last, and in which second
        self._second = 0
        self._dark = True  # nothing is known yet that could be shown
        self._message = self._message_own = ""
        self._number = 0
        self._warning = self._warning_own = ""
        self._key = None
        self._minute = self._clock = None  # the local time of the face, and its text
        self._secret = False
        self.lights = None  # of the card reader, where the board has them: `show(state)`

    def attach(self, meter, duty):
        """Show this meter's face from here on; without one: that the unit is not provisioned."""
        self._meter = meter
        self._duty = duty
        self._dark = False

    def say(self, template, *args):
        """A line for the driver, in plain words; at once. `template` is English, and what the
        language file knows it by: it is filled with `args` here, never before."""
        self._message = english(template, *args)
        self._message_own = self._words(template, *args)
        self._number += 1
        self.refresh()

    def warn(self, template="", *args):
        """What is wrong with the unit, until it is over (nothing: all is well). As `say`."""
        text = english(template, *args)
        if text != self._warning:
            self._warning = text
            self._warning_own = self._words(template, *args)
            self._number += 1

    def secret(self, on):
        """Whether what is typed now is nobody's business: the displays show stars for it."""
        self._secret = on
        self._number += 1

    def reader(self, state):
        """What the passenger sees at the reader: off, idle, ready, processing, read, alert."""
        if self.lights is not None:
            self.lights.show(state)

    def tone(self, name):
        self._buzzer.tone(name)

    def refresh(self):
        """Send the face if anything on it has changed, and as it is each second: a display may
        have lost its supply meanwhile."""
        if self._dark:
            return
        if self._meter is None:
            face = {"position": "NOT PROVISIONED", "message": self._message}
            self._add_own(face)
            self._show(face, (self._message, self._number))
            return
        t = self._meter.taximeter
        duty = self._duty
        second = self._utc_s()
        position = t.position
        fare = t.fare
        supplements = t.supplements
        ten_metres = t.distance_mm // 10000
        waiting_s = t.slow_ms // 1000
        price = t.unit_price
        slow = t.slow
        # Compare a few integers each tick; build the face only when one has changed.
        minute = second // 60
        key = (position, fare, supplements, ten_metres, waiting_s, price, slow, t.night, t.options)
        key += (minute, self._number, duty.trip, duty.paid, duty.driver)
        if key == self._key:
            if second != self._second:
                self._second = second
                self._display.show(self._face)
            return
        self._second = second
        minute += self._meter.utc_offset_s // 60
        if minute != self._minute:
            self._minute = minute
            local = civil(minute * 60)
            self._clock = "%02d:%02d" % (local[3], local[4])
        face = {
            "position": _POSITIONS[position],
            "fare": fare,
            "supplements": supplements,
            "distance_mm": ten_metres * 10000,
            "waiting_s": waiting_s,
            "unit_price": price,
            "slow": bool(slow),
            "night": bool(t.night),
            "options": t.options,
            "currency": self._meter.currency,
            "minor_digits": self._meter.minor_digits,
            "clock": self._clock,
            "roof_light": position == FOR_HIRE and bool(duty.driver),
            "driver": duty.driver,
            "trip": duty.trip,
            "paid": duty.paid,
            "message": self._message,
            "said": self._number,
        }
        if self._warning:
            face["warning"] = self._warning
        if self._secret:
            face["secret"] = True
        self._add_own(face)
        self._show(face, key)

    def _add_own(self, face):
        if self._message_own != self._message:
            face["message_own"] = self._message_own
        if self._warning_own != self._warning:
            face["warning_own"] = self._warning_own

    def _show(self, face, key):
        if key != self._key:
            self._key = key
            self._face = face
            self._display.show(face)
