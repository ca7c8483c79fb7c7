"""The rows of the study "Battle of the Backbones" (2023), and what each needs here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from export.store import Store
from export.zoo import weights
from export.zoo.backbones import RANDOM, Backbone, listing
from export.zoo.sources import HubFile, PackageFile, TimmModel, UrlFile, file_of, hub_of, without_places

UNTRAINED = "Random init"
HERE = "weights here"
"""State of a row whose weights need no network."""


@dataclass(frozen=True)
class StudyRow:
    """A backbone of the study's.

    Attributes:
        study: what the study calls it, with the tasks where it used another checkpoint for others.
        row: of the zoo. network: timm's architecture or a module. loader: what reads its checkpoint.
        weights: where they come from. state: :data:`HERE`, or what is needed to get them; empty where nobody looked.
        note: what the study did otherwise.
    """

    study: str
    row: str
    network: str
    loader: str
    algo: str
    data: str
    licence: str
    weights: str
    state: str
    note: str

    def as_json(self) -> dict[str, str]:
        """Plain values."""
        return asdict(self)


def rows(store: Store | None, zoo_files: Sequence[Path] = ()) -> list[StudyRow]:
    """Every row of the study's, untrained networks last.

    Args:
        store: where weights may lie; None: nobody looks.
    """
    found = [_row(backbone, store) for backbone in listing(zoo_files) if backbone.study]
    any_row = f"any{RANDOM}"
    untrained = StudyRow(UNTRAINED, any_row, "any", "", "none", "none", "", "random", HERE if store else "", "")
    return [*found, untrained]


def _row(backbone: Backbone, store: Store | None) -> StudyRow:
    source = backbone.source
    timm = isinstance(source, TimmModel)
    network = source.architecture if isinstance(source, TimmModel) else without_places(source)["module"]
    layouts = [layout["name"] for layout in without_places(source)["layout"]]
    state = "" if store is None else HERE if weights.here(backbone, store) else needs(backbone)
    return StudyRow(
        backbone.study,
        backbone.name,
        network.rpartition(":")[2],
        f"layout {' or '.join(layouts)}" if layouts else "timm" if timm else "own module",
        backbone.pretrain_algo,
        backbone.pretrain_data,
        backbone.licence,
        _weights(backbone),
        state,
        backbone.note,
    )


def needs(backbone: Backbone) -> str:
    """What has to be reached for its weights."""
    file = file_of(backbone.source)
    kinds = {UrlFile: "needs URL", HubFile: "needs hub", PackageFile: "needs package index"}
    return "needs hub" if hub_of(backbone.source) else kinds.get(type(file), "needs a file")


def _weights(backbone: Backbone) -> str:
    if hub_of(backbone.source):
        return f"model hub timm/{backbone.timm}"
    return backbone.weights
