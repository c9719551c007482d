"""Runs trips through the firmware's own taximeter, and checks what it says."""
