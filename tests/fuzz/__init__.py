import os

CASES = int(os.environ.get("CASES", "100"))
"""How many examples each fuzzer tries."""
