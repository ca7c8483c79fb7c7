"""An exported backbone: ``model.onnx`` and what its manifest says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from export.spec import Precision, PreprocessSpec, TensorSpec
from export.store import Entry

ONNX = "model.onnx"


@dataclass(frozen=True)
class Artifact:
    """One ONNX file: the thing that an engine builds from, and that a user ships.

    The file has one input, float32 ``[n, 3, height, width]`` (or NHWC, see ``preprocess.layout``), with values as
    ``preprocess`` makes them, and a free batch axis. Its first output is ``features`` [n, d] float32.

    Attributes:
        key: the onnx_key, which every later key contains.
        backbone: the zoo's name, or the user's.
        untrained: random weights; may be timed, never scored.
        source: everything needed to make the eager module again (see ``export.zoo.backbones``); empty for a finished
            ONNX file, which has no eager twin.
        input: the input's name in the file. outputs: by name, without the batch axis.
        parameters: number of weights. gmacs: 10⁹ multiply-accumulates for one image, None where not counted.
        parity: closeness of the file, run by ONNX Runtime on the CPU, to eager PyTorch on real photographs; of a lower
            precision to the fp32 file.
        fields: the whole manifest; of a lower precision also ``chosen`` and ``calibration``.
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
    parity: Mapping[str, Any]
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def onnx(self) -> Path:
        return self.path / ONNX

    @property
    def onnx_bytes(self) -> int:
        return self.onnx.stat().st_size

    @classmethod
    def of(cls, entry: Entry) -> Artifact:
        """Read an entry of the store's shelf ``onnx``."""
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
            parity=f["parity"],
            fields=f,
        )


def preprocess_of_fields(fields: Mapping[str, Any]) -> PreprocessSpec:
    """The PreprocessSpec that a manifest tells."""
    spec = dict(fields["preprocess"])
    return PreprocessSpec(**{**spec, **{name: tuple(spec[name]) for name in ("mean", "std", "fill")}})
