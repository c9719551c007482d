# Starts the taximeter as the chip does: mount the "vfs" image, run its main.py.
# MIT licence, (c) 2026 The Flagfall contributors.
#
#   micropython start_from_image.py IMAGE [MODULE ...]
#
# With modules it imports those instead of running main.py and prints where each came from.

import os
import sys

import vfs
from nor_flash import NorFlash

# Without arguments, as MicroPython on ESP32 mounts it: read and program size 32, look-ahead 32.
vfs.mount(vfs.VfsLfs2(NorFlash(path=sys.argv[1])), "/unit")
os.chdir("/unit")
sys.path[0] = ""  # the current folder first, as on the chip
if len(sys.argv) > 2:
    import chooser

    chooser.root = "/unit"
    sys.path.insert(0, "/unit/" + chooser.choose())
    for name in sys.argv[2:]:
        print(name, __import__(name, None, None, ("*",)).__file__)
else:
    with open("main.py") as f:
        source = f.read()
    exec(source)  # noqa: S102 - what the chip does at start
