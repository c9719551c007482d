# What is frozen into MicroPython for every board of this family: the port's own modules
# (machine.Counter is one of them) and asyncio. The taximeter's program is in the "vfs" partition
# and changes without it.
# MIT licence, (c) 2026 The Flagfall contributors.

freeze("$(PORT_DIR)/modules")  # noqa: F821 - the names are those of MicroPython's makemanifest
include("$(MPY_DIR)/extmod/asyncio")  # noqa: F821
require("ssl")  # noqa: F821 - micropython-lib: TLS contexts for the uplink
