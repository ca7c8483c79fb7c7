"""What runs, and the vocabulary that everyone shares: errors, registry, specs, artifacts.

This room knows no engine, no task and no benchmark.
"""

__version__ = "0.1.0"
