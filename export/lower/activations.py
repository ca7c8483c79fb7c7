"""What a network's inner tensors hold on real photographs: watched through ONNX Runtime on the processor, in fp32."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from export.errors import CellError, first_line
from export.lower.graph import Graph

if TYPE_CHECKING:
    import onnx

BATCH = 4
BINS = 2048
CHANNEL_BINS = 512
"""Bins of one channel: its range is its own, and so they are finer than those of the whole tensor where it matters."""
CHUNK = 1 << 16
"""So many numbers are counted at once, in the processor's cache."""
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
        flat = np.asarray(values, np.float32).ravel()
        peak = max(float(flat.max(initial=0.0)), -float(flat.min(initial=0.0)))
        self.peak = max(self.peak, peak)
        if not self.top and peak:
            self.top = max(peak, LEAST)
        while 0 < self.top < peak:
            self.counts = np.concatenate([self.counts.reshape(-1, 2).sum(axis=1), np.zeros(BINS // 2, np.int64)])
            self.top *= 2
        if not self.top:
            self.counts[0] += flat.size
            return
        per_unit = np.float32(BINS / self.top)
        for start in range(0, flat.size, CHUNK):
            bins = np.abs(flat[start : start + CHUNK])
            bins *= per_unit
            found = np.bincount(bins.astype(np.intp), minlength=BINS + 1)
            self.counts += found[:BINS]
            self.counts[-1] += found[BINS]  # the top itself

    @property
    def centers(self) -> npt.NDArray[np.float64]:
        """The middle of each bin."""
        return np.linspace(0.5, BINS - 0.5, BINS, dtype=np.float64) * (self.top / BINS)


class ChannelHistogram:
    """The same for each index of a tensor's last axis, so that channels may be scaled afterwards.

    Attributes:
        peaks: max |x| of each channel, float32 [channels].
    """

    def __init__(self, channels: int) -> None:
        self.peaks = np.zeros(channels, np.float32)
        self._tops = np.full(channels, LEAST)
        self._counts = np.zeros((channels, CHANNEL_BINS), np.int64)

    def add(self, values: npt.NDArray[Any]) -> None:
        """Count an array [..., channels]."""
        magnitudes = np.abs(values.reshape(-1, len(self.peaks)))
        self.peaks = np.maximum(self.peaks, magnitudes.max(axis=0))
        first = self._tops == LEAST
        self._tops[first] = np.maximum(self.peaks[first], LEAST)
        while (grown := self.peaks > self._tops * (1 + 1e-6)).any():
            pairs = self._counts[grown].reshape(grown.sum(), -1, 2).sum(axis=2)
            self._counts[grown] = np.pad(pairs, ((0, 0), (0, CHANNEL_BINS // 2)))
            self._tops[grown] *= 2
        bins = (magnitudes * (CHANNEL_BINS / self._tops).astype(np.float32)).astype(np.intp)
        np.minimum(bins, CHANNEL_BINS - 1, out=bins)
        bins += np.arange(len(self.peaks)) * CHANNEL_BINS
        self._counts += np.bincount(bins.ravel(), minlength=self._counts.size).reshape(self._counts.shape)

    def divided(self, scale: Float) -> Histogram:
        """The histogram of the whole tensor, had each channel been divided by its ``scale``, float32 [channels]."""
        found = Histogram()
        found.peak = found.top = float((self.peaks / scale).max(initial=0.0))
        if not found.top:
            found.counts[0] = self._counts.sum()
            return found
        centers = (np.arange(CHANNEL_BINS) + 0.5) * (self._tops / scale / CHANNEL_BINS)[:, None]
        bins = np.minimum((centers * (BINS / found.top)).astype(np.intp), BINS - 1)
        found.counts += np.bincount(bins.ravel(), self._counts.ravel(), BINS).astype(np.int64)
        return found


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

    watched = Graph.copy_of(model).model
    there = {o.name for o in watched.graph.output}
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors if name not in there)
    try:
        runtime = session(watched)
        name = runtime.get_inputs()[0].name
        for start in range(0, len(values), batch):
            yield dict(zip(tensors, runtime.run(list(tensors), {name: values[start : start + batch]}), strict=True))
    except Exception as error:  # its own kinds of error have no common base
        raise CellError("ONNX Runtime does not run this file.", first_line(error)) from error


def histograms(
    model: onnx.ModelProto, tensors: Sequence[str], values: Float, by_channel: Collection[str] = ()
) -> tuple[dict[str, Histogram], dict[str, ChannelHistogram]]:
    """A histogram of each named tensor over all photographs; of each channel too of those ``by_channel``.

    Raises:
        CellError: a tensor holds NaN or Inf.
    """
    whole: dict[str, Histogram] = {}
    channels: dict[str, ChannelHistogram] = {}
    for seen in watch(model, tensors, values):
        for name, array in seen.items():
            if not np.isfinite(array).all():
                raise CellError(f"The tensor {name} holds NaN or Inf in fp32.", "No range can be taken from it.")
            if name in by_channel:
                channels.setdefault(name, ChannelHistogram(array.shape[-1])).add(array)
            else:
                whole.setdefault(name, Histogram()).add(array)
    for name, counted in channels.items():
        whole[name] = counted.divided(np.ones_like(counted.peaks))
    return whole, channels


def peaks(model: onnx.ModelProto, tensors: Sequence[str], values: Float) -> dict[str, float]:
    """max |x| of each named float tensor over all photographs. The tensors stay in the runtime, and may be many."""
    from onnx import helper

    copy = Graph.copy_of(model).model
    ends = []
    for number, name in enumerate(tensors):
        for operator in ("ReduceMax", "ReduceMin"):
            ends.append(f"peak.{number}.{operator}")
            copy.graph.node.append(helper.make_node(operator, [name], [ends[-1]], ends[-1], keepdims=0))
    found = np.zeros(len(ends))
    for seen in watch(copy, ends, values):
        found = np.maximum(found, np.abs([float(seen[end]) for end in ends]))
    return dict(zip(tensors, np.maximum(found[::2], found[1::2]).tolist(), strict=True))


def features(model: onnx.ModelProto, values: Float) -> Float:
    """The model's main output for all photographs, [n, …] float32."""
    return _whole(model, [model.graph.output[0].name], values)[model.graph.output[0].name]


def outputs(model: onnx.ModelProto, values: Float) -> dict[str, Float]:
    """All of the model's outputs for all photographs: name → [n, …] float32."""
    return _whole(model, [o.name for o in model.graph.output], values)


def _whole(model: onnx.ModelProto, names: Sequence[str], values: Float) -> dict[str, Float]:
    batches = list(watch(model, names, values))
    return {name: np.concatenate([np.asarray(seen[name], np.float32) for seen in batches]) for name in names}
