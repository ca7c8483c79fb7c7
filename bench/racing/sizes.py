"""How large the zoo's networks are, known without their weights: what a cost is predicted from before a download.

``sizes.csv`` is made by ``python -m bench.racing.sizes >bench/racing/sizes.csv``: each architecture of timm's runs once
on PyTorch's device without memory ("meta"), and its multiplications are counted.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from export.progress import say
from export.zoo.backbones import Backbone, listing, resolve
from export.zoo.sources import TimmModel

FILE = Path(__file__).with_name("sizes.csv")
FIELDS = ("backbone", "gmacs", "parameters_m", "height", "width")


@dataclass(frozen=True)
class Size:
    """What a network costs whatever runs it.

    Attributes:
        gmacs: 10⁹ multiply-accumulates for one image.
        parameters_m: 10⁶ weights, without a classifier.
        pixels: of the input, height × width.
    """

    gmacs: float
    parameters_m: float
    pixels: int


@lru_cache(maxsize=1)
def known() -> dict[str, Size]:
    """The sizes in ``sizes.csv``, by zoo name."""
    with FILE.open(encoding="utf-8", newline="") as file:
        return {
            row["backbone"]: Size(
                float(row["gmacs"]), float(row["parameters_m"]), int(row["height"]) * int(row["width"])
            )
            for row in csv.DictReader(file)
        }


def counted(backbone: Backbone) -> tuple[float, float, int, int]:
    """GMACs, 10⁶ parameters, and the input's height and width of a network of timm's; nothing is downloaded.

    Raises:
        ValueError: it is not one of timm's.
    """
    if not isinstance(backbone.source, TimmModel):
        raise ValueError(f"{backbone.name} is not one of timm's networks")
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from export.torchvision_ops import import_timm

    timm, source = import_timm(), backbone.source
    with torch.device("meta"):
        module = timm.create_model(source.architecture, num_classes=0, pretrained=False, **source.arguments)
        config = timm.get_pretrained_cfg(backbone.timm) or timm.get_pretrained_cfg(source.architecture)
        side = source.arguments.get("img_size")
        height, width = (side, side) if side else config.input_size[1:]
        with FlopCounterMode(display=False) as counter:
            module.eval()(torch.empty(1, 3, height, width))
    parameters = sum(math.prod(weight.shape) for weight in module.parameters())
    return counter.get_total_flops() / 2e9, parameters / 1e6, height, width


def main() -> None:
    """Print the table of the whole zoo; a network that cannot be counted is left out, and said."""
    print(",".join(FIELDS))
    for row in listing():
        try:
            gmacs, parameters, height, width = counted(resolve(row.name))
        except Exception as error:  # whatever an architecture cannot do without memory
            say(f"{row.name}: {type(error).__name__}: {str(error)[:200]}")
            continue
        print(f"{row.name},{gmacs:.6g},{parameters:.6g},{height},{width}", flush=True)


if __name__ == "__main__":
    main()
