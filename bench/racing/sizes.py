"""How large the zoo's networks are, known without their weights: what a cost is predicted from before a download.

``sizes.csv`` is made by ``python -m bench.racing.sizes >bench/racing/sizes.csv``: each architecture of timm's runs on
PyTorch's device without memory ("meta") at its own input size and at others, and its multiplications are counted.

At other sizes they follow from three parts: convolutions and products with each token grow with the pixels, attention
over all tokens with their square, and what comes after the pooling stays. Counts at three sizes give the parts, and one
at a fourth says by how much they miss.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from export.errors import first_line
from export.progress import say
from export.zoo.backbones import Backbone, listing, resolve
from export.zoo.inputs import fitting
from export.zoo.sources import TimmModel

FILE = Path(__file__).with_name("sizes.csv")
FIELDS = ("backbone", "gmacs", "parameters_m", "height", "width", "step", "fixed", "linear", "square", "off")
SIDES = (0.57, 1.0, 1.72, 1.29)
"""Sides at which an architecture is counted besides, as parts of its own; at the last one that is checked."""
SLACK = 0.02
"""What is added to twice the miss that was found, for the reach of a count at another size: windows and strides that
do not divide a map are padded, which no formula in pixels knows."""


@dataclass(frozen=True)
class Growth:
    """How the multiply-accumulates of a network grow with its input.

    Attributes:
        step: pixels that divide both sides: the largest stride.
        fixed: 10⁹ that stay. linear: 10⁹ for 10⁶ pixels. square: 10⁹ for the square of 10⁶ pixels.
        off: the relative miss that was found.
    """

    step: int
    fixed: float
    linear: float
    square: float
    off: float

    def gmacs(self, pixels: int) -> float:
        """10⁹ multiply-accumulates at an input of so many pixels."""
        return self.fixed + self.linear * pixels / 1e6 + self.square * (pixels / 1e6) ** 2


@dataclass(frozen=True)
class Size:
    """What a network costs whatever runs it.

    Attributes:
        gmacs: 10⁹ multiply-accumulates for one image.
        parameters_m: 10⁶ weights, without a classifier.
        pixels: of the input, height × width.
        growth: how ``gmacs`` change with the input; None where that is unknown.
        off: what they may be off by, relatively: 0 where they were counted.
    """

    gmacs: float
    parameters_m: float
    pixels: int
    growth: Growth | None = None
    off: float = 0.0

    def at(self, size: str) -> Size | None:
        """The same network at another input, "352x480", rounded as it is when it is made (:func:`fitting`); None where
        it is not known well how it grows, or the input is smaller than its largest stride."""
        growth, sides = self.growth, [int(side) for side in size.split("x")]
        if growth is None or min(sides) < growth.step or (off := 2 * growth.off + SLACK) >= 1:
            return None
        pixels = math.prod(round(side / growth.step) * growth.step for side in sides)
        if pixels == self.pixels:
            return self
        return Size(growth.gmacs(pixels), self.parameters_m, pixels, off=off)


@lru_cache(maxsize=1)
def known() -> dict[str, Size]:
    """The sizes in ``sizes.csv``, by zoo name."""
    with FILE.open(encoding="utf-8", newline="") as file:
        return {
            row["backbone"]: Size(
                float(row["gmacs"]),
                float(row["parameters_m"]),
                int(row["height"]) * int(row["width"]),
                Growth(int(row["step"]), *(float(row[name]) for name in ("fixed", "linear", "square", "off")))
                if row["step"]
                else None,
            )
            for row in csv.DictReader(file)
        }


@dataclass(frozen=True)
class Counted:
    """What one run of a network without memory says; sizes in pixels, ``step`` the largest stride."""

    gmacs: float
    parameters_m: float
    height: int
    width: int
    step: int

    @property
    def pixels(self) -> int:
        return self.height * self.width


def counted(backbone: Backbone, size: str = "") -> Counted:
    """Count a network of timm's; nothing is downloaded.

    Args:
        size: an input ("352x480") other than the checkpoint's own.

    Raises:
        ValueError: it is not one of timm's. CellError, RuntimeError, …: what an architecture cannot do.
    """
    if not isinstance(backbone.source, TimmModel):
        raise ValueError(f"{backbone.name} is not one of timm's networks")
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from export.torchvision_ops import import_timm

    timm, source = import_timm(), backbone.source
    arguments = dict(source.arguments)
    with torch.device("meta"):
        module = timm.create_model(source.architecture, num_classes=0, pretrained=False, **arguments)
        config = timm.get_pretrained_cfg(backbone.timm) or timm.get_pretrained_cfg(source.architecture)
        side = arguments.get("img_size")
        height, width = (side, side) if side else config.input_size[1:]
        if size:
            height, width = fitting(replace(backbone, size=size), module)
            if module.pretrained_cfg.get("fixed_input_size") or side:
                arguments["img_size"] = height, width
                module = timm.create_model(source.architecture, num_classes=0, pretrained=False, **arguments)
        with FlopCounterMode(display=False) as counter:
            module.eval()(torch.empty(1, 3, height, width))
    parameters = sum(math.prod(weight.shape) for weight in module.parameters())
    step = max((int(info["reduction"]) for info in getattr(module, "feature_info", ())), default=1)
    return Counted(counter.get_total_flops() / 2e9, parameters / 1e6, height, width, step)


def growth(backbone: Backbone, own: Counted) -> Growth:
    """How a network of timm's grows with its input: three counts at sizes that its strides divide, and one to check.

    Raises:
        CellError, RuntimeError, …: what an architecture cannot do at another size.
    """
    import numpy as np

    divided = not (own.height % own.step or own.width % own.step)
    *found, check = (
        own if side == 1 and divided else counted(backbone, f"{round(own.height * side)}x{round(own.width * side)}")
        for side in SIDES
    )
    rows = [[1.0, one.pixels / 1e6, (one.pixels / 1e6) ** 2] for one in found]
    parts = np.linalg.solve(rows, [one.gmacs for one in found])
    fixed, linear, square = (float(part) if abs(part) > 1e-9 * own.gmacs else 0.0 for part in parts)
    fit = Growth(own.step, fixed, linear, square, off=0.0)
    return replace(fit, off=abs(fit.gmacs(check.pixels) / check.gmacs - 1))


def main() -> None:
    """Print the table of the whole zoo; a network that cannot be counted is left out, and said."""
    print(",".join(FIELDS))
    lines: dict[str, str] = {}
    for row in listing():
        backbone = resolve(row.name)
        try:
            alike = _network(backbone)
            lines[alike] = lines.get(alike) or _line(backbone)
        except Exception as error:  # whatever an architecture cannot do without memory
            say(f"{row.name}: {type(error).__name__}: {first_line(error)[:200]}")
            continue
        print(f"{row.name},{lines[alike]}", flush=True)


def _network(backbone: Backbone) -> str:
    """What rows of one architecture and one input share, though their weights differ.

    Raises:
        ValueError: it is not one of timm's.
    """
    if not isinstance(backbone.source, TimmModel):
        raise ValueError(f"{backbone.name} is not one of timm's networks")
    from export.torchvision_ops import import_timm

    config = import_timm().get_pretrained_cfg(backbone.timm)
    return f"{backbone.source.architecture} {backbone.source.arguments} {config and config.input_size}"


def _line(backbone: Backbone) -> str:
    own = counted(backbone)
    text = f"{own.gmacs:.6g},{own.parameters_m:.6g},{own.height},{own.width}"
    try:
        found = growth(backbone, own)
    except Exception as error:
        say(f"{backbone.name} at another size: {type(error).__name__}: {first_line(error)[:200]}")
        return f"{text},,,,,"
    return f"{text},{found.step},{found.fixed:.5g},{found.linear:.6g},{found.square:.6g},{found.off:.2g}"


if __name__ == "__main__":
    main()
