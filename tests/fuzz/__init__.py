"""Whatever people bring: success with every input accounted for, or a sentence; never a traceback."""

import os

CASES = int(os.environ.get("CASES", "50"))
"""Examples of each property."""
