"""Encoded bytes → pixels on the CPU: Pillow decodes, torch's antialiased 8-bit kernel resizes.

Held to ``export.reference``: within 2/255 at every pixel and 0.01/255 on the mean for bilinear and bicubic (torch
rounds its fixed-point weights otherwise than Pillow), equal for the rest, which Pillow does itself. It must not
shortcut the decoding (a JPEG draft is another image), nor touch values (see ``engines.preprocess.normalize``).

Threads: any number may call one path. On x86 with AVX2 torch's kernel runs in the calling thread alone, whatever
torch's own thread count is, so callers on every core do not crowd each other out.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from math import gcd
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from engines.preprocess.pillow import rows_first
from export.spec import PreprocessSpec
from export.store import Store

if TYPE_CHECKING:
    from engines.base import Engine, Outputs, Session

Image = npt.NDArray[np.uint8]


class CpuPreprocess:
    """The path ``cpu``: the geometric part of a spec, as fast as one core does it without loss."""

    on_device = False
    """Whether sessions are given decoded photographs, and not pixels."""

    def __init__(self, spec: PreprocessSpec, store: Store | None = None) -> None:
        self.spec = spec

    @classmethod
    def identity(cls) -> dict[str, Any]:
        """What can move a pixel, for keys: this path and the libraries that do the work, whatever the spec."""
        return {"name": "cpu", "version": 2, "torch": version("torch"), "pillow": version("pillow")}

    @classmethod
    def refusal(cls, engine: Engine) -> str:
        """Why an engine cannot be fed by this path here; empty where it can."""
        return ""

    def run(self, session: Session, images: Sequence[Image]) -> Outputs:
        """Features of a batch of what :meth:`__call__` gave; raises what :meth:`Session.run` does."""
        return session.run(np.stack(images))

    def __call__(self, encoded: bytes) -> Image:
        """Encoded image → what :meth:`run` takes: uint8 RGB [height, width, 3].

        Raises:
            Undecodable: the bytes are not a whole image.
        """
        return self.resize(self.decode(encoded))

    def decode(self, encoded: bytes) -> Image:
        """Encoded image → uint8 RGB [h, w, 3], as :func:`export.reference.decode`."""
        from export.reference import decode

        return decode(encoded)

    def resize(self, image: Image) -> Image:
        """Resize and crop or pad: uint8 RGB [h, w, 3] → uint8 RGB [height, width, 3]."""
        from export.reference import crop_or_pad, resize_and_crop, resized_size

        h, w = resized_size(self.spec, *image.shape[:2])
        if self.spec.interpolation not in ("bilinear", "bicubic") or (
            self.spec.interpolation == "bilinear" and _on_ties(image.shape[0], image.shape[1], h, w)
        ):
            return np.ascontiguousarray(resize_and_crop(image, self.spec))
        import torch
        from torch.nn.functional import interpolate

        if not image.flags.writeable:  # as Pillow hands it out; torch knows no read-only tensors
            image = image.copy()
        # Batch axis first, then permuted: only so do the strides say "channels last", the fast kernel's own form.
        pixels = torch.from_numpy(image)[None].permute(0, 3, 1, 2)
        how: dict[str, Any] = {"mode": self.spec.interpolation, "antialias": True, "align_corners": False}
        if rows_first(image.shape[0], image.shape[1], h, w):  # torch does columns first
            pixels = interpolate(pixels, size=(h, image.shape[1]), **how)
        resized = interpolate(pixels, size=(h, w), **how)
        return np.ascontiguousarray(crop_or_pad(resized[0].permute(1, 2, 0).numpy(), self.spec))


def _on_ties(height: int, width: int, to_height: int, to_width: int) -> bool:
    """Whether bilinear sums often fall on one half, which torch and Pillow round to different sides.

    So it is at simple ratios (over 500 drawn sizes the mean moved by up to 0.06/255; with more than 64 positions of
    the kernel by no more than 0.005/255). Pillow itself then does the resize.
    """
    return min(to_height // gcd(height, to_height), to_width // gcd(width, to_width)) < 64
