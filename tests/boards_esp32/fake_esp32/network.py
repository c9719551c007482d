# network.WLAN, as far as a board needs it: a radio that can be switched on and off.
# MIT licence, (c) 2026 The Flagfall contributors.

history = []


class WLAN:
    IF_STA = 0

    def __init__(self, interface):
        if interface != self.IF_STA:
            raise ValueError("no such interface")

    def active(self, on):
        history.append(bool(on))


def ipconfig(name):
    if name != "dns":
        raise ValueError("unknown parameter")
    return "127.0.0.1"


class PPP:
    """network.PPP of 1.27 and newer. `made`: all of them; a test sets `connected`."""

    SEC_NONE = 0
    SEC_PAP = 1
    SEC_CHAP = 2
    made = []

    def __init__(self, stream):
        if not hasattr(stream, "irq") or not hasattr(stream, "IRQ_RXIDLE"):
            raise TypeError("the stream needs irq() and IRQ_RXIDLE")
        self.stream = stream
        self.connected = self.asked = False
        self.security = None
        PPP.made.append(self)

    def active(self, on):
        if not on:
            raise RuntimeError("hangs when the modem is silent")
        self._active = True

    def connect(self, security=SEC_NONE, user=None, key=None):
        if self.asked:
            raise OSError("a PPP object is used once here")
        if security and not (user and key):
            raise ValueError("user and key are needed")
        self.security = (security, user, key)
        self.asked = True

    def isconnected(self):
        return self.connected

    def disconnect(self):
        self.connected = False

    def config(self, *, stream):
        if self.connected:
            raise RuntimeError("crashes: the connection stands")
        self.stream = stream
