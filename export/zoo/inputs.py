"""The input that a network takes: its size, and how a photograph becomes it, as the checkpoint's authors did it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

from export.errors import CellError, UserError, unknown
from export.spec import CropMode, Interpolation, PreprocessSpec
from export.zoo.backbones import Backbone
from export.zoo.sources import TimmModel

if TYPE_CHECKING:
    import torch

LARGEST_SIDE = 8192
"""Pixels of one side of a network's input: more is a slip of the pen, and would fill the memory."""


def preprocess_of(config: Mapping[str, Any]) -> PreprocessSpec:
    """timm's resolved data configuration as a PreprocessSpec."""
    if config["input_size"][0] != 3:
        raise UserError("Only networks with three input channels are supported.", f"Asked: {config['input_size']}.")
    for name, known in (("interpolation", get_args(Interpolation)), ("crop_mode", get_args(CropMode))):
        if config[name] not in known:
            raise UserError(f"A preprocessing with {name} {config[name]!r} is not supported.", f"It can be {known}.")
    red, green, blue = map(float, config["mean"])
    border = config["crop_mode"] == "border"
    return PreprocessSpec(
        height=config["input_size"][1],
        width=config["input_size"][2],
        interpolation=config["interpolation"],
        crop_pct=float(config["crop_pct"]),
        crop_mode=config["crop_mode"],
        mean=(red, green, blue),
        std=(float(config["std"][0]), float(config["std"][1]), float(config["std"][2])),
        fill=(round(255 * red), round(255 * green), round(255 * blue)) if border else (0, 0, 0),
    )


def spec_of(fields: Mapping[str, Any], base: PreprocessSpec | None = None) -> PreprocessSpec:
    """A PreprocessSpec from a YAML mapping, over ``base``.

    Raises:
        UserError: an unknown field, or no height and width.
    """
    known = set(PreprocessSpec.__dataclass_fields__)
    for name in fields:
        if name not in known:
            raise unknown("preprocess field", name, known)
    import msgspec

    try:
        spec = msgspec.convert({**(base.as_json() if base else {}), **fields}, PreprocessSpec)
    except msgspec.ValidationError as error:
        raise UserError("The preprocessing is not valid.", str(error)) from error
    if not 0 < spec.crop_pct <= 1 or math.prod((spec.height, spec.width)) <= 0:
        raise UserError(f"A preprocessing of {spec.height}x{spec.width} at crop {spec.crop_pct} is impossible.")
    if max(spec.height, spec.width) > LARGEST_SIDE:
        raise UserError(
            f"A preprocessing of {spec.height}x{spec.width} is too large.", f"A side has at most {LARGEST_SIDE} pixels."
        )
    small = spec.value_range > 1 and 0 < max(spec.mean) <= 1
    if small or not all(0 <= mean <= spec.value_range for mean in spec.mean if math.isfinite(mean)):
        raise UserError(
            f"The mean {list(spec.mean)} does not fit pixels from 0 to {spec.value_range}.",
            "mean and std are in the units of value_range: 1 (the default) or 255.",
            "value_range: 255" if spec.value_range == 1 else "value_range: 1",
        )
    return spec


def fitting(backbone: Backbone, module: torch.nn.Module) -> tuple[int, int]:
    """The input (height, width) nearest to the backbone's "HEIGHTxWIDTH" that the network's strides divide.

    Raises:
        CellError: a side is smaller than the largest stride.
    """
    strides = [int(info["reduction"]) for info in getattr(module, "feature_info", ())]
    step = max(strides, default=1)
    sides = [int(side) for side in backbone.size.split("x")]
    if min(sides) < step:
        raise CellError(
            f"{backbone.name!r} cannot take an input of {backbone.size}.",
            f"Its largest stride is {step}: a side has at least as many pixels.",
            f"--size {step}",
        )
    height, width = (round(side / step) * step for side in sides)
    return height, width


def preprocess(backbone: Backbone, module: torch.nn.Module) -> PreprocessSpec:
    """How the backbone's input is made, at the size and by the resize that were asked for. The fraction that is cropped
    stays the checkpoint's own: the picture is resized in proportion to the input.

    Args:
        module: the whole network, of which a cut one takes the same input.

    Raises:
        UserError: it is not valid. CellError: as :func:`fitting`.
    """
    spec = _own_preprocess(backbone, module)
    if backbone.size:
        height, width = fitting(backbone, module)
        spec = replace(spec, height=height, width=width)
    if backbone.resize:
        mode: CropMode = "squash" if backbone.resize == "squash" else "border"
        red, green, blue = (round(255 * mean / spec.value_range) for mean in spec.mean)
        if spec.channel_order == "BGR":
            red, blue = blue, red
        spec = replace(spec, crop_mode=mode, crop_pct=1.0, fill=(red, green, blue) if mode == "border" else (0, 0, 0))
    return spec


def _own_preprocess(backbone: Backbone, module: torch.nn.Module) -> PreprocessSpec:
    if isinstance(backbone.source, TimmModel):
        from export.torchvision_ops import import_timm

        base = preprocess_of(import_timm().data.resolve_data_config({}, model=module))
        return spec_of(backbone.preprocess, base)
    given = dict(backbone.preprocess or getattr(module, "preprocess", {}))
    return spec_of({"height": 224, "width": 224, **given})
