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
