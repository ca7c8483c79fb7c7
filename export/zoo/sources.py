"""Where a backbone's network and its weights come from: one of a few types, each with what belongs to it and no more.

Rows of YAML and requests in manifests are flat, with the fields of :data:`DEFAULTS`; ``source_of`` reads such a row,
and ``row_of`` is its inverse. Imports no framework.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from export.errors import UserError, unknown
from export.packages import Package
from export.zoo.layouts import layout_of
from export.zoo.readers import READERS, ByLayout, ByName, Reader

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


@dataclass(frozen=True)
class UrlFile:
    """A file that its authors serve. Without a pinned ``sha256`` it must keep that of the first download."""

    url: str
    sha256: str = ""

    @property
    def words(self) -> str:
        return f"URL {self.url}"


@dataclass(frozen=True)
class HubFile:
    """A file of any repository on the model hub. ``revision`` as in :class:`Hub`."""

    repository: str
    path: str = "model.safetensors"
    revision: str = "main"

    @property
    def words(self) -> str:
        return f"model hub {self.repository}"


File = LocalFile | PackageFile | UrlFile | HubFile

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
    weights: OwnWeights | Checkpoint | RandomWeights = OwnWeights()
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
    """The same network with the weights of a local file: read as the source's own, where that is a local file too, or
    one with a layout. How any other published file is read is a fact about that file.

    Raises:
        UserError: the source is a finished ONNX file.
    """
    file = LocalFile(path)
    if isinstance(source, OnnxFile):
        raise UserError(f"{name!r} takes no other weights.", "It is a finished ONNX file.")
    if isinstance(source, TimmModel):
        match source.weights:
            case Checkpoint(_, ByLayout()) | TimmCheckpoint(LocalFile()) | Checkpoint(LocalFile()) as own:
                return replace(source, weights=replace(own, file=file))
        return replace(source, weights=TimmCheckpoint(file))
    reader = source.weights.reader if isinstance(source.weights, Checkpoint) else ByName()
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
    own = source.weights
    return own.file.words if isinstance(own, TimmCheckpoint | Checkpoint) else own.words


def hub_of(source: Source) -> Hub | None:
    """The hub, where the weights are there."""
    return source.weights if isinstance(source, TimmModel) and isinstance(source.weights, Hub) else None


# -- rows --------------------------------------------------------------------------------------------------------------

DEFAULTS: dict[str, Any] = {
    "timm": "",
    "module": "",
    "file": None,
    "package": None,
    "url": "",
    "sha256": "",
    "hub": "",
    "path": HubFile.path,
    "revision": "main",
    "random": False,
    "reader": "timm",
    "layout": [],
    "headless": False,
    "classes": 1000,
    "arguments": {},
    "prefix": "",
    "cut": "",
}
"""A row's fields that name the source, and the values that stand for an absent one."""
PLACES = ("file", "package", "url", "sha256", "hub", "path", "revision")
"""Those of them that say where the weights lie, and nothing of how a network is made."""


def row_of(source: Source) -> dict[str, Any]:
    """All fields of :data:`DEFAULTS` for a source; ``file`` is a Path or None, ``package`` a PackageFile or None."""
    row = {**DEFAULTS, "arguments": {}, "layout": []}
    match file_of(source):
        case LocalFile(path):
            row["file"] = path
        case PackageFile() as file:
            row["package"] = file
        case UrlFile(url, sha256):
            row |= {"url": url, "sha256": sha256}
        case HubFile(repository, name, revision):
            row |= {"hub": repository, "path": name, "revision": revision}
    if isinstance(source, OnnxFile):
        return {**row, "reader": "onnx", "cut": source.cut}
    weights = source.weights
    row |= {"arguments": dict(source.arguments), "random": isinstance(weights, RandomWeights)}
    if isinstance(weights, Hub):
        row["revision"] = weights.revision
    elif isinstance(weights, TimmCheckpoint):
        row["prefix"] = weights.prefix
    elif isinstance(weights, Checkpoint) and isinstance(weights.reader, ByName):
        row |= {"reader": "named", "prefix": weights.reader.prefix}
    elif isinstance(weights, Checkpoint) and isinstance(weights.reader, ByLayout):
        row["layout"] = [layout.as_json() for layout in weights.reader.layouts]
    elif isinstance(weights, Checkpoint):
        row["reader"] = next(name for name, kind in READERS.items() if kind() == weights.reader)
    if isinstance(source, ModuleFunction):
        return {**row, "module": source.target}
    row |= {"headless": True} if not source.classes else {"classes": source.classes}
    return {**row, "timm": source.id}


def without_places(source: Source) -> dict[str, Any]:
    """The fields of a row that say how a network is made, for a key: not where its weights lie."""
    return {name: value for name, value in row_of(source).items() if name not in PLACES}


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
    if not any(left[name] for name in ("timm", "module", "file", "package", "url", "hub")):
        raise UserError(f"The {where} names nothing to load.", "timm, module, file, package, url or hub.")
    if left["reader"] == "onnx":
        del left["reader"]
        file = _file(left)
        if file is None:
            raise UserError(f"The {where} names no ONNX file.", "The reader 'onnx' needs file, package, url or hub.")
        return OnnxFile(file, left.pop("cut"))
    random = RandomWeights() if left.pop("random") else None
    file = None if random else _file(left)
    reader = _reader(left, where) if file else None
    arguments = left.pop("arguments")
    if left["module"]:
        own = Checkpoint(file, reader or ByName(left.pop("prefix"))) if file else OwnWeights()
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
    if left["url"]:
        return UrlFile(left.pop("url"), left.pop("sha256"))
    if left["hub"]:
        return HubFile(left.pop("hub"), left.pop("path"), left.pop("revision"))
    package: PackageFile | None = left.pop("package")
    return package


def _reader(left: dict[str, Any], where: str) -> Reader | None:
    """None for the default, which is timm's own."""
    if left["layout"]:
        layouts = left.pop("layout")
        return ByLayout(tuple(layout_of(values, f"layout of the {where}") for values in layouts))
    name = left.pop("reader")
    if name == "named":
        return ByName(left.pop("prefix"))
    if name in READERS:
        return READERS[name]()
    if name != DEFAULTS["reader"]:
        raise unknown("reader", str(name), ["timm", "named", *READERS, "onnx"], f"correct the {where}")
    return None


def _described(source: Source) -> str:
    if isinstance(source, OnnxFile):
        return "a finished ONNX file"
    network = "a timm model" if isinstance(source, TimmModel) else "a module"
    return f"{network} with weights: {words_of(source)}"
