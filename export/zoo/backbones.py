"""From what a user types to one backbone: a zoo row, or something of the user's own. Imports no framework.

A backbone is a *request*: which module, which weights, which preprocessing. ``export.zoo.loaders`` makes the module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from export.errors import UserError, unknown
from export.packages import Package

ZOO = Path(__file__).with_name("zoo.yaml")
RANDOM = "@random"

Reader = Literal["timm", "in_order", "named", "tensorflow_mobilenetv1", "onnx"]


@dataclass(frozen=True)
class PackageFile:
    """A file inside a published package, both pinned by SHA-256."""

    package: Package
    member: str
    sha256: str


@dataclass(frozen=True)
class Backbone:
    """One checkpoint of one architecture.

    Attributes:
        name: what tables show.
        timm: timm's ``architecture.tag``; empty for a module or an ONNX file of the user's own.
        module: ``module:function`` that returns a ``torch.nn.Module`` giving features [n, d]; else empty.
        file: a local checkpoint (or a finished ONNX file); else None.
        package: a file in a published package; else None.
        revision: commit, tag or branch on the model hub. What it was resolved to is written into the artifact.
        random: the module keeps its seeded random weights (*untrained*).
        reader: how a checkpoint's tensors find their place: by timm itself, by name, in order, or otherwise.
        headless: the checkpoint has no classifier. classes: the classifier's size where it has one.
        arguments: keyword arguments for the architecture. prefix: what to strip from the names in the checkpoint.
        cut: for an ONNX file, the operator type or tensor name whose output is the feature.
        preprocess: fields of PreprocessSpec that the checkpoint's own configuration does not tell.
        output: "features" (pooled, before the classifier) or "logits" (through the checkpoint's own classifier).
    """

    name: str
    timm: str = ""
    module: str = ""
    file: Path | None = None
    package: PackageFile | None = None
    revision: str = "main"
    random: bool = False
    reader: Reader = "timm"
    headless: bool = False
    classes: int = 1000
    arguments: Mapping[str, Any] = field(default_factory=dict)
    prefix: str = ""
    cut: str = ""
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    output: Literal["features", "logits"] = "features"
    family: str = ""
    pretrain_algo: str = ""
    pretrain_data: str = ""
    licence: str = ""
    study: str = ""

    @property
    def untrained(self) -> bool:
        return self.random or bool(self.module and not self.file)

    @property
    def feature(self) -> str:
        """What the main output is, in words."""
        if self.reader == "onnx":
            return f"output of {self.cut}, flattened" if self.cut else "the file's first output"
        return "logits of its own classifier" if self.output == "logits" else "pooled, before the classifier"

    @property
    def weights(self) -> str:
        """Where the weights come from, in words."""
        if self.random:
            return "random"
        if self.file:
            return f"file {self.file.name}"
        if self.package:
            return f"package {self.package.package.requirement}"
        return "module's own" if self.module else "model hub"

    def as_json(self) -> dict[str, Any]:
        """The request in plain values, from which :meth:`of_json` makes it again."""
        values = asdict(self)
        values["file"] = str(self.file.resolve()) if self.file else None
        return values

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> Backbone:
        """The inverse of :meth:`as_json`."""
        values, package = dict(values), values["package"]
        values["file"] = Path(values["file"]) if values["file"] else None
        if package:
            values["package"] = PackageFile(Package(**package["package"]), package["member"], package["sha256"])
        return cls(**values)


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
    if name.endswith(".onnx"):
        return _finished(Path(name))
    if weights is not None and not weights.is_file():
        raise UserError(f"The checkpoint {weights} does not exist.", f"It was given as the weights of {name!r}.")
    plain = name.removesuffix(RANDOM)
    if ":" in plain:
        return Backbone(plain, module=plain, file=weights, reader="named", family="user's own", licence="user's own")
    rows = {**_zoo(ZOO), **{k: v for file in zoo_files for k, v in _zoo(file).items()}}
    by_timm = {row.timm: row for row in rows.values() if row.package is None and row.timm}
    row = rows.get(plain) or by_timm.get(plain)
    if row is None and "." in plain:
        row = _other(plain)
    if row is None:
        raise unknown("backbone", plain, [*rows, *by_timm], "python -m export --list")
    if name.endswith(RANDOM):
        return replace(row, name=f"{row.name}{RANDOM}", random=True, package=None, file=None, reader="timm")
    if weights is not None:
        return replace(row, name=f"{row.name}@{weights.stem}", file=weights, package=None, reader="timm")
    return row


def _other(timm_id: str) -> Backbone:
    """Any checkpoint that timm knows and the zoo does not: the one name that costs an import of timm."""
    from export.torchvision_ops import import_timm

    known = import_timm().list_pretrained()
    if timm_id not in known:
        raise unknown("backbone", timm_id, known, "python -m export --list")
    return Backbone(timm_id, timm=timm_id)


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


_FIELDS = {"algo": "pretrain_algo", "data": "pretrain_data"}
_KNOWN = [
    "name",
    "timm",
    "module",
    "file",
    "package",
    "revision",
    "reader",
    "headless",
    "classes",
    "arguments",
    "prefix",
    "cut",
    "preprocess",
    "family",
    "algo",
    "data",
    "licence",
    "study",
]


def _row(row: dict[str, Any], path: Path) -> Backbone:
    row = dict(row)
    for name in row:
        if name not in _KNOWN:
            raise unknown("field", name, _KNOWN, f"correct the row {row['name']!r} of {path}")
    package = row.pop("package", None)
    if package is not None:
        try:
            row["package"] = PackageFile(
                Package(
                    package["name"],
                    str(package["version"]),
                    package["sha256"],
                    row.get("licence", "not told"),
                    package.get("sdist", False),
                ),
                package["member"],
                package["member_sha256"],
            )
        except (KeyError, TypeError) as error:
            raise UserError(f"The row {row['name']!r} of {path} has no whole package.", f"Missing: {error}.") from error
    if row.get("file"):
        row["file"] = (path.parent / row["file"]).resolve()
        if not row["file"].is_file():
            raise UserError(f"The checkpoint {row['file']} does not exist.", f"Named by {row['name']!r} in {path}.")
    if not any(row.get(k) for k in ("timm", "module", "file", "package")):
        raise UserError(f"The row {row['name']!r} of {path} names nothing to load.", "timm, module, file or package.")
    return Backbone(**{_FIELDS.get(k, k): v for k, v in row.items()})


def _finished(path: Path) -> Backbone:
    """A finished ONNX file; its sidecar tells the preprocessing, and may tell licence, family and where to cut."""
    if not path.is_file():
        raise UserError(f"The ONNX file {path} does not exist.")
    sidecar = path.with_suffix(".yaml")
    if not sidecar.is_file():
        raise UserError(
            f"{path.name} does not say how its input is made.",
            f"A finished ONNX file needs {sidecar.name} beside it, with the fields of its preprocessing.",
            f"write into {sidecar.name}: preprocess: {{height: 224, width: 224, mean: […], std: […]}}",
        )
    document = read_yaml(sidecar, "sidecar")
    if not isinstance(document, dict) or not isinstance(document.get("preprocess"), dict):
        raise UserError(f"{sidecar} has no mapping 'preprocess'.")
    row = {"name": path.stem, "file": path.name, "reader": "onnx", "licence": "user's own", **document}
    return _row(row, path)
