"""Inputs drawn at random for each door: success with every input accounted for, or a sentence."""

import os

CASES = int(os.environ.get("CASES", "100"))
"""Examples of each property."""
