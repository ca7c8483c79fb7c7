"""What runs, and the vocabulary that everyone shares: errors, registry, specs, artifacts.

This room knows no engine, no task and no benchmark.
"""
