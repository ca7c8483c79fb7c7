"""Where a backbone's network and its weights come from: one of a few types, each with what belongs to it and no more.

Rows of YAML and requests in manifests are flat, with the fields of :data:`DEFAULTS`; ``source_of`` reads such a row,
and ``row_of`` is its inverse. Imports no framework.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from export.errors import UserError, unknown
from export.packages import Package

# -- files -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LocalFile:
    """A file of the user's own."""

    path: Path

    @property
    def words(self) -> str:
        return f"file {self.path.name}"


@dataclass(frozen=True)
class PackageFile:
    """A file inside a published package, both pinned by SHA-256."""

    package: Package
    member: str
    sha256: str

    @property
    def words(self) -> str:
        return f"package {self.package.requirement}"


File = LocalFile | PackageFile

# -- how the tensors of a checkpoint find their place ------------------------------------------------------------------


@dataclass(frozen=True)
class ByName:
    """Under the module's own names, after ``prefix`` is stripped; without one, what makes the names fit is stripped."""

    prefix: str = ""


@dataclass(frozen=True)
class InOrder:
    """One after the other: the same network under other names."""


@dataclass(frozen=True)
class TensorFlowMobileNetV1:
    """Out of a frozen TensorFlow graph of Google's MobileNetV1."""


@dataclass(frozen=True)
class KerasInOrder:
    """Out of a Keras HDF5 file, layer after layer."""


@dataclass(frozen=True)
class OnnxVisionTransformer:
    """Out of an ONNX file that was exported from a vision transformer of Hugging Face's: its tensors, not its graph."""


@dataclass(frozen=True)
class StableDiffusion:
    """Out of a checkpoint of Stable Diffusion 1: one file of the original project's, or a folder of diffusers'."""


Reader = ByName | InOrder | TensorFlowMobileNetV1 | KerasInOrder | OnnxVisionTransformer | StableDiffusion

# -- weights -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hub:
    """timm's repository on the model hub. ``revision`` is a commit, tag or branch; what it was resolved to is written
    into the artifact."""

    revision: str = "main"
    words = "model hub"


@dataclass(frozen=True)
class TimmCheckpoint:
    """A file under timm's names, or under others that timm knows how to convert; ``prefix`` as in :class:`ByName`."""

    file: File
    prefix: str = ""


@dataclass(frozen=True)
class Checkpoint:
    """A file whose tensors ``reader`` puts into the module."""

    file: File
    reader: Reader


@dataclass(frozen=True)
class Awaited:
    """A checkpoint that nothing is fetched for: whoever has it names it, and ``reader`` puts it into the module."""

    reader: Reader
    words = "a file of your own"


@dataclass(frozen=True)
class RandomWeights:
    """Random weights from a fixed seed: *untrained*."""

    words = "random"


@dataclass(frozen=True)
class OwnWeights:
    """What a function of the user's own puts into the module that it returns: *untrained*: its training is unknown."""

    words = "module's own"


# -- networks ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TimmModel:
    """A network of timm's.

    Attributes:
        id: ``architecture.tag``. arguments: keyword arguments for the architecture.
        classes: size of the checkpoint's classifier; 0 where it has none.
    """

    id: str
    weights: Hub | TimmCheckpoint | Checkpoint | RandomWeights = Hub()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    classes: int = 1000

    @property
    def architecture(self) -> str:
        return self.id.split(".")[0]


@dataclass(frozen=True)
class ModuleFunction:
    """``target``, a ``module:function`` that returns a ``torch.nn.Module`` giving features [n, d].

    Where the module has timm's ``reset_classifier``, its classifier is taken off before features are asked of it.
    """

    target: str
    weights: OwnWeights | Checkpoint | Awaited | RandomWeights = OwnWeights()
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class OnnxFile:
    """A finished ONNX file: network and weights in one.

    Attributes:
        cut: the operator type or tensor name whose output is the feature; empty for the file's first output.
    """

    file: File
    cut: str = ""


Source = TimmModel | ModuleFunction | OnnxFile


def with_random_weights(source: Source, name: str) -> Source:
    """The same network, untrained.

    Raises:
        UserError: the source is a finished ONNX file.
    """
    if isinstance(source, OnnxFile):
        raise UserError(f"{name!r} has no random weights.", "It is a finished ONNX file.")
    return replace(source, weights=RandomWeights())


def with_checkpoint(source: Source, path: Path, name: str) -> Source:
    """The same network with the weights of a local file: read as the source's own, where that is a local file too.

    How a published file is read is a fact about that file.

    Raises:
        UserError: the source is a finished ONNX file.
    """
    file = LocalFile(path)
    if isinstance(source, OnnxFile):
        raise UserError(f"{name!r} takes no other weights.", "It is a finished ONNX file.")
    if isinstance(source, TimmModel):
        own = source.weights
        if isinstance(own, TimmCheckpoint | Checkpoint) and isinstance(own.file, LocalFile):
            return replace(source, weights=replace(own, file=file))
        return replace(source, weights=TimmCheckpoint(file))
    reader = source.weights.reader if isinstance(source.weights, Checkpoint | Awaited) else ByName()
    return replace(source, weights=Checkpoint(file, reader))


def file_of(source: Source) -> File | None:
    """The file that holds the weights, where they are in a file that is known without asking the hub."""
    if isinstance(source, OnnxFile):
        return source.file
    return source.weights.file if isinstance(source.weights, TimmCheckpoint | Checkpoint) else None


def words_of(source: Source) -> str:
    """Where the weights come from, for a reader."""
    if isinstance(source, OnnxFile):
        return source.file.words
    weights = source.weights
    return weights.file.words if isinstance(weights, TimmCheckpoint | Checkpoint) else weights.words


def hub_of(source: Source) -> Hub | None:
    """The hub, where the weights are there."""
    return source.weights if isinstance(source, TimmModel) and isinstance(source.weights, Hub) else None


# -- rows --------------------------------------------------------------------------------------------------------------

DEFAULTS: dict[str, Any] = {
    "timm": "",
    "module": "",
    "file": None,
    "package": None,
    "revision": "main",
    "random": False,
    "reader": "timm",
    "headless": False,
    "classes": 1000,
    "arguments": {},
    "prefix": "",
    "cut": "",
}
"""A row's fields that name the source, and the values that stand for an absent one."""

READERS: dict[str, Callable[[], Reader]] = {
    "in_order": InOrder,
    "tensorflow_mobilenetv1": TensorFlowMobileNetV1,
    "keras_in_order": KerasInOrder,
    "onnx_vision_transformer": OnnxVisionTransformer,
    "stable_diffusion": StableDiffusion,
}
"""Those without a setting, by their names in a row."""


def row_of(source: Source) -> dict[str, Any]:
    """All fields of :data:`DEFAULTS` for a source; ``file`` is a Path or None, ``package`` a PackageFile or None."""
    file = file_of(source)
    row = {**DEFAULTS, "arguments": {}}
    if isinstance(file, LocalFile):
        row["file"] = file.path
    elif file:
        row["package"] = file
    if isinstance(source, OnnxFile):
        return {**row, "reader": "onnx", "cut": source.cut}
    weights = source.weights
    row |= {"arguments": dict(source.arguments), "random": isinstance(weights, RandomWeights)}
    if isinstance(weights, Hub):
        row["revision"] = weights.revision
    elif isinstance(weights, TimmCheckpoint):
        row["prefix"] = weights.prefix
    elif isinstance(weights, Checkpoint | Awaited) and isinstance(weights.reader, ByName):
        row |= {"reader": "named", "prefix": weights.reader.prefix}
    elif isinstance(weights, Checkpoint | Awaited):
        row["reader"] = next(name for name, kind in READERS.items() if kind() == weights.reader)
    if isinstance(source, ModuleFunction):
        return {**row, "module": source.target}
    row |= {"headless": True} if not source.classes else {"classes": source.classes}
    return {**row, "timm": source.id}


def without_places(source: Source) -> dict[str, Any]:
    """The fields of a row that say how a network is made, for a key: not where its weights lie."""
    return {name: value for name, value in row_of(source).items() if name not in ("file", "package", "revision")}


def source_of(row: Mapping[str, Any], where: str) -> Source:
    """The source that a row names.

    Args:
        row: some or all fields of :data:`DEFAULTS`, as ``row_of`` gives them; other fields are passed over.
        where: what an error's sentence is about ("row … of …").

    Raises:
        UserError: nothing to load, an unknown reader, or fields that have no meaning together.
    """
    left = {name: row.get(name, default) for name, default in DEFAULTS.items()}
    source = _taken(left, where)
    meaningless = [name for name, value in left.items() if value != DEFAULTS[name]]
    if meaningless:
        raise UserError(f"The {where} cannot have {', '.join(meaningless)}.", f"It is {_described(source)}.")
    return source


def _taken(left: dict[str, Any], where: str) -> Source:
    """Take the fields that make a source out of ``left``; those that stay there have no meaning for it."""
    if not any(left[name] for name in ("timm", "module", "file", "package")):
        raise UserError(f"The {where} names nothing to load.", "timm, module, file or package.")
    if left["reader"] == "onnx":
        del left["reader"]
        file = _file(left)
        if file is None:
            raise UserError(f"The {where} names no ONNX file.", "The reader 'onnx' needs file or package.")
        return OnnxFile(file, left.pop("cut"))
    random = RandomWeights() if left.pop("random") else None
    file = None if random else _file(left)
    reader = _reader(left, where) if file or (left["module"] and not random) else None
    arguments = left.pop("arguments")
    if left["module"]:
        awaited = Awaited(reader) if reader else OwnWeights()
        own = Checkpoint(file, reader or _by_name(left)) if file else awaited
        return ModuleFunction(left.pop("module"), random or own, arguments)
    if not left["timm"]:
        raise UserError(f"The {where} names weights but no network.", "timm, module, or the reader 'onnx'.")
    classes = left.pop("classes")
    model = TimmModel(left.pop("timm"), arguments=arguments, classes=0 if left.pop("headless") else classes)
    if random:
        return replace(model, weights=random)
    if file is None:
        return replace(model, weights=Hub(left.pop("revision")))
    return replace(model, weights=Checkpoint(file, reader) if reader else TimmCheckpoint(file, left.pop("prefix")))


def _file(left: dict[str, Any]) -> File | None:
    if left["file"]:
        return LocalFile(left.pop("file"))
    package: PackageFile | None = left.pop("package")
    return package


def _reader(left: dict[str, Any], where: str) -> Reader | None:
    """None for the default, which is timm's own."""
    name = left.pop("reader")
    if name == "named":
        return _by_name(left)
    if name in READERS:
        return READERS[name]()
    if name != DEFAULTS["reader"]:
        raise unknown("reader", str(name), ["timm", "named", *READERS, "onnx"], f"correct the {where}")
    return None


def _by_name(left: dict[str, Any]) -> ByName:
    return ByName(left.pop("prefix"))


def _described(source: Source) -> str:
    if isinstance(source, OnnxFile):
        return "a finished ONNX file"
    network = "a timm model" if isinstance(source, TimmModel) else "a module"
    return f"{network} with weights: {words_of(source)}"
