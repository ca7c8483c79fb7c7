"""Thumbnails of test photographs inside the page: of those on which its cells disagree, as many as a page should hold.

They are taken from the archives that a sweep leaves beside its records (:mod:`bench.records.thumbnails`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.records import thumbnails
from bench.records.thumbnails import Thumbnails
from bench.report.packed import element, embedded
from bench.verdict.ranking import Ranking
from bench.verdict.row import Row
from export.errors import UserError
from export.progress import say

MOST, BYTES = 300, 1_000_000
"""Thumbnails in one page, and their bytes."""
NONE = "This page has no thumbnails of test photographs: images on which two cells disagree are counted, not shown."


def photographs(
    ranking: Ranking,
    found: Sequence[Row],
    rows: Sequence[int],
    entries: Sequence[Mapping[str, Any]],
    folder: Path | None,
) -> tuple[str, str]:
    """A sentence on what is shown, and the script elements that hold it; none where there is nothing to show.

    Args:
        rows: of the sheet by place, and entries: what the page knows of each setting's answers
            (:func:`bench.report.answers.answers`).
        folder: of the results folder's pictures.
    """
    settings: dict[str, list[Mapping[str, Any]]] = {}
    for entry in entries:
        if not entry.get("left_out"):
            row = rows[entry["places"][0]]
            settings.setdefault(found[row].scores[entry["id"]].subject.data_digest, []).append(entry)
    sets = {digest: kept for digest in settings if (kept := _kept(folder, digest))}
    split: dict[str, np.ndarray] = {}
    for digest, kept in sets.items():
        settings[digest] = [entry for entry in settings[digest] if entry["images"] == len(kept.test)]
        if settings[digest]:
            split[digest] = np.mean([_split(ranking, rows, entry) for entry in settings[digest]], axis=0)
    chosen = _chosen(split, sets)
    if not any(chosen.values()):
        return NONE, ""
    shown, data = [], b""
    for digest, places in chosen.items():
        kept, photos = sets[digest], []
        for place, encoded in places.items():
            photos.append(
                {"at": place, "label": kept.test[place].label, "id": kept.test[place].id, "from": len(data)}
                | {"to": len(data) + len(encoded)}
            )
            data += encoded
        shown.append({"settings": [entry["id"] for entry in settings[digest]], "photographs": photos})
    count, all_ = sum(map(len, chosen.values())), sum(int((one > 0).sum()) for one in split.values())
    which = f"all {all_:,}" if count == all_ else f"{count:,} of the {all_:,}"
    said = f"Thumbnails of {which} test photographs on which cells disagree lie in this page"
    said += "." if count == all_ else ": those on which the most pairs do."
    said += " Below each stands its class."
    return said, "\n".join((element("photographs", embedded(shown).encode()), element("thumbnails", data)))


def _kept(folder: Path | None, digest: str) -> Thumbnails | None:
    path = thumbnails.place(folder, digest) if folder else None
    if path is None or not path.is_file():
        return None
    try:
        return thumbnails.read(path)
    except UserError as error:
        say(f"{error.what} {error.why}")
        return None


def _split(ranking: Ranking, rows: Sequence[int], entry: Mapping[str, Any]) -> np.ndarray:
    """How far cells are apart on each test image, float64 [n] from 0 (all score alike) to 1 (half has it right): of
    right and wrong, as the number of pairs that disagree."""
    j = next(j for j, setting in enumerate(ranking.sheet.settings) if setting.name == entry["id"])
    values = np.stack([ranking.sheet.samples[rows[place], j] for place in entry["places"]])
    reach = (float(values.max() - values.min()) or 1.0) / 2
    return np.asarray(values.var(axis=0) / reach**2)


def _chosen(split: Mapping[str, np.ndarray], sets: Mapping[str, Thumbnails]) -> dict[str, dict[int, bytes]]:
    """Digest → place → thumbnail: the images that split the cells most, of all data sets together."""
    order = sorted(
        (
            (-float(value), digest, place)
            for digest, one in split.items()
            for place, value in enumerate(one)
            if value > 0
        )
    )
    known = {digest: sets[digest].places for digest in split}
    wanted = [(digest, place) for _, digest, place in order if place in known[digest]][:MOST]
    read = {digest: iter(sets[digest].read([place for of, place in wanted if of == digest])) for digest in split}
    chosen: dict[str, dict[int, bytes]] = {digest: {} for digest in split}
    room = BYTES
    for digest, place in wanted:
        encoded = next(read[digest])
        room -= len(encoded)
        if room < 0:
            break
        chosen[digest][place] = encoded
    return chosen
