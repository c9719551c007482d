"""The whole system on one clock, under every fault, from one seed (docs/simulation.md)."""
