"""The check of the zoo: every network exported with random weights, and held to parity on engines."""
