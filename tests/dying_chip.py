# The block device between littlefs and bench NOR, for tests whose power goes. On MicroPython.
# MIT licence, (c) 2026 The Flagfall contributors.

from nor_flash import PowerCut


class DyingChip:
    # After the cut it is silent: files that MicroPython closes later must not raise from within
    # the collector.
    def __init__(self, flash):
        self.flash = flash
        self.dead = False

    def readblocks(self, block, buf, offset=0):
        if not self.dead:
            self.flash.readblocks(block, buf, offset)

    def writeblocks(self, block, buf, offset=0):
        if not self.dead:
            try:
                self.flash.writeblocks(block, buf, offset)
            except PowerCut:
                self.dead = True
                raise
        return 0

    def ioctl(self, op, arg):
        if self.dead and op == 6:
            return 0
        try:
            return self.flash.ioctl(op, arg)
        except PowerCut:
            self.dead = True
            raise
