"""From what a user types to one backbone: a zoo row, or something of the user's own. Imports no framework.

A backbone is a *request*: which module, which weights, which preprocessing. ``export.zoo.loaders`` makes the module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from export.errors import UserError, unknown
from export.packages import Package
from export.zoo.sources import (
    DEFAULTS,
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
    """

    name: str
    source: Source
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    output: Literal["features", "logits"] = "features"
    family: str = ""
    pretrain_algo: str = ""
    pretrain_data: str = ""
    licence: str = ""
    study: str = ""

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
    def feature(self) -> str:
        """What the main output is, for a reader."""
        if isinstance(self.source, OnnxFile):
            return f"output of {self.source.cut}, flattened" if self.source.cut else "the file's first output"
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
        return cls(values["name"], source, **{name: values[name] for name in _DESCRIBED})


_DESCRIBED = tuple(f.name for f in fields(Backbone) if f.name not in ("name", "source"))


def resolve(name: str, *, zoo_files: Sequence[Path] = (), weights: Path | None = None) -> Backbone:
    """The backbone that a name stands for.

    Args:
        name: a zoo name (``vit_b``), a timm id (``vit_base_patch16_224.dino``), either with ``@random`` for random
            weights, ``module:function``, or a path to a finished ``.onnx`` file with ``FILE.yaml`` beside it.
        zoo_files: YAML files with rows of the user's own, of the zoo's form.
        weights: a local checkpoint that takes the place of the backbone's own.

    Raises:
        UserError: nothing has that name (the nearest are suggested), or a file is not there or not of its form.
    """
    if name.lower().endswith(".onnx"):
        return _finished(Path(name).expanduser())
    if weights is not None and not weights.is_file():
        raise UserError(f"The checkpoint {weights} does not exist.", f"It was given as the weights of {name!r}.")
    plain = name.removesuffix(RANDOM)
    if ":" in plain:
        source: Source = ModuleFunction(plain)
        if weights is not None:
            source = with_checkpoint(source, weights, plain)
        return Backbone(plain, source, family="user's own", licence="user's own")
    rows = {**_zoo(ZOO), **{k: v for file in zoo_files for k, v in _zoo(file).items()}}
    by_timm = {row.timm: row for row in rows.values() if hub_of(row.source)}
    row = rows.get(plain) or by_timm.get(plain)
    if row is None and "." in plain:
        row = _other(plain)
    if row is None:
        raise unknown("backbone", plain, [*rows, *by_timm], "bob export --list")
    if name.endswith(RANDOM):
        return replace(row, name=f"{row.name}{RANDOM}", source=with_random_weights(row.source, row.name))
    if weights is not None:
        source = with_checkpoint(row.source, weights, row.name)
        return replace(row, name=f"{row.name}@{weights.stem}", source=source)
    return row


def _other(timm_id: str) -> Backbone:
    """Any checkpoint that timm knows and the zoo does not: the one name that costs an import of timm."""
    from export.torchvision_ops import import_timm

    known = import_timm().list_pretrained()
    if timm_id not in known:
        raise unknown("backbone", timm_id, known, "bob export --list")
    return Backbone(timm_id, TimmModel(timm_id))


def listing(zoo_files: Sequence[Path] = ()) -> list[Backbone]:
    """All rows of the zoo, the user's own last."""
    return [row for file in (ZOO, *zoo_files) for row in _zoo(file).values()]


def read_yaml(path: Path, what: str) -> Any:
    """A YAML document.

    Raises:
        UserError: the file cannot be read, or is not YAML.
    """
    import yaml

    try:
        return yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except OSError as error:
        raise UserError(f"The {what} {path} cannot be read.", str(error)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"The {what} {path} is not YAML.", " ".join(str(error).split())) from error


@lru_cache(maxsize=8)
def _zoo(path: Path) -> dict[str, Backbone]:
    document = read_yaml(path, "zoo file")
    if not isinstance(document, list) or not all(isinstance(row, dict) and "name" in row for row in document):
        raise UserError(f"{path} is not a zoo file.", "It must be a list of rows, each with a name.")
    rows: dict[str, Backbone] = {}
    for row in document:
        if row["name"] in rows:
            raise UserError(f"{path} names {row['name']!r} twice.", "One row is one checkpoint.")
        rows[row["name"]] = _row(row, path)
    return rows


_NAMES = {"algo": "pretrain_algo", "data": "pretrain_data"}
"""Fields of a row that a Backbone has under a longer name."""
_OWN = ("preprocess", "family", "algo", "data", "licence", "study")
_KNOWN = ("name", *(name for name in DEFAULTS if name != "random"), *_OWN)


def _row(row: dict[str, Any], path: Path) -> Backbone:
    where = f"row {row['name']!r} of {path}"
    for name in row:
        if name not in _KNOWN:
            raise unknown("field", name, _KNOWN, f"correct the {where}")
    given = dict(row)
    if given.get("package") is not None:
        given["package"] = _package(given, where)
    if given.get("file"):
        given["file"] = (path.parent / given["file"]).resolve()
        if not given["file"].is_file():
            raise UserError(f"The checkpoint {given['file']} does not exist.", f"Named by {row['name']!r} in {path}.")
    own = {_NAMES.get(name, name): given[name] for name in _OWN if name in given}
    return Backbone(given["name"], source_of(given, where), **own)


def _package(row: dict[str, Any], where: str) -> PackageFile:
    given = row["package"]
    try:
        licence = row.get("licence", "not told")
        package = Package(given["name"], str(given["version"]), given["sha256"], licence, given.get("sdist", False))
        return PackageFile(package, given["member"], given["member_sha256"])
    except (KeyError, TypeError) as error:
        raise UserError(f"The package of the {where} is incomplete.", f"Missing: {error}.") from error


def _finished(path: Path) -> Backbone:
    """A finished ONNX file; its sidecar gives the preprocessing, and may give licence, family and where to cut."""
    if path.is_dir():
        raise UserError(f"{path} is a folder, not an ONNX file.", "", f"{path}/model.onnx")
    if not path.is_file():
        raise UserError(f"The ONNX file {path} does not exist.")
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
    row = {"name": path.stem, "file": path.name, "reader": "onnx", "licence": "user's own", **document}
    return _row(row, path)
