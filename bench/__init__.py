"""Runs cells, measures their cost, keeps records, and gives the verdict.

From Python: ``from bench import evaluate``. Nothing is loaded until one of the names is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.evaluation import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from bench import evaluation

    return getattr(evaluation, name)
