"""The value part of preprocessing on the CPU: uint8 pixels → the float32 tensor that the network takes.

Part of what is timed, for every engine alike: an engine's session calls it on the host pixels it is given. numpy only,
so that a session needs no framework. It must not resize (see ``engines.preprocess.resize``).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from export.spec import PreprocessSpec

Channels = npt.NDArray[np.float32]

PIXELS = "pixels"
"""The input of a network that normalises by itself, on the device (see ``engines.preprocess.onnx_head``)."""
BATCH_AXIS = "n"
"""What a file that takes pixels calls its free axis, on the input and on every output."""


def scale_and_shift(spec: PreprocessSpec) -> tuple[Channels, Channels]:
    """``scale = 1 / (value_range · std)`` and ``shift = −mean / std``: float32 [3] each, folded in float64.

    They are in the order of ``spec.channel_order``: channels are put into it before.
    """
    divisor = 255.0 if spec.value_range == 1 else 1.0
    scale, shift = 1 / (divisor * np.array(spec.std)), -np.array(spec.mean) / np.array(spec.std)
    return scale.astype(np.float32), shift.astype(np.float32)


class Normalizer:
    """``(pixel / value_range − mean) / std`` as one multiply-add; equal to the reference within 1e-6 relative.

    Holds constants alone and writes into an array of its own each time, so any number of threads may call one.
    """

    def __init__(self, spec: PreprocessSpec) -> None:
        self.spec = spec
        scale, shift = scale_and_shift(spec)
        shape = (3, 1, 1) if spec.layout == "NCHW" else (3,)
        self._scale, self._shift = scale.reshape(shape), shift.reshape(shape)

    def __call__(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 RGB [n, height, width, 3] → float32 in ``spec.layout``, C-contiguous, owned by the caller."""
        if self.spec.channel_order == "BGR":
            pixels = pixels[..., ::-1]
        if self.spec.layout == "NCHW":
            pixels = pixels.transpose(0, 3, 1, 2)
        out = np.empty(pixels.shape, np.float32)
        for source, target in zip(pixels, out, strict=True):  # image by image: all three passes stay in the cache
            np.copyto(target, source)
            np.multiply(target, self._scale, out=target)
            np.add(target, self._shift, out=target)
        return out
