# What MicroPython runs at start: the chooser picks one of the two programs beside this file.
# MIT licence, (c) 2026 The Flagfall contributors.

import os

import chooser

chooser.start(os.getcwd())
