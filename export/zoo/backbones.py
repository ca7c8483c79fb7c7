"""From what a user types to one backbone: a zoo row, or something of the user's own. Imports no framework.

A backbone is a *request*: which module, which weights, which preprocessing. ``export.zoo.loaders`` makes the module.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from export.errors import UserError, unknown
from export.packages import Package
from export.places import expanded
from export.variant import network_name
from export.zoo import formats, layouts
from export.zoo.sources import (
    DEFAULTS,
    LocalFile,
    ModuleFunction,
    OnnxFile,
    OwnWeights,
    PackageFile,
    RandomWeights,
    Source,
    TimmModel,
    hub_of,
    row_of,
    source_of,
    with_checkpoint,
    with_random_weights,
    words_of,
)
from export.zoo.yaml_file import read_yaml

ZOO = Path(__file__).with_name("zoo.yaml")
RANDOM = "@random"

_POOLING = {"token": "class token, after the last norm", "avg": "mean of the patches, before the classifier"}
"""What timm's argument ``global_pool`` makes the feature, where a row gives it."""


@dataclass(frozen=True)
class Backbone:
    """One checkpoint of one architecture.

    Attributes:
        name: what tables show.
        source: the network, and where its weights come from.
        preprocess: fields of PreprocessSpec that the checkpoint's own configuration does not give.
        output: "features" (pooled, before the classifier) or "logits" (through the checkpoint's own classifier).
        note: what a reader of the zoo has to know of it beside that.
        size: "HEIGHTxWIDTH" where it is not the checkpoint's own; rounded to a multiple of the largest stride.
        resize: "squash" (stretch) or "letterbox" (pad), where pictures are not resized in the checkpoint's own way.
        depth: the stage or block after which it is cut (see :mod:`export.zoo.depths`); 0 where it is whole.
    """

    name: str
    source: Source
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    output: Literal["features", "logits"] = "features"
    size: str = ""
    resize: str = ""
    depth: int = 0
    family: str = ""
    pretrain_algo: str = ""
    pretrain_data: str = ""
    licence: str = ""
    study: str = ""
    note: str = ""

    @property
    def timm(self) -> str:
        """timm's ``architecture.tag``; empty for a module or an ONNX file."""
        return self.source.id if isinstance(self.source, TimmModel) else ""

    @property
    def arguments(self) -> Mapping[str, Any]:
        """Keyword arguments of its architecture."""
        return {} if isinstance(self.source, OnnxFile) else self.source.arguments

    @property
    def untrained(self) -> bool:
        return not isinstance(self.source, OnnxFile) and isinstance(self.source.weights, RandomWeights | OwnWeights)

    @property
    def network(self) -> str:
        """Its name, with size, resize and depth where these are not its own: ``vit_s · 128x128 · depth 3``."""
        return network_name(self.name, self.size, self.resize, self.depth)

    @property
    def feature(self) -> str:
        """What the main output is, for a reader."""
        if isinstance(self.source, OnnxFile):
            return f"output of {self.source.cut}, flattened" if self.source.cut else "the file's first output"
        if self.depth:
            return f"pooled after stage or block {self.depth}"
        if self.output == "logits":
            return "logits of its own classifier"
        return _POOLING.get(self.arguments.get("global_pool", ""), "pooled, before the classifier")

    @property
    def weights(self) -> str:
        """Where the weights come from, for a reader."""
        return words_of(self.source)

    def as_json(self) -> dict[str, Any]:
        """The request in plain values, from which :meth:`of_json` makes it again; a local file by its absolute path."""
        row = row_of(self.source)
        row["file"] = str(row["file"].resolve()) if row["file"] else None
        row["package"] = asdict(row["package"]) if row["package"] else None
        return {"name": self.name, **row, **{name: getattr(self, name) for name in _DESCRIBED}}

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> Backbone:
        """The inverse of :meth:`as_json`."""
        row, package = dict(values), values["package"]
        row["file"] = Path(row["file"]) if row["file"] else None
        row["package"] = PackageFile(**{**package, "package": Package(**package["package"])}) if package else None
        source = source_of(row, f"request for {values['name']!r}")
        return cls(values["name"], source, **{name: values[name] for name in _DESCRIBED if name in values})


_DESCRIBED = tuple(f.name for f in fields(Backbone) if f.name not in ("name", "source"))


def resolve_all(
    names: Sequence[str], *, zoo_files: Sequence[Path] = (), weights: Mapping[str, Path] | None = None
) -> list[Backbone]:
    """The backbones that names stand for, each once, and no two of one name.

    Args:
        weights: local checkpoints, by the name whose own they replace.

    Raises:
        UserError: two of them would have one name, which is how results are found; or as :func:`resolve`.
    """
    own = weights or {}

    def named(name: str, folders: int = 1) -> Backbone:
        return resolve(name, zoo_files=zoo_files, weights=own.get(name), folders=folders)

    return distinct({name: named(name) for name in names}, named)


def distinct(given: Mapping[str, Backbone], named: Callable[[str, int], Backbone]) -> list[Backbone]:
    """The backbones, each once, and no two of one name: files that have one get more of their folders.

    Args:
        given: by what was asked for. named: the same, with so many folders in its name.

    Raises:
        UserError: two of them have one name for all that.
    """
    found = dict(given)
    for folders in range(2, 2 + _DEEPEST):
        for shared in _shared(found):
            found |= {name: named(name, folders) for name in shared}
    for one, other, *_ in _shared(found):
        raise UserError(
            f"Two backbones have the name {found[one].name!r}.",
            f"{one!r} and {other!r} are not the same, and results are found by name.",
            "give one of them another name: in its row, or in the YAML file beside a finished ONNX file",
        )
    return list({backbone.name: backbone for backbone in found.values()}.values())


_DEEPEST = 8
"""Folders above a file that may enter its name."""


def _shared(found: Mapping[str, Backbone]) -> list[list[str]]:
    """What was asked for, where one name would stand for different backbones."""
    by_name: dict[str, list[str]] = {}
    for asked, backbone in found.items():
        by_name.setdefault(backbone.name, []).append(asked)
    return [asked for asked in by_name.values() if any(found[one] != found[asked[0]] for one in asked)]


def resolve(name: str, *, zoo_files: Sequence[Path] = (), weights: Path | None = None, folders: int = 1) -> Backbone:
    """The backbone that a name stands for.

    Args:
        name: a zoo name (``vit_b``), a timm id (``vit_base_patch16_224.dino``), either with ``@random`` for random
            weights, ``module:function``, or a path to a finished ``.onnx`` file with ``FILE.yaml`` beside it.
        zoo_files: YAML files with rows of the user's own, of the zoo's form.
        weights: a local checkpoint that takes the place of the backbone's own. A file's name is not enough to know it
            by (``model_best.pth``): the backbone is called ``NAME@FOLDER/FILE``, a finished file ``FOLDER/FILE``.
        folders: how many folders above a file are part of its name.

    Raises:
        UserError: nothing has that name (the nearest are suggested), a file is not there or not of its form, or the
            name takes no other weights.
    """
    plain = name.removesuffix(RANDOM)
    if weights is not None and plain != name:
        raise UserError(f"{name!r} has random weights.", f"It cannot have those of {weights} too.", plain)
    if name.lower().endswith(".onnx"):
        if weights is not None:
            raise UserError(f"{name!r} takes no other weights.", "It is a finished ONNX file.")
        return _finished(expanded(name), folders)
    file = None if weights is None else expanded(weights)
    if file is not None:
        formats.require_file(file)
    row = _row_named(plain, zoo_files)
    if name != plain:
        return replace(row, name=f"{row.name}{RANDOM}", source=with_random_weights(row.source, row.name))
    if file is not None:
        return replace(
            row, name=f"{row.name}@{_label(file, folders)}", source=with_checkpoint(row.source, file, row.name)
        )
    return row


def _row_named(name: str, zoo_files: Sequence[Path]) -> Backbone:
    rows = dict(_zoo(ZOO))
    for file in zoo_files:
        for own, row in _zoo(expanded(file)).items():
            if rows.get(own, row) != row:
                raise UserError(
                    f"{file} names {own!r}, which another row is called.",
                    "It is in the zoo itself or in another zoo file, with other weights.",
                    "another name",
                )
            rows[own] = row
    by_timm = {row.timm: row for row in reversed(rows.values()) if hub_of(row.source)}
    if found := rows.get(name) or by_timm.get(name):
        return found
    if _is_path(name):
        raise _misplaced(name)
    if ":" in name:
        return Backbone(name, ModuleFunction(name), family="user's own", licence="user's own")
    if "." in name:
        return _other(name)
    raise unknown("backbone", name, [*rows, *by_timm], "bob export --list")


def _is_path(name: str) -> bool:
    return "/" in name or "\\" in name or name.startswith("~") or Path(name).suffix in _ENDINGS


def _misplaced(name: str) -> UserError:
    """An error for a path where a backbone's name is expected."""
    path = expanded(name)
    if path.is_dir():
        files = sorted(file.name for file in path.glob("*.onnx"))
        why = f"It holds {', '.join(files[:3])}." if files else "It holds no ONNX file."
        return UserError(f"{name!r} is a folder, not a backbone.", why, str(path / files[0]) if files else "")
    if not path.exists():
        return UserError(f"{name!r} is not a backbone.", "No such file exists.", "bob export --list")
    kind = formats.of(path)
    if kind == formats.ONNX:
        return UserError(f"{name!r} is an ONNX file under another ending.", "", f"rename it to {path.stem}.onnx")
    return UserError(
        f"{name!r} is a file, not a backbone.",
        f"It is {kind.words}. A checkpoint needs the network that it was trained as.",
        f"--models resnet50 --weights resnet50={name}",
    )


_ENDINGS = (".pth", ".pt", ".bin", ".ckpt", ".safetensors", ".tar", ".h5", ".hdf5", ".pb", ".npz", ".pkl", ".onnx")


def _label(path: Path, folders: int) -> str:
    """What a file is called: its name without endings, after so many of its folders: ``run1/model_best``.

    Raises:
        UserError: the path is not text, so that no record can hold it.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode("utf-8", "replace")
        raise UserError(f"The name of {shown} is not valid UTF-8.", "", "rename it") from None
    stem = path.name
    while (suffix := Path(stem).suffix.lower()) in _ENDINGS and Path(stem).stem:
        stem = stem[: -len(suffix)]
    return "/".join([*path.parent.parts[1:][-folders:], stem])


def _other(timm_id: str) -> Backbone:
    """Any checkpoint that timm knows and the zoo does not: the one name that costs an import of timm."""
    from export.torchvision_ops import import_timm

    known = import_timm().list_pretrained()
    if timm_id not in known:
        raise unknown("backbone", timm_id, known, "bob export --list")
    return Backbone(timm_id, TimmModel(timm_id))


def listing(zoo_files: Sequence[Path] = ()) -> list[Backbone]:
    """All rows of the zoo, the user's own last."""
    return [row for file in (ZOO, *map(expanded, zoo_files)) for row in _zoo(file).values()]


@lru_cache(maxsize=8)
def _zoo(path: Path) -> dict[str, Backbone]:
    document = read_yaml(path, "zoo file")
    if not isinstance(document, list) or not all(isinstance(row, dict) and "name" in row for row in document):
        raise UserError(f"{path} is not a zoo file.", "It must be a list of rows, each with a name.")
    rows: dict[str, Backbone] = {}
    for row in document:
        name = row["name"]
        if not isinstance(name, str) or not re.fullmatch(r"[^\s,:@/\\]+", name) or Path(name).suffix in _ENDINGS:
            raise UserError(
                f"{path} names a row {name!r}.",
                "A name is a text without spaces , : @ / and no file's ending.",
                "another",
            )
        if name in rows:
            raise UserError(f"{path} names {name!r} twice.", "One row is one checkpoint.")
        rows[name] = _row(row, path)
    return rows


_NAMES = {"algo": "pretrain_algo", "data": "pretrain_data"}
"""Fields of a row that a Backbone has under a longer name."""
_OWN = ("preprocess", "family", "algo", "data", "licence", "study", "note")
_KNOWN = ("name", *(name for name in DEFAULTS if name != "random"), *_OWN)


def _row(row: Mapping[str, Any], path: Path) -> Backbone:
    where = f"row {row['name']!r} of {path}"
    for name in row:
        if name not in _KNOWN:
            raise unknown("field", str(name), _KNOWN, f"correct the {where}")
    given = {name: value for name, value in row.items() if value is not None}
    if "layout" in given:
        given["layout"] = layouts.listed(given["layout"], where)
    for name, value in given.items():
        if not isinstance(value, kind := _kind(name)) or (kind is int and isinstance(value, bool)):
            wanted = {dict: "a mapping", bool: "true or false", int: "a whole number"}.get(kind, "a text")
            raise UserError(f"The field {name} of the {where} is {value!r}.", f"It must be {wanted}.")
    if "package" in given:
        given["package"] = _package(given, where)
    if given.get("file"):
        given["file"] = expanded(path.parent / os.path.expanduser(given["file"]))
        formats.require_file(given["file"])
    if not re.fullmatch(r"(https?://[^/\s]+/\S+)?", given.get("url", "")):
        raise UserError(f"The field url of the {where} is {given['url']!r}.", "It must begin with https:// or http://.")
    own = {_NAMES.get(name, name): given[name] for name in _OWN if name in given}
    return Backbone(given["name"], source_of(given, where), **own)


def _kind(name: str) -> type:
    """The type of a row's field."""
    if name in ("package", "preprocess"):
        return dict
    return str if DEFAULTS.get(name) is None else type(DEFAULTS[name])


def _package(row: dict[str, Any], where: str) -> PackageFile:
    given = row["package"]
    try:
        licence = row.get("licence", "not told")
        package = Package(given["name"], str(given["version"]), given["sha256"], licence, given.get("sdist", False))
        return PackageFile(package, given["member"], given["member_sha256"])
    except (KeyError, TypeError) as error:
        raise UserError(f"The package of the {where} is incomplete.", f"Missing: {error}.") from error


_BESIDE = ("name", "cut", *_OWN)
"""Fields of the YAML file beside a finished ONNX file."""


def finished_file(path: Path) -> Backbone:
    """A finished ONNX file by its name alone: nothing of it, or of the YAML file beside it, is read."""
    return Backbone(_label(expanded(path), 1), OnnxFile(LocalFile(path)))


def _finished(path: Path, folders: int) -> Backbone:
    """A finished ONNX file; its sidecar gives the preprocessing, and may give licence, family and where to cut."""
    formats.require_file(path)
    sidecar = path.with_suffix(".yaml")
    if not sidecar.is_file():
        raise UserError(
            f"{path.name} comes without its preprocessing.",
            f"A finished ONNX file needs {sidecar.name} beside it, with the fields of its preprocessing.",
            f"write to {sidecar.name}: preprocess: {{height: 224, width: 224, mean: […], std: […]}}",
        )
    document = read_yaml(sidecar, "sidecar")
    if not isinstance(document, dict) or not isinstance(document.get("preprocess"), dict):
        raise UserError(f"{sidecar} has no mapping 'preprocess'.")
    for name in document:
        if name not in _BESIDE:
            raise unknown("field", str(name), _BESIDE, f"correct {sidecar}")
    row = {"name": _label(path, folders), "file": str(path), "reader": "onnx", "licence": "user's own", **document}
    return _row(row, path)
