"""Named sets with masks, boxes or shapes: the user has the folder, laid out as it was published."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from export.errors import UserError
from export.store import Store
from tasks.data.dense import coco, masks, voc
from tasks.data.dense.pairing import Listed
from tasks.data.files import Files
from tasks.data.layout import Source
from tasks.data.named import NAMED
from tasks.data.sets.given import copy
from tasks.data.sources import from_annotations

READERS: dict[str, tuple[Callable[[Files], Listed | None], ...]] = {
    "ade20k": (masks.listed,),
    "cityscapes": (masks.listed,),
    "coco": (coco.listed,),
    "voc": (voc.listed, masks.listed),
    "voc-masks": (masks.listed,),
}
"""Name → the readers that are tried, in this order."""


def source(name: str, folder: Path | None, store: Store) -> Source:
    """The user's copy of a named set.

    Raises:
        Unavailable: no folder was named.
        UserError: the folder is not there, or is not laid out as the set was published.
    """
    files = copy(name, folder, store)
    listed = next((found for reader in READERS[name] if (found := reader(files))), None)
    if listed is None:
        raise UserError(
            f"{folder} does not look like {name}.",
            "It holds no images with annotations in the layout of the publication.",
            f"--data {NAMED[name].how}",
        )
    return replace(from_annotations(name, files, listed), licence=NAMED[name].licence)
