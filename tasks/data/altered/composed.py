"""A data set put together from others, whose features are then those of its parts: no image is read twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from tasks.data.base import SPLITS, DataSet, Sample, Scope


def composed(
    name: str,
    samples: Iterable[Sample],
    classes: tuple[str, ...],
    parts: tuple[DataSet, ...],
    splits_from: str,
    scope: Scope = "closed",
) -> DataSet:
    """The data set of ``samples``, whose ids are ``INDEX OF PART:ID THERE``; its digest follows from the parts'."""

    def read(sample_id: str) -> bytes:
        part, _, inner = sample_id.partition(":")
        return parts[int(part)].read(inner)

    ordered = sorted(samples, key=lambda s: (SPLITS.index(s.split), s.id))
    told = "\0".join([name, *(part.digest for part in parts), *classes])
    digest = hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()
    # a closed set's test images, and so its queries, are the last part's; its gallery is the first's
    ids = {s.id for s in ordered}
    junk = ((f"{len(parts) - 1}:{query}", f"0:{image}") for query, image in parts[-1].junk)
    return DataSet(
        name,
        ordered,
        classes,
        digest,
        read,
        splits_from,
        licence="; ".join(dict.fromkeys(part.licence for part in parts if part.licence)),
        published=parts[-1 if scope == "closed" else 0].published,
        parts=parts,
        junk=tuple(pair for pair in junk if set(pair) <= ids),
        scope=scope,
    )


def shared(one: Iterable[Sample], of: DataSet, other: DataSet) -> list[str]:
    """The ids in ``other`` of images that are byte for byte among ``one``, samples of ``of``."""
    known = {of.sha256[s.id] for s in one if s.id in of.sha256}
    return [s.id for s in other.samples if other.sha256.get(s.id) in known]
