# esp32.Partition over NOR flash files.
# MIT licence, (c) 2026 The Flagfall contributors.

import chip


class Partition:
    TYPE_APP = 0
    TYPE_DATA = 1

    def __init__(self, label, flash):
        self._label = label
        self._flash = flash

    @staticmethod
    def find(type=0, subtype=0xFF, label=None, block_size=4096):
        found = []
        for name, (kind, sub, flash) in chip.partitions().items():
            if kind == type and subtype in (0xFF, sub) and label in (None, name):
                found.append(Partition(name, flash))
        return found

    def readblocks(self, block, buf, offset=0):
        return self._flash.readblocks(block, buf, offset)

    def writeblocks(self, block, buf, offset=None):
        return self._flash.writeblocks(block, buf, offset)

    def ioctl(self, op, arg=0):
        return self._flash.ioctl(op, arg)
