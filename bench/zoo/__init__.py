"""The check of the zoo: every network exported with random weights, and compared with eager PyTorch on engines."""
