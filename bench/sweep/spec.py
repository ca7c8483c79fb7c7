"""What a sweep is asked to do: one flat document, from a YAML file, the command line, or a call from Python.

Every field is declared here and nowhere else: its name, type, default and help. The command line, the YAML reader,
the Python call and docs/sweep.md are all made from this declaration. Loads nothing heavy: help passes here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from bench.measure.slo import Slo
from bench.records.parts import SCENARIOS
from bench.sweep.option import GROUPS, Option
from bench.sweep.option import how as _how
from bench.sweep.option import what as _what
from engines.processor import pinned, ranges
from export.command import duration, listed, sizes
from export.errors import UserError, unknown
from export.spec import Precision
from export.variant import ALL, cut_depth, input_size

DEMO = Path(__file__).with_name("demo.yaml")

RESIZES = ("squash", "letterbox")
CLASS_MAPS = ("own", "full")
PRECISIONS = tuple(map(str, Precision))
DATA_SETS = "tasks.data.named:NAMED"
FASTEST_CAMERA = 1000
"""Images a second."""


@dataclass(frozen=True)
class SweepSpec:
    """A sweep: every model on every engine at every precision, scored by every task on every data set, and timed."""

    models: tuple[str, ...] = field(
        metadata=_what(
            "A,B",
            "backbones: zoo names (bob export --list), timm ids, module:function, FILE.onnx; NAME@random has "
            "random weights: timed, never scored",
            "export.zoo.names:names",
        )
    )
    engines: tuple[str, ...] = field(
        metadata=_what("A,B", "engines (bob engines), as NAME or NAME:PROVIDER", "engines.catalog:ENGINES")
    )
    data: tuple[str, ...] = field(
        metadata=_what(
            "REF",
            "a data set: its name (bob tasks), a folder of class folders, a CSV file or an archive; timings use images "
            "of the first one",
            DATA_SETS,
            repeatable=True,
        )
    )
    tasks: tuple[str, ...] = field(metadata=_what("A,B", "tasks (bob tasks), all, or none", "tasks.catalog:TASKS"))
    scenarios: tuple[str, ...] = field(
        metadata=_what("A,B", f"what is timed: {', '.join(SCENARIOS)}; or none", SCENARIOS)
    )
    precisions: tuple[str, ...] = field(default=("fp32",), metadata=_what("A,B", ", ".join(PRECISIONS), PRECISIONS))
    exclude: tuple[str, ...] = field(
        default=(),
        metadata=_what(
            "WORDS",
            "cells to leave out: 'ort int8' is every cell with that engine and that precision; words are names of "
            "backbones, engines and precisions, input sizes that were asked for (224, 352x480), and 'depth 3' or "
            "'depth whole'",
            repeatable=True,
        ),
    )
    preprocess: str = field(
        default="cpu",
        metadata=_what(
            "PATH",
            "where photographs are decoded and resized: cpu, or pillow, which needs no torch; with trt and trt-rtx "
            "also cuda or nvimgcodec; cpu:exif, pillow:exif and cuda:exif also turn them upright by their EXIF "
            "orientation",
            "engines.preprocess.catalog:PATHS",
        ),
    )
    size: tuple[str, ...] = field(
        default=(),
        metadata=_what(
            "A,B",
            "input sizes, each a cell of its own: 224, or 352x480 (height x width), rounded to what each network "
            "takes; by default the checkpoint's own, and for masks and boxes the size of the pictures",
        ),
    )
    depth: tuple[str, ...] = field(
        default=(),
        metadata=_what(
            "A,B",
            "cut the networks after these stages (of a plain vision transformer: blocks), each a cell of its own: 2,3; "
            "or all, with the whole network; by default they are whole",
            (ALL,),
        ),
    )
    resize: str = field(
        default="",
        metadata=_what(
            "HOW",
            "how pictures of another shape are brought to the input size: squash (stretch) or letterbox (pad); by "
            "default the checkpoint's own way, and for masks and boxes letterbox",
            RESIZES,
        ),
    )
    taps: tuple[str, ...] = field(
        default=(),
        metadata=_what(
            "A,B",
            "feature maps that tasks on maps read: map_s8,map_s16, or block6,block12 of a plain vision transformer; by "
            "default strides 8, 16 and 32, or the last block",
        ),
    )
    class_map: str = field(
        default="",
        metadata=_what(
            "SIZE",
            "let a deployed segmentation head end in a map of classes: own (at the head's stride) or full (at the "
            "input size, which costs time); by default it ends in logits at the head's stride",
            CLASS_MAPS,
        ),
    )
    void: tuple[int, ...] = field(
        default=(), metadata=_what("N", "values in masks that are neither right nor wrong, beside 255")
    )
    shifted: tuple[str, ...] = field(
        default=(),
        metadata=_what(
            "REF",
            "a data set with the same classes, for distribution shift: probes fitted on data are also tested on it",
            DATA_SETS,
            repeatable=True,
        ),
    )
    corruptions: tuple[str, ...] = field(
        default=(),
        metadata=_what("A,B", "also test on corrupted test images, as in ImageNet-C: fog, fog:3 (severity), or all"),
    )
    out_of_scope: tuple[str, ...] = field(
        default=(),
        metadata=_what(
            "REF",
            "a data set with none of the classes of data, for out-of-distribution detection (task out_of_scope)",
            DATA_SETS,
            repeatable=True,
        ),
    )
    weights: dict[str, str] = field(
        default_factory=dict, metadata=_what("MODEL=FILE", "a local checkpoint for a model", repeatable=True)
    )
    zoo: tuple[str, ...] = field(
        default=(), metadata=_what("FILE", "a YAML file with your own zoo rows", repeatable=True)
    )
    batches: tuple[int, ...] = field(
        default=(1, 8),
        metadata=_how("1,8", "batch sizes of each plan; 1 is always added; features are extracted at the largest"),
    )
    threads: int = field(default=0, metadata=_how("N", "threads of one inference; 0 means all cores"))
    pin: tuple[str, ...] = field(
        default=(),
        metadata=_how(
            "0-3,6",
            "cores that timings run on, and no others (Linux); threads follow; by default wherever the "
            "system puts them",
        ),
    )
    limit: int | None = field(
        default=None, metadata=_how("N", "at most N images of each data set (a seeded, stratified subset)")
    )
    index_size: int = field(
        default=100_000, metadata=_how("N", "number of vectors in the index of the scenario search")
    )
    slo: str = field(
        default="p99=50ms",
        metadata=_how("BOUND", "bound on latency that scenario server finds the highest rate for: p99=50ms"),
    )
    queue_ms: float = field(
        default=0.0,
        metadata=_how(
            "MS", "how long a query of scenario server may wait for others, to run as one batch; 0: no batches"
        ),
    )
    bundle: int = field(default=8, metadata=_how("N", "images of one query of scenario multi_stream"))
    fps: tuple[int, ...] = field(
        default=(5, 30), metadata=_how("5,30", "images a second of scenario camera, one measurement each")
    )
    soak: str = field(default="10m", metadata=_how("TIME", "length of scenario soak: 90s, 10m or 1h"))
    seed: int = field(default=0, metadata=_how("N", "random seed of subsets, splits and probes"))
    seconds: float = field(default=4.0, metadata=_how("S", "seconds to measure in each scenario and repeat"))
    repeats: int = field(
        default=3,
        metadata=_how("N", "repeats of each timing, each in a new process; repeats of all cells are interleaved"),
    )
    meter: str = field(
        default="",
        metadata=_how(
            "FILE",
            "a wall meter's readings, a CSV file with the columns time (UTC) and watts that is written during the run; "
            "by default energy comes from the machine's own sensors (bob sensors)",
        ),
    )
    maps_gib: float = field(
        default=8.0,
        metadata=_how("N", "GiB of disk for feature maps; maps that do not fit are computed each time they are read"),
    )
    max_unreadable: float = field(
        default=0.01, metadata=_how("F", "largest fraction of unreadable images; the run stops above it")
    )

    def __post_init__(self) -> None:
        for name in ("models", "engines", "precisions"):
            if not getattr(self, name):
                raise UserError(f"The sweep names no {name}.", "", "bob run --help")
        if not self.data and (self.tasks or self.scenarios):
            raise UserError("The sweep names no data.", "Tasks and timings both need real images.")
        if self.repeats < 1 or self.seconds <= 0 or self.threads < 0 or min(self.batches, default=1) < 1:
            raise UserError("repeats and batches must be at least 1, seconds above 0, threads 0 or more.")
        self._require_load()
        if self.index_size < 10:
            raise UserError(
                f"index_size must be at least 10, not {self.index_size}.", "A search returns ten neighbours."
            )
        if not 0 <= self.max_unreadable <= 1:
            raise UserError(f"max_unreadable must be a fraction from 0 to 1, not {self.max_unreadable:g}.")
        if self.limit is not None and self.limit < 1:
            raise UserError(f"limit must be at least 1, not {self.limit}.")
        if self.resize not in ("", *RESIZES):
            raise unknown("resize", self.resize, RESIZES)
        if self.class_map not in ("", *CLASS_MAPS):
            raise unknown("class_map", self.class_map, CLASS_MAPS)
        if self.maps_gib < 0:
            raise UserError(f"maps_gib must be 0 or more, not {self.maps_gib:g}.")
        object.__setattr__(self, "batches", tuple(sorted({1, *self.batches})))
        object.__setattr__(self, "size", tuple(dict.fromkeys(map(input_size, self.size))))
        object.__setattr__(self, "depth", tuple(dict.fromkeys(map(cut_depth, self.depth))))
        object.__setattr__(self, "pin", ranges(self.cores))

    @property
    def cores(self) -> tuple[int, ...]:
        """The numbers of the cores that timings are pinned to; empty where they are not."""
        return pinned(self.pin)

    @property
    def soak_seconds(self) -> float:
        """The length of the scenario ``soak``."""
        return duration(self.soak, "--soak")

    def _require_load(self) -> None:
        """Refuse what the scenarios under load cannot be asked."""
        Slo.parse(self.slo)
        if self.queue_ms < 0 or self.bundle < 1:
            raise UserError("queue_ms must be 0 or more, bundle at least 1.")
        if not self.fps or not all(1 <= fps <= FASTEST_CAMERA for fps in self.fps):
            raise UserError(f"fps must be from 1 to {FASTEST_CAMERA} images a second, not {list(self.fps)}.")
        if "soak" in self.scenarios and self.soak_seconds < 10 * self.seconds:
            raise UserError(
                f"soak is {self.soak_seconds:g} s, less than ten times seconds ({self.seconds:g}).",
                "Its first tenth is compared with its last: each must be a measurement of its own.",
                f"--soak {math.ceil(10 * self.seconds)}s, or fewer --seconds",
            )


ONLY_DEMO = ("limit", "precisions", "seconds", "repeats")
"""Fields with which the demo stays short. They must not leak into a sweep over somebody's own photographs."""


@dataclass(frozen=True)
class Declared:
    """A field of a sweep, for those who make options and documentation of it."""

    field: Field[Any]

    @property
    def name(self) -> str:
        return self.field.name

    @property
    def option(self) -> Option:
        found: Option = self.field.metadata["option"]
        return found

    @property
    def type(self) -> str:
        """``str``, ``int``, ``float``, ``tuple[str, ...]``, ``tuple[int, ...]`` or ``dict[str, str]``."""
        return str(self.field.type).removesuffix(" | None")

    @property
    def default(self) -> str:
        """The default as the command line would take it; empty where it is nothing."""
        value = self.field.default
        if self.required:
            return "the demo's"
        if value is MISSING or value is None:
            return ""
        if isinstance(value, tuple):
            return ",".join(map(str, value))
        return f"{value:g}" if self.type == "float" else str(value)

    @property
    def required(self) -> bool:
        """Whether it has no default of its own: what is not given is the demo's."""
        return self.field.default is MISSING and self.field.default_factory is MISSING


def declared() -> Iterator[Declared]:
    """The fields of a sweep in the order of help texts."""
    for group in GROUPS:
        yield from (one for one in map(Declared, fields(SweepSpec)) if one.option.group == group)


def read(path: Path | None = None, where: str = "the command line", **given: Any) -> SweepSpec:
    """A sweep from the values ``given`` (None: not given), then a YAML file, then the demo: the first that has a field.

    Args:
        where: what ``given`` comes from, for messages.

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
    return parse({**demo, **document}, path.name if path else where)


def parse(document: dict[str, Any], where: str) -> SweepSpec:
    """A sweep out of plain values.

    A single value stands for a list of one; a text for its parts between commas, where the option takes them so, and
    ``none`` for no part. Paths are taken as text.

    Raises:
        UserError: an unknown field, whose neighbours are suggested; or a value of a wrong type.
    """
    import msgspec

    known = {one.name: one for one in declared()}
    for name in document:
        if name not in known:
            raise unknown("field", name, known, f"correct {where}")
    try:
        return msgspec.convert({name: _plain(known[name], value) for name, value in document.items()}, SweepSpec)
    except msgspec.ValidationError as error:
        raise UserError(f"{where} is not a sweep.", str(error), f"correct {where}") from error


def _plain(one: Declared, value: Any) -> Any:
    if one.type.startswith("dict"):
        value = value if isinstance(value, dict) else _pairs(_values(value))
        return {name: _text(part) for name, part in value.items()}
    if not one.type.startswith("tuple"):
        return _text(value)
    if isinstance(value, str) and not one.option.repeatable:
        return sizes(value, f"--{one.name}") if "int" in one.type else listed(value)
    parts = [_text(part) for part in _values(value)]
    return [str(part) if "str" in one.type and type(part) is int else part for part in parts]  # YAML takes 224 so


def _values(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else [] if value is None else [value]


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _pairs(texts: Sequence[Any]) -> dict[str, str]:
    """``MODEL=FILE`` texts, as the command line gives them."""
    named: dict[str, str] = {}
    for text in texts:
        model, equals, file = str(text).partition("=")
        if not equals:
            raise UserError(f"--weights takes MODEL=FILE, not {text!r}.")
        if named.setdefault(model, file) != file:
            raise UserError(
                f"--weights names two files for {model!r}.", f"{named[model]} and {file}.", "one run for each"
            )
    return named


def _document(path: Path) -> dict[str, Any]:
    from export.zoo.yaml_file import read_yaml

    document = read_yaml(path, "sweep file")
    if not isinstance(document, dict):
        raise UserError(f"{path} is not a sweep.", "It must be a mapping of field to value.")
    return document
