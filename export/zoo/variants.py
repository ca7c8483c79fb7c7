"""One backbone at several input sizes and depths: each a backbone of its own, under the same name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from export.errors import UserError
from export.progress import say
from export.store import Store
from export.variant import ALL
from export.zoo.backbones import Backbone


def variants(backbone: Backbone, sizes: Sequence[str], depths: Sequence[str], store: Store) -> list[Backbone]:
    """The backbone at each size, and at each depth of it.

    Args:
        sizes: as :func:`export.variant.input_size` gives them; the checkpoint's own where there are none.
        depths: as :func:`export.variant.cut_depth`; whole where there are none. What cannot be cut is whole for
            :data:`export.variant.ALL` too, which is said.
    """
    whole = _depths(backbone, depths, store)
    return [replace(backbone, size=size, depth=depth) for size in sizes or ("",) for depth in whole]


def _depths(backbone: Backbone, asked: Sequence[str], store: Store) -> tuple[int, ...]:
    """Depths as numbers, 0 for the whole network."""
    if ALL not in asked:
        return tuple(map(int, asked)) or (0,)
    from export.zoo.unloaded import depths

    try:
        return *depths(backbone, store), 0
    except UserError as error:  # what is wrong with it beside that is said when it is made
        say(f"{backbone.name}: the whole network alone: {error.what} {error.why}".rstrip())
        return (0,)
