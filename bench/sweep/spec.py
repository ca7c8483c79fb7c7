"""What a sweep is asked to do: one flat document, from a YAML file, the command line, or both."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from export.errors import UserError, unknown

DEMO = Path(__file__).with_name("demo.yaml")


@dataclass(frozen=True)
class SweepSpec:
    """A sweep: every model on every engine at every precision, scored by every task on every data set, and timed.

    Attributes:
        models: zoo names, aliases, timm ids, ``module:function``, ``NAME@random`` or finished ``.onnx`` files.
        engines: ``name`` or ``name:provider``.
        exclude: cells to leave out; ``ort int8`` means every cell of that engine and that precision.
        data: data set names, folders, CSV files or archives; the first also gives the images for timing.
        shifted: data sets on which what was fitted on each of ``data`` is tested too.
        corruptions: of ImageNet-C, ``name``, ``name:severity`` or ``all``, on whose test images it is tested too.
        outside: data sets of none of the classes of ``data``, whose images should be noticed as out of scope.
        batches: batch sizes of each plan; 1 is always among them, features go through the largest.
        threads: threads for one inference; 0 means all cores.
        index_size: vectors of the index that the scenario search looks in.
        limit: at most so many images of each data set (a seeded, stratified subset).
        zoo: YAML files with rows of the user's own. weights: model → a local checkpoint for it.
        seconds: time for each scenario and repeat. repeats: fresh child processes for each cell, interleaved.
    """

    models: tuple[str, ...]
    engines: tuple[str, ...]
    data: tuple[str, ...]
    tasks: tuple[str, ...]
    scenarios: tuple[str, ...]
    precisions: tuple[str, ...] = ("fp32",)
    exclude: tuple[str, ...] = ()
    preprocess: str = "cpu"
    batches: tuple[int, ...] = (1, 8)
    threads: int = 0
    limit: int | None = None
    index_size: int = 100_000
    seed: int = 0
    seconds: float = 4.0
    repeats: int = 3
    max_unreadable: float = 0.01
    shifted: tuple[str, ...] = ()
    corruptions: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    zoo: tuple[str, ...] = ()
    weights: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("models", "engines", "precisions"):
            if not getattr(self, name):
                raise UserError(f"The sweep names no {name}.", "", "python -m bench.run --help")
        if not self.data and (self.tasks or self.scenarios):
            raise UserError("The sweep names no data.", "Tasks and timings both need real images.")
        if self.repeats < 1 or self.seconds <= 0 or self.threads < 0 or min(self.batches, default=1) < 1:
            raise UserError("repeats and batches must be at least 1, seconds above 0, threads 0 or more.")
        if self.index_size < 10:
            raise UserError(f"index_size must be at least 10, not {self.index_size}.", "Ten neighbours are looked for.")
        if self.limit is not None and self.limit < 1:
            raise UserError(f"limit must be at least 1, not {self.limit}.")
        object.__setattr__(self, "batches", tuple(sorted({1, *self.batches})))


ONLY_DEMO = ("limit", "precisions", "seconds", "repeats")
"""Fields with which the demo stays short. They must not leak into a sweep over somebody's own photographs."""


def read(path: Path | None = None, **given: Any) -> SweepSpec:
    """A sweep from a YAML file and the command line: ``given`` (what is not None) over the file over the demo's.

    Raises:
        UserError: the file is not there, not YAML, or has a field that a sweep does not have, or one of a wrong type.
    """
    document = _document(path) if path else {}
    document |= {name: value for name, value in given.items() if value is not None}
    demo = _document(DEMO)
    if "data" in document:
        demo = {name: value for name, value in demo.items() if name not in ONLY_DEMO}
    if not {"models", "engines", "precisions", "data"}.isdisjoint(document):
        demo.pop("exclude")  # it names cells of the demo
    return parse({**demo, **document}, path.name if path else "the command line")


def parse(document: dict[str, Any], where: str) -> SweepSpec:
    """A sweep out of plain values; a single text or number stands for a list of one."""
    import msgspec

    lists = {f.name for f in fields(SweepSpec) if str(f.type).startswith("tuple")}
    for name in document:
        if name not in {f.name for f in fields(SweepSpec)}:
            raise unknown("field", name, [f.name for f in fields(SweepSpec)], f"correct {where}")
    document = {k: [v] if k in lists and isinstance(v, (str, int)) else v for k, v in document.items()}
    try:
        return msgspec.convert({k: v or [] if k in lists else v for k, v in document.items()}, SweepSpec)
    except msgspec.ValidationError as error:
        raise UserError(f"{where} is not a sweep.", str(error), f"correct {where}") from error


def _document(path: Path) -> dict[str, Any]:
    import yaml

    try:
        document = yaml.safe_load(path.read_text())
    except OSError as error:
        raise UserError(f"The sweep file {path} cannot be read.", str(error)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not YAML.", " ".join(str(error).split())) from error
    if not isinstance(document, dict):
        raise UserError(f"{path} is not a sweep.", "It must be a mapping of field to value.")
    return document
