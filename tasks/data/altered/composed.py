"""A data set put together from others, whose features are then those of its parts: no image is read twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from tasks.data.altered.joined import joined, kind_of
from tasks.data.base import SPLITS, DataSet, Sample, Scope, Shifted, Split


def composed(
    name: str,
    samples: Sequence[Sample],
    classes: tuple[str, ...],
    parts: tuple[DataSet, ...],
    splits_from: str,
    scope: Scope = "closed",
    shift: Shifted | None = None,
) -> DataSet:
    """The data set of ``samples``, each with its origin (see :func:`taken`); its digest follows from the parts'.

    Of parts with masks or objects, it has theirs.

    Raises:
        UserError: the parts are of different kinds.
    """
    kind = kind_of(parts)
    origins = {s.id: s.origin for s in samples if s.origin}

    def read(sample_id: str) -> bytes:
        part, inner = origins[sample_id]
        return parts[part].read(inner)

    ordered = sorted(samples, key=lambda s: (SPLITS.index(s.split), s.id))
    identity = "\0".join([name, *(part.digest for part in parts), *classes])
    digest = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()
    # a closed set's test images, and so its queries, are the last part's; its gallery is the first's
    ids = {s.origin: s.id for s in ordered}
    last = len(parts) - 1
    junk = ((ids.get((last, query)), ids.get((0, image))) for query, image in parts[-1].junk)
    return DataSet(
        name,
        ordered,
        classes,
        digest,
        read,
        splits_from,
        remarks=tuple(f"{part.name}: {said}" for part in parts for said in part.remarks),
        licence="; ".join(dict.fromkeys(part.licence for part in parts if part.licence)),
        published=parts[-1 if scope == "closed" else 0].published,
        parts=parts,
        junk=tuple((query, image) for query, image in junk if query is not None and image is not None),
        scope=scope,
        shift=shift,
        kind=kind,
        targets=None if kind == "labels" else joined(classes, kind, parts),
    )


def taken(part: int, sample: Sample, label: int, split: Split | None = None) -> Sample:
    """A sample of the part of that index, as one of the set that is put together."""
    return Sample(f"{part}:{sample.id}", label, split or sample.split, (part, sample.id))


def shared(one: Iterable[Sample], of: DataSet, other: DataSet) -> list[str]:
    """The ids in ``other`` of images that are byte for byte among ``one``, samples of ``of``."""
    known = {of.sha256[s.id] for s in one if s.id in of.sha256}
    return [s.id for s in other.samples if other.sha256.get(s.id) in known]
