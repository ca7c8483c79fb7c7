"""An exported backbone: ``model.onnx`` and what its manifest says of it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from export.parity import Parity
from export.spec import Precision, PreprocessSpec, TensorSpec
from export.store import Entry

ONNX = "model.onnx"
DATA = ".data"
"""What the name of the file beside it that holds large weights has more: ``model.onnx.data``."""
REFERENCE = "parity.npz"
"""What the file is compared with, beside it: the array ``pixels``, and one array ``output:NAME`` for each output."""

_PIXELS, _OUTPUT = "pixels", "output:"


def data_file(file: Path) -> Path:
    """Where the large weights of ``model.onnx`` lie, if they lie beside it: ``model.onnx.data``."""
    return file.with_name(file.name + DATA)


def files(file: Path) -> tuple[Path, ...]:
    """The model's file, and the one beside it where there is one."""
    return (file, beside) if (beside := data_file(file)).exists() else (file,)


def copy_files(file: Path, target: Path) -> None:
    """Copy a model of ours, the file beside it included, to another name or place; what lay there is replaced."""
    data_file(target).unlink(missing_ok=True)
    shutil.copyfile(file, target)
    if data_file(file).exists():
        if target.name != file.name:
            raise ValueError(f"{file.name} names {data_file(file).name}, and keeps its own name")
        shutil.copyfile(data_file(file), data_file(target))


@dataclass(frozen=True)
class Reference:
    """Photographs, and what the artifact must give for them.

    Attributes:
        pixels: uint8 [n, height, width, 3], resized and cropped, not normalised.
        outputs: name → float32 [n, …], every output that is compared: eager PyTorch's for an fp32 file, the fp32
            file's for a lower precision.
    """

    pixels: npt.NDArray[np.uint8]
    outputs: Mapping[str, npt.NDArray[np.float32]]

    def save(self, folder: Path) -> None:
        """Write ``folder/parity.npz``."""
        outputs = {f"{_OUTPUT}{name}": array for name, array in self.outputs.items()}
        arrays: dict[str, Any] = {_PIXELS: self.pixels, **outputs}
        np.savez(folder / REFERENCE, **arrays)

    @classmethod
    def load(cls, folder: Path) -> Reference:
        """Read ``folder/parity.npz``.

        Raises:
            FileNotFoundError: there is none.
        """
        with np.load(folder / REFERENCE) as saved:
            outputs = {name.removeprefix(_OUTPUT): saved[name] for name in saved.files if name != _PIXELS}
            return cls(saved[_PIXELS], outputs)


@dataclass(frozen=True)
class Artifact:
    """One ONNX file: the thing that an engine builds from, and that a user ships.

    The file has one input, float32 ``[n, 3, height, width]`` (or NHWC, see ``preprocess.layout``), with values as
    ``preprocess`` makes them, and a free batch axis. Its first output is ``features`` [n, d] float32; where a
    head is joined to the backbone, the outputs are the head's.

    Attributes:
        key: the onnx_key, which every later key contains.
        backbone: the zoo's name, or the user's.
        untrained: random weights; may be timed, never scored.
        source: everything needed to make the eager module again (see ``export.zoo.backbones``); empty for a finished
            ONNX file, which has no eager twin.
        input: the input's name in the file. outputs: by name, without the batch axis.
        parameters: number of weights. gmacs: 10⁹ multiply-accumulates for one image, None where not counted.
        parity: the worst output's closeness, run by ONNX Runtime on the CPU on real photographs, to eager PyTorch; of a
            lower precision to the fp32 file. None where nothing was compared.
        fields: the whole manifest, ``compared`` (with what, and how) among it; of a lower precision also ``chosen`` and
            ``calibration``.
    """

    key: str
    path: Path
    backbone: str
    precision: Precision
    preprocess: PreprocessSpec
    input: str
    outputs: tuple[TensorSpec, ...]
    untrained: bool
    parameters: int
    gmacs: float | None
    source: Mapping[str, Any]
    parity: Parity | None
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def onnx(self) -> Path:
        return self.path / ONNX

    @property
    def onnx_bytes(self) -> int:
        """Of the file, and of the one beside it that holds its weights where they are too large for it."""
        return sum(file.stat().st_size for file in files(self.onnx))

    @property
    def compared(self) -> tuple[str, ...]:
        """The outputs by which closeness is judged: all, unless a head says which of its own vary continuously."""
        return tuple(self.fields.get("judged", ())) or tuple(o.name for o in self.outputs)

    def reference(self) -> Reference | None:
        """The photographs and outputs that an engine's outputs are compared with; None where the artifact has none."""
        return Reference.load(self.path) if (self.path / REFERENCE).exists() else None

    @classmethod
    def of(cls, entry: Entry) -> Artifact:
        """Read an entry of the store's shelf ``onnx``."""
        import msgspec

        f = entry.fields
        return cls(
            key=entry.key,
            path=entry.path,
            backbone=f["backbone"],
            precision=Precision(f["precision"]),
            preprocess=preprocess_of_fields(f),
            input=f["input"],
            outputs=tuple(TensorSpec(o["name"], tuple(o["shape"]), o["dtype"]) for o in f["outputs"]),
            untrained=f["untrained"],
            parameters=f["parameters"],
            gmacs=f["gmacs"],
            source=f["source"],
            parity=msgspec.convert(f["parity"], Parity) if f["parity"] else None,
            fields=f,
        )


def preprocess_of_fields(fields: Mapping[str, Any]) -> PreprocessSpec:
    """The PreprocessSpec in a manifest."""
    spec = dict(fields["preprocess"])
    return PreprocessSpec(**{**spec, **{name: tuple(spec[name]) for name in ("mean", "std", "fill")}})
