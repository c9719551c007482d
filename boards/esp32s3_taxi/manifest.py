# What is frozen into MicroPython for this board: what the whole family has.
# MIT licence, (c) 2026 The Flagfall contributors.

include("$(BOARD_DIR)/../esp32/manifest.py")  # noqa: F821 - a name of MicroPython's makemanifest
