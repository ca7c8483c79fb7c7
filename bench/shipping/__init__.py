"""From a verdict to a folder that predicts without this project."""

from __future__ import annotations

from pathlib import Path


def predict_source() -> Path:
    """The program that a folder gets as ``predict.py``."""
    return Path(__file__).with_name("predict.py")
