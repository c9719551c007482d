# The SSD1306 on I2C: 128 x 64 dots, eight pages of 128 columns.
# MIT licence, (c) 2026 The Flagfall contributors.

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


ADDRESS = const(0x3C)
SECOND_ADDRESS = const(0x3D)  # SA0 at the supply
WIDTH = const(128)
PAGES = const(8)

# SSD1306 data sheet, section 9 (commands) and the flow chart of its application note.
_SET_UP = bytes(
    (
        0x00,  # control byte: commands follow
        0xAE,  # display off
        0xD5, 0x80,  # clock
        0xA8, 0x3F,  # 64 lines
        0xD3, 0x00,  # no offset
        0x40,  # start line 0
        0x8D, 0x14,  # charge pump on
        0x20, 0x02,  # page addressing
        0xA1, 0xC8,  # the connector's side is up
        0xDA, 0x12,  # COM pins of a 128 x 64 panel
        0x81, 0xCF,  # contrast
        0xD9, 0xF1,  # pre-charge
        0xDB, 0x40,  # VCOMH
        0xA4, 0xA6,  # show the RAM, not inverted
        0xAF,  # display on
    )
)  # fmt: skip
_DATA = b"\x40"  # control byte: data follow


class SSD1306:
    """`page(number, dots)` puts columns on a page (bit 0 on top), all 128 or those from `first`
    on. Raises OSError.

    The panel is set up with the first page and after each time that it did not answer; what was
    on it then is gone, which `set_ups` tells.
    """

    def __init__(self, i2c, address=ADDRESS):
        self._i2c = i2c
        self._address = address
        self._ready = False
        self._place = bytearray(4)
        self.set_ups = 0
        self.faults = 0  # times that the panel did not answer

    def open(self):
        """Set the panel up if it is not. Raises OSError."""
        if not self._ready:
            self._try(self._i2c.writeto, _SET_UP)
            self._ready = True
            self.set_ups += 1

    def page(self, number, dots, first=0):
        self.open()
        place = self._place
        place[1] = 0xB0 | number
        place[2] = first & 0x0F
        place[3] = 0x10 | first >> 4
        self._try(self._i2c.writeto, place)
        self._try(self._i2c.writevto, (_DATA, dots))

    def _try(self, write, data):
        try:
            write(self._address, data)
        except OSError:
            self.faults += 1
            self._ready = False
            raise
