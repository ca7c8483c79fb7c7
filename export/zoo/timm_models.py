"""timm's networks: how they are made, and what they would convert a checkpoint with."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from export.torchvision_ops import import_timm
from export.zoo.reading import Convert
from export.zoo.sources import TimmModel

if TYPE_CHECKING:
    import torch


def created(name: str, **arguments: Any) -> torch.nn.Module:
    """``timm.create_model``, except that an argument of None is one: timm would leave it out."""
    timm = import_timm()
    make = timm.create_model
    if None in arguments.values():
        name, _, tag = name.partition(".")
        make, arguments = timm.model_entrypoint(name), {**arguments, **({"pretrained_cfg": tag} if tag else {})}
        made: torch.nn.Module = make(**arguments)
    else:
        made = make(name, **arguments)
    return made


def empty(source: TimmModel, pretrained: bool = False) -> torch.nn.Module:
    """The network without its numbers, which are not needed to look at its form. ``pretrained``: inside
    :func:`conversions`, which then have its own."""
    import torch

    import_timm()
    with torch.device("meta"):
        return created(source.architecture, num_classes=0, pretrained=pretrained, **source.arguments)


@contextmanager
def conversions() -> Iterator[list[Any]]:
    """What timm would convert a checkpoint with, of each model that is made here as a pretrained one; none is loaded.

    timm hands an architecture's conversion to its own loading function and to nobody else.
    """
    import_timm()
    from timm.models import _builder

    found: list[Any] = []

    def take(model: Any, *_: Any, filter_fn: Any = None, **__: Any) -> None:
        found.append(filter_fn)

    load = _builder.load_pretrained
    _builder.load_pretrained = take
    try:
        yield found
    finally:
        _builder.load_pretrained = load


def conversion(module: torch.nn.Module, filters: list[Any], headed: bool) -> Convert:
    """timm's conversion of a checkpoint's names and shapes to the module's."""

    def convert(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        for filter_fn in filters:
            if filter_fn is not None:
                wants = len(inspect.signature(filter_fn).parameters) > 1
                state = filter_fn(state, module) if wants else filter_fn(state)
        config: Any = module.pretrained_cfg
        if headed and (offset := config.get("label_offset", 0)):
            for name in (f"{config['classifier']}.{kind}" for kind in ("weight", "bias")):
                state[name] = state[name][offset:]
        return dict(state)

    return convert
