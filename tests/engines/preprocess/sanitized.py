"""Run the kernel of a library that was built with a sanitizer: ``python sanitized.py LIBRARY``. Its exit code tells.

It is a process of its own because a sanitizer must be loaded before everything else.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import get_args

import numpy as np

from engines.preprocess.host import HostKernel
from engines.preprocess.kernel import PIXELS, TYPES, Target
from export.reference import resize_and_crop
from export.spec import CropMode, Interpolation, PreprocessSpec


def main() -> int:
    """Batches of mixed sizes through every filter, crop and type; the pixels are held to Pillow's on the way."""
    kernel = HostKernel(Path(sys.argv[1]))
    draw = np.random.default_rng(0)
    cases = [(f, m) for f in get_args(Interpolation) for m in get_args(CropMode)]
    for number, (interpolation, mode) in enumerate(cases):
        sides = [(int(draw.integers(1, 150)), int(draw.integers(1, 150))) for _ in range(3)] + [(1, 1), (300, 3)]
        images = [draw.integers(0, 256, (*side, 3), dtype=np.uint8) for side in sides]
        height, width = (int(side) for side in draw.integers(1, 50, 2))
        spec = PreprocessSpec(height, width, interpolation, 0.9, mode)
        found = kernel(images, spec, PIXELS)
        wanted = np.stack([resize_and_crop(image, spec) for image in images])
        if (found != wanted).any():
            print(f"not Pillow's pixels: {spec}", file=sys.stderr)
            return 1
        kernel(images, spec, Target(TYPES[number % len(TYPES)], "NCHW", 0.1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
