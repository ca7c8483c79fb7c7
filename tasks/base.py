"""What a task is: frozen metadata and two verbs over arrays. A task runs no engine and reads no file.

``fit`` learns on train and chooses on val; ``judge`` reads test once, and gives the score. A fit is made once and
judged on every test set that goes with it: another corruption, a shift, images of no known class.

A plug-in subclasses :class:`Task` in one file and is named by one line of ``tasks/catalog.py``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt

from export.geometry import Frame
from export.spec import Metric, PreprocessSpec
from tasks.data.base import Scope
from tasks.data.targets import Kind, Masks, Objects

FEATURES = "features"
"""The output that every backbone has: pooled, one vector an image."""
MAPS = "maps"
"""Stands in a task's outputs for all feature maps that the cell gives, whatever they are called: its taps."""


class Rows(Protocol):
    """float32 [n, …]: an array, or what is read like one and lies in several files."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: slice | npt.NDArray[np.int64], /) -> npt.NDArray[np.float32]: ...


@dataclass(frozen=True)
class Labels:
    """One class an image.

    Attributes:
        values: int64 [n], 0 … classes−1.
        classes: names, in label order; the same for all splits.
        junk: int64 [p, 2], (row here, row of train), each once: pairs that are neither right nor wrong. Of test only.
    """

    values: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    junk: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 2), np.int64))

    def __len__(self) -> int:
        return len(self.values)


Targets = Labels | Masks | Objects


@dataclass(frozen=True)
class Batchwise:
    """One split of a data set, seen through one cell.

    Attributes:
        outputs: by name, what the engine emitted: float32 [n, …], row by row in the order of ``targets``, not
            normalised. Maps are [n, c, h, w], those of the smallest stride first. Rows may be memory-mapped, or
            computed when they are asked for: read them in parts where they are wide (:meth:`at`).
        targets: what is right.
        spec: how a picture became the network's input; None where that does not matter.
    """

    outputs: Mapping[str, Rows]
    targets: Targets
    spec: PreprocessSpec | None = None

    def __post_init__(self) -> None:
        for name, rows in self.outputs.items():
            if len(rows) != len(self.targets):
                raise ValueError(f"{name} has {len(rows)} rows for {len(self.targets)} targets")

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def features(self) -> npt.NDArray[np.float32]:
        """The pooled output, float32 [n, d]."""
        return np.asarray(self.outputs[FEATURES])

    @property
    def labelled(self) -> Labels:
        """The targets of a set of kind "labels"."""
        assert isinstance(self.targets, Labels), "a task is scored on the data of its own kind only"
        return self.targets

    @property
    def masks(self) -> Masks:
        """The targets of a set of kind "masks"."""
        assert isinstance(self.targets, Masks), "a task is scored on the data of its own kind only"
        return self.targets

    @property
    def objects(self) -> Objects:
        """The targets of a set of kind "boxes" or "shapes"."""
        assert isinstance(self.targets, Objects), "a task is scored on the data of its own kind only"
        return self.targets

    def at(self, rows: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.float32]]:
        """Every output of some rows, float32 [len(rows), …] by name."""
        return {name: part[rows] for name, part in self.outputs.items()}

    def frame(self, row: int) -> Frame:
        """Where that row's picture lies in the network's input; of masks and objects."""
        assert self.spec is not None
        assert not isinstance(self.targets, Labels)
        height, width = self.targets.sizes[row]
        return Frame.of(self.spec, int(height), int(width))

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        return self.labelled.values

    @property
    def classes(self) -> tuple[str, ...]:
        return self.targets.classes

    def smallest_class(self) -> tuple[int, str]:
        """Images and name of the class that has the fewest, of those that have any."""
        counts = np.bincount(self.labels, minlength=len(self.classes))
        counts = np.where(counts > 0, counts, np.iinfo(np.int64).max)
        return int(counts.min()), self.classes[int(counts.argmin())]


@dataclass(frozen=True)
class Splits:
    """The three splits of one data set, seen through one cell; val is empty where train is a gallery, test queries."""

    train: Batchwise
    val: Batchwise
    test: Batchwise


@dataclass(frozen=True)
class FitMeta:
    """What a fit depends on besides its data, the seed and the outputs. Tasks that name the same one share the fit.

    Attributes:
        version: raised whenever the same features would give another fit.
        settings: every constant of it (JSON values).
    """

    name: str
    version: int
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskMeta:
    """What a reader must know to compare two scores.

    Attributes:
        version: raised whenever the same features would give another score.
        settings: every constant of the protocol; they go into the score's key.
        kind: of the targets that it is scored on: it is scored on the data that have these.
        outputs: the engine outputs that ``fit`` reads (and ``judge``, where ``head`` is empty); :data:`MAPS` for all
            maps. A sweep extracts the union of its tasks'.
        head: what ``judge`` reads. Empty: the same outputs of the test images. "applied": what the task's own head
            gives for these. "deployed": what a compiled plan of backbone and head emits, which is timed too.
        rereads: whether ``fit`` reads its outputs many times: maps are then kept while it runs.
        control: whether backbones of random weights are scored as well, to compare with; they are never ranked.
        protocol: one or two sentences, for the report, with the source.
        scope: of the data that it is scored on: "closed", or "open" where some test images are of no known class.
        fit: the fit it judges; by default one of its own, which has the task's name, version and settings.
    """

    name: str
    version: int
    main_metric: str
    protocol: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    unit: str = "%"
    higher_is_better: bool = True
    kind: Kind = "labels"
    outputs: tuple[str, ...] = (FEATURES,)
    head: Literal["", "applied", "deployed"] = ""
    rereads: bool = False
    control: bool = False
    scope: Scope = "closed"
    fit: FitMeta | None = None

    @property
    def fitted_as(self) -> FitMeta:
        return self.fit or FitMeta(self.name, self.version, self.settings)


@dataclass(frozen=True)
class Fitted:
    """What was learned on train and chosen on val.

    It is kept under a key of its own and read back, so that everything learned stands in ``arrays``, ``chosen`` and
    ``sweep``; ``train`` is not kept with it, but handed back beside it.

    Attributes:
        arrays: by name; everything that was learned.
        chosen: hyper-parameters, and the value on val that chose each (JSON values).
        sweep: rows of what was tried (JSON values), for the report.
        train: what it was fitted on: the gallery, where there is one.
        seed: of everything drawn at random, here and when it is judged.
    """

    train: Batchwise
    seed: int
    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    chosen: Mapping[str, Any] = field(default_factory=dict)
    sweep: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Score:
    """A task's result.

    Attributes:
        metrics: the main metric first; each with its standard error and n.
        per_sample: float [n_test]: each test sample's part in the main metric (its mean is the main value, for tasks
            where that is so), in the order of the test split, so that two cells can be compared sample by sample: the
            mean of resampled parts must vary as the main value does with other test images. Windows of one picture
            are one sample (:attr:`tasks.data.targets.Masks.pictures`).
        per_draw: float [draws]: where the main value is a mean over seeded draws of training images, the same draws for
            every cell, each draw's mean over the test samples; empty where there is one fit only.
        by_class: rows with ``class`` and what is known of it (JSON values), for the report; empty where there are none.
    """

    metrics: Sequence[Metric]
    per_sample: npt.NDArray[np.float64]
    per_draw: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    by_class: Sequence[Mapping[str, Any]] = ()

    @property
    def main(self) -> Metric:
        return self.metrics[0]


ClassMap = Literal["", "own", "full"]


@dataclass(frozen=True)
class Head:
    """A fit as an ONNX model, to be joined to the backbone.

    Attributes:
        model: serialized, opset 17. Its inputs are named as the outputs that it reads, float32 [n, …]; its outputs, of
            which none has the name of an input, have the batch axis first.
        compared: those of its outputs by which an engine's closeness is judged: they vary continuously with the input.
        parameters: number of weights.
    """

    model: bytes
    compared: tuple[str, ...]
    parameters: int


class Journal(Protocol):
    """Keeps what a long fit has reached, so that one that was killed goes on from there."""

    def load(self, name: str, /) -> dict[str, npt.NDArray[Any]] | None:
        """What was saved last under that name; None where nothing was."""
        ...

    def save(self, name: str, arrays: Mapping[str, npt.NDArray[Any]], /) -> None:
        """Replace what is kept under that name, whole or not at all."""
        ...


class NoJournal:
    """Keeps nothing."""

    def load(self, name: str, /) -> None:
        return None

    def save(self, name: str, arrays: Mapping[str, npt.NDArray[Any]], /) -> None:
        return None


class Task(ABC):
    """Two pure verbs: the same arrays and seed give the same fit, the same fit and test the same score."""

    meta: ClassVar[TaskMeta]

    @abstractmethod
    def fit(self, train: Batchwise, val: Batchwise, seed: int) -> Fitted:
        """Learn on train, choose on val.

        Raises:
            UserError: the data cannot be fitted on (one class, fewer images than shots), with the reason.
        """

    def resume(self, train: Batchwise, val: Batchwise, seed: int, journal: Journal) -> Fitted:
        """As :meth:`fit`, and to the same end, from where the journal says that an earlier one was killed.

        Override it where a fit takes minutes.
        """
        return self.fit(train, val, seed)

    @abstractmethod
    def judge(self, fitted: Fitted, test: Batchwise) -> Score:
        """Score a fit on test, which nothing was chosen on.

        Raises:
            UserError: the test split cannot be judged (it is empty, or has a class that train has not).
        """

    def head(self, fitted: Fitted) -> Head | None:
        """The fit as a model over the outputs that ``meta`` names; None where the task has none.

        A classifier's output is ``logits``, float32 [n, c], a column for each label that train has.
        """
        return None

    def shipped(self, fitted: Fitted, class_map: ClassMap = "") -> Head | None:
        """The head as it is joined to the backbone and timed.

        Args:
            class_map: for a head that classifies pixels: it also gives a map of classes, at its own stride or at the
                input's full size. Other heads stay as they are.
        """
        return self.head(fitted)

    def picture(
        self, fitted: Fitted, test: Batchwise, row: int, photograph: npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.uint8] | None:
        """What is right and what was found, drawn over a photograph of test: uint8 [h, w, 3] → uint8 [h', w', 3].

        None where there is nothing to draw.
        """
        return None
