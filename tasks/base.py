"""What a task is: frozen metadata and a pure scorer of arrays. A task runs no engine and reads no file.

A plug-in subclasses :class:`Task` in one file and is named by one line of ``tasks/catalog.py``. Everything that is
chosen is chosen on ``val``; ``test`` is read once, for the score.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from export.spec import Metric
from tasks.data.base import Scope


@dataclass(frozen=True)
class FeatureSet:
    """One split's features.

    Attributes:
        features: float32 [n, d], as the engine emitted them (not normalised).
        labels: int64 [n], 0 … classes−1.
        classes: names, in label order; the same for all splits.
    """

    features: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.features.ndim != 2 or len(self.features) != len(self.labels):
            raise ValueError(f"features {self.features.shape} and labels {self.labels.shape} do not belong together")

    def __len__(self) -> int:
        return len(self.labels)

    def smallest_class(self) -> tuple[int, str]:
        """Images and name of the class that has the fewest, of those that have any."""
        counts = np.bincount(self.labels, minlength=len(self.classes))
        counts = np.where(counts > 0, counts, np.iinfo(np.int64).max)
        return int(counts.min()), self.classes[int(counts.argmin())]


@dataclass(frozen=True)
class Splits:
    """The three splits of one data set, seen through one cell.

    Attributes:
        val: empty where the set is a gallery (train) and queries (test).
        junk: int64 [p, 2], (test row, train row), each once: pairs that are neither right nor wrong.
    """

    train: FeatureSet
    val: FeatureSet
    test: FeatureSet
    junk: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 2), np.int64))


@dataclass(frozen=True)
class TaskMeta:
    """What a reader must know to compare two scores.

    Attributes:
        version: raised whenever the same features would give another score.
        settings: every constant of the protocol; they go into the score's key.
        outputs: the engine outputs it needs.
        protocol: one or two sentences, for the report, with the source.
        scope: of the data that it is scored on: "closed", or "open" where some test images are of no known class.
    """

    name: str
    version: int
    main_metric: str
    unit: str
    higher_is_better: bool
    protocol: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    outputs: tuple[str, ...] = ("features",)
    scope: Scope = "closed"


@dataclass(frozen=True)
class Score:
    """A task's result.

    Attributes:
        metrics: the main metric first; each with its standard error and n.
        per_sample: float [n_test]: each test sample's part in the main metric (its mean is the main value, for tasks
            where that is so), in the order of the test split, so that two cells can be compared sample by sample: the
            mean of resampled parts must vary as the main value does with other test images.
        per_draw: float [draws]: where the main value is a mean over seeded draws of training images, the same draws for
            every cell, each draw's mean over the test samples; empty where there is one fit only.
        chosen: hyper-parameters, and the value on val that chose each.
        sweep: rows of what was tried (JSON values), for the report.
    """

    metrics: Sequence[Metric]
    per_sample: npt.NDArray[np.float64]
    chosen: Mapping[str, Any] = field(default_factory=dict)
    sweep: Sequence[Mapping[str, Any]] = ()
    per_draw: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    @property
    def main(self) -> Metric:
        return self.metrics[0]


class Task(ABC):
    """A scorer. ``score`` must be pure: the same arrays and seed give the same score."""

    meta: ClassVar[TaskMeta]

    def check(self, splits: Splits) -> None:
        """Refuse data that the task cannot be scored on (one class, fewer images than shots).

        Raises:
            UserError: with the reason.
        """

    @abstractmethod
    def score(self, splits: Splits, seed: int) -> Score:
        """Score one cell's features. Call :meth:`check` first."""
