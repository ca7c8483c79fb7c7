"""What a network's inner tensors hold on real photographs: watched through ONNX Runtime on the processor, in fp32."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from export.errors import CellError, first_line

if TYPE_CHECKING:
    import onnx

BATCH = 4
BINS = 2048
LEAST = 1e-30
"""A smaller range cannot be divided into bins."""

Float = npt.NDArray[np.float32]


@dataclass
class Histogram:
    """How often each magnitude occurs: ``counts`` of |x| in 2,048 equal bins over [0, ``top``]; ``peak`` = max |x|.

    The range doubles when a larger value comes, and pairs of bins are then merged: nothing is kept but the bins.
    """

    top: float = 0.0
    peak: float = 0.0
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))

    def add(self, values: npt.NDArray[Any]) -> None:
        """Count an array of any shape."""
        magnitudes = np.abs(values).ravel()
        peak = float(magnitudes.max(initial=0.0))
        self.peak = max(self.peak, peak)
        if not self.top and peak:
            self.top = max(peak, LEAST)
        while 0 < self.top < peak:
            self.counts = np.concatenate([self.counts.reshape(-1, 2).sum(axis=1), np.zeros(BINS // 2, np.int64)])
            self.top *= 2
        if self.top:
            self.counts += np.histogram(magnitudes, BINS, (0.0, self.top))[0]
        else:
            self.counts[0] += magnitudes.size

    @property
    def centers(self) -> npt.NDArray[np.float64]:
        """The middle of each bin."""
        return np.linspace(0.5, BINS - 0.5, BINS, dtype=np.float64) * (self.top / BINS)


def watch(
    model: onnx.ModelProto, tensors: Sequence[str], values: Float, batch: int = BATCH
) -> Iterator[dict[str, Any]]:
    """Run ``values`` [n, …] through the model, ``batch`` at a time.

    Yields:
        For each batch the named tensors as the model computed them, its own outputs among them if named.

    Raises:
        CellError: the model does not run in ONNX Runtime.
    """
    import onnx

    from export.convert.verify import session

    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    there = {o.name for o in watched.graph.output}
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors if name not in there)
    try:
        runtime = session(watched.SerializeToString())
        name = runtime.get_inputs()[0].name
        for start in range(0, len(values), batch):
            yield dict(zip(tensors, runtime.run(list(tensors), {name: values[start : start + batch]}), strict=True))
    except Exception as error:  # its own kinds of error have no common base
        raise CellError("ONNX Runtime does not run this file.", first_line(error)) from error


def histograms(model: onnx.ModelProto, tensors: Sequence[str], values: Float) -> dict[str, Histogram]:
    """A histogram of each named tensor over all photographs.

    Raises:
        CellError: a tensor holds NaN or Inf.
    """
    found = {name: Histogram() for name in tensors}
    for seen in watch(model, tensors, values):
        for name, array in seen.items():
            if not np.isfinite(array).all():
                raise CellError(f"The tensor {name} holds NaN or Inf in fp32.", "No range can be taken from it.")
            found[name].add(array)
    return found


def channel_peaks(model: onnx.ModelProto, tensors: Sequence[str], values: Float) -> dict[str, Float]:
    """max |x| over all photographs and positions for each index of the last axis: name → float32 [channels]."""
    found: dict[str, Float] = {}
    for seen in watch(model, tensors, values):
        for name, array in seen.items():
            peaks = np.abs(array.reshape(-1, array.shape[-1])).max(axis=0)
            found[name] = np.maximum(found[name], peaks) if name in found else peaks
    return found


def features(model: onnx.ModelProto, values: Float) -> Float:
    """The model's main output for all photographs, [n, …] float32."""
    return _whole(model, [model.graph.output[0].name], values)[model.graph.output[0].name]


def outputs(model: onnx.ModelProto, values: Float) -> dict[str, Float]:
    """All of the model's outputs for all photographs: name → [n, …] float32."""
    return _whole(model, [o.name for o in model.graph.output], values)


def _whole(model: onnx.ModelProto, names: Sequence[str], values: Float) -> dict[str, Float]:
    batches = list(watch(model, names, values))
    return {name: np.concatenate([np.asarray(seen[name], np.float32) for seen in batches]) for name in names}
