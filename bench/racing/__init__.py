"""A race: many backbones start, growing rungs of test images eliminate, and what is left is measured whole."""

from __future__ import annotations

DELTA = 0.05
"""The probability that the best is lost, at most."""
TOLERANCE = 0.5
"""Points of accuracy that are practically equal."""
SEEDS = 20
"""Orders of the test images in a replay."""
