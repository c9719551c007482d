# What differs between the modems, as data: power key, names, how each tells the time.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Times are of the makers' hardware design guides, rounded up (SIM7600 V1.06 3.3, A7670 V1.02 3.2,
# EC2x V2.0 3.7): to be confirmed on a board (docs/hardware.md section 8).

LOCAL = True  # the clock shows the time of its zone
UTC = False


class Model:
    """One family. `names`: how AT+CGMM may begin; `on_ms`, `off_ms`: how long the power key is
    pressed; `boot_ms`: until the AT port answers; `down_ms`: until it is really off; `setup`:
    commands after each start; `time`: (command, prefix, whether what it shows is local)."""

    def __init__(self, name, names, on_ms, boot_ms, off_ms, down_ms, setup, time):
        self.name = name
        self.names = names
        self.on_ms = on_ms
        self.boot_ms = boot_ms
        self.off_ms = off_ms
        self.down_ms = down_ms
        self.setup = setup
        self.time = time


_CCLK = ("AT+CCLK?", "+CCLK:", LOCAL)
# AT+CTZU=1 makes Quectel's +CCLK show UTC beside a zone that is not that of what it shows. +QLTS=1
# is UTC in every release, and empty while the network has not told the time.
_QLTS = ("AT+QLTS=1", "+QLTS:", UTC)

SIM7600 = Model(
    "SIM7600",
    ("SIM7600", "SIMCOM_SIM7600", "SIM7500", "SIMCOM_SIM7500"),
    500,
    16000,
    2500,
    26000,
    ("AT+CTZU=1",),
    _CCLK,
)
A7670 = Model("A7670", ("A76", "SIMCOM_A76"), 500, 12000, 3000, 6000, ("AT+CTZU=1",), _CCLK)
EC2X = Model("EC2x", ("EC20", "EC21", "EC25"), 600, 15000, 800, 30000, ("AT+CTZU=1",), _QLTS)

ALL = (SIM7600, A7670, EC2X)
# Before a modem has said what it is: a press that switches each of them on and none of them off,
# and the longest times.
ANY = Model("modem", (), 600, 16000, 3000, 30000, (), _CCLK)


def of(name):
    """The model whose AT+CGMM says `name`; ANY for one that is not known."""
    for model in ALL:
        if name.startswith(model.names):
            return model
    return ANY
