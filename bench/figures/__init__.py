"""The harness measured by itself: ``python -m bench.figures``."""
