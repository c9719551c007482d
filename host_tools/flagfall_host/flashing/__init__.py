"""Putting the firmware on a unit: partition table, program image, and esptool as a program."""
