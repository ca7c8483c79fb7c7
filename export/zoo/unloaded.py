"""What is known of a backbone's network before its weights are loaded: sizes, shapes, depths, and what of a checkpoint
would find its place in it."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.errors import CellError, UserError
from export.store import Store, key
from export.zoo import checkpoint, own_code, placing, reading
from export.zoo.backbones import Backbone
from export.zoo.depths import every
from export.zoo.loaders import custom
from export.zoo.placing import Placed
from export.zoo.readers import ByLayout, ByName
from export.zoo.sources import (
    Checkpoint,
    Hub,
    ModuleFunction,
    OnnxFile,
    OwnWeights,
    TimmCheckpoint,
    TimmModel,
    without_places,
)
from export.zoo.timm_models import conversion, conversions, empty

if TYPE_CHECKING:
    import torch

DEPTHS = 1
"""Raised whenever :func:`depths` would give others for the same network."""


def bytes_of(module: torch.nn.Module) -> int:
    """Bytes of a module's weights."""
    return sum(weight.numel() * weight.element_size() for weight in (*module.parameters(), *module.buffers()))


def weight_bytes(backbone: Backbone) -> int:
    """Bytes of the weights that the module will have, known before it is made; 0 for one that only its own function
    could tell of.

    Raises:
        UserError: as :func:`eager`, for the network alone.
    """
    source = backbone.source
    if not isinstance(source, TimmModel):
        return 0
    try:
        return bytes_of(empty(source))
    except (NotImplementedError, RuntimeError):  # it looks at its numbers while it is made
        return 0


def compared(backbone: Backbone, contents: checkpoint.Contents) -> Placed:
    """What would become of a local checkpoint's tensors in the backbone. Names and shapes are compared; none is loaded.

    Raises:
        UserError: it does not fit, or such a backbone takes no checkpoint by names.
    """
    import torch

    source = backbone.source
    with torch.device("meta"), conversions() as filters:
        if isinstance(source, OnnxFile):
            raise UserError(f"{backbone.name!r} takes no other weights.", "It is a finished ONNX file.")
        module = _unfilled(backbone, source, pretrained=True)
        convert = conversion(module, filters, headed=False) if isinstance(source, TimmModel) else None
    match source.weights:
        case Checkpoint(_, ByLayout(layouts)):
            return placing.by_layout(module, contents, layouts, backbone.name, convert, tolerant=True, dry=True)
        case TimmCheckpoint(_, prefix):
            return placing.by_name(module, contents, prefix, backbone.name, convert, dry=True)
        case Checkpoint(_, ByName(prefix)):
            return placing.by_name(module, contents, prefix, backbone.name, dry=True)
    raise UserError(f"{backbone.name!r} takes no checkpoint by names.")


def shapes(backbone: Backbone, store: Store) -> dict[str, list[int]]:
    """Names and shapes of what is learned in the network without a classifier; the store remembers them.

    Raises:
        UserError: the backbone is a finished ONNX file; or as :func:`eager`.
    """
    source = backbone.source
    if isinstance(source, OnnxFile):
        raise UserError(f"{backbone.name!r} is a finished ONNX file: it has no PyTorch module.")

    def build(_: Path) -> dict[str, Any]:
        import torch

        with torch.device("meta"):
            target = reading.Target.of(_unfilled(backbone, source))
        return {"shapes": {name: list(target.wanted[name].shape) for name in sorted(target.needed)}}

    found: dict[str, list[int]] = store.obtain("shapes", key("shapes", **_network(source)), build).fields["shapes"]
    return found


def _unfilled(backbone: Backbone, source: TimmModel | ModuleFunction, pretrained: bool = False) -> torch.nn.Module:
    """The network as it is made, before any checkpoint; one of timm's without numbers. ``pretrained`` as there."""
    if isinstance(source, TimmModel):
        return empty(source, pretrained)
    module, _ = custom(backbone, replace(source, weights=OwnWeights()), None)
    return module


def _network(source: TimmModel | ModuleFunction) -> dict[str, Any]:
    """What an untrained network depends on, for a key."""
    own = {"code": own_code.digest(source.target)} if isinstance(source, ModuleFunction) else {}
    bare = (
        replace(source, weights=OwnWeights()) if isinstance(source, ModuleFunction) else replace(source, weights=Hub())
    )
    return {"network": without_places(bare), "timm": version("timm"), **own}


def depths(backbone: Backbone, store: Store) -> tuple[int, ...]:
    """All depths at which something is cut off the backbone. No weights are loaded, and no framework either where the
    store knows them.

    Raises:
        CellError: it cannot be cut. UserError: as :func:`eager`.
    """
    source = backbone.source
    if isinstance(source, OnnxFile):
        raise CellError(f"{backbone.name!r} is a finished ONNX file.", "It cannot be cut at a depth.")

    def build(_: Path) -> dict[str, Any]:
        return {"depths": every(backbone.name, _unfilled(backbone, source))}

    own_key = key("depths", **_network(source), version=DEPTHS)
    return tuple(store.obtain("depths", own_key, build).fields["depths"])


def parameters(backbone: Backbone) -> int | None:
    """How many numbers its weights are, classifier left out; none of them is made. None where only its file knows, or
    where its own code looks at its numbers while it makes them."""
    import torch

    source = backbone.source
    if isinstance(source, OnnxFile):
        return None
    try:
        with torch.device("meta"):
            return sum(p.numel() for p in _unfilled(backbone, source).parameters())
    except (NotImplementedError, RuntimeError):
        return None
