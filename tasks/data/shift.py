"""Fitted on one data set, tested on another with the same classes: what a shift of the photographs costs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from export.errors import UserError
from tasks.data.base import SPLITS, DataSet, Sample

ARROW = "→"
BAR = "|"


def shifted(fitted: DataSet, seen: DataSet) -> list[DataSet]:
    """``fitted→seen``: train and val of the first, every image of the second as test.

    Where the second has fewer classes, both are narrowed to those (ImageNet-A and -R are evaluated so, on their 200),
    and ``fitted|seen``, the first narrowed alike with its own test images, comes before it: the drop is told from that.

    Raises:
        UserError: the second has a class that the first has not, or fewer than two; or images of the second are among
            those that are fitted on.
    """
    known = set(fitted.classes)
    foreign = [name for name in seen.classes if name not in known]
    if foreign:
        raise UserError(
            f"{seen.name} has classes that {fitted.name} has not: {', '.join(foreign[:5])}"
            f"{' …' if len(foreign) > 5 else ''}.",
            "Both name their classes by the same folders or labels.",
        )
    learned = {fitted.sha256[s.id]: s.id for s in fitted.samples if s.split != "test" and s.id in fitted.sha256}
    same = [s.id for s in seen.samples if seen.sha256.get(s.id) in learned]
    if same:
        raise UserError(
            f"{len(same)} images of {seen.name} are among those of {fitted.name} that are fitted on.",
            f"The first is {same[0]}.",
            "take them out of one of the two",
        )
    present = {seen.classes[s.label] for s in seen.samples}
    classes = tuple(name for name in fitted.classes if name in present)
    number = {name: i for i, name in enumerate(classes)}
    own = [
        Sample(f"0:{s.id}", number[fitted.classes[s.label]], s.split)
        for s in fitted.samples
        if fitted.classes[s.label] in number
    ]
    test = [Sample(f"1:{s.id}", number[seen.classes[s.label]], "test") for s in seen.samples]
    found = []
    if len(classes) < len(fitted.classes):
        note = f"{fitted.splits_from}; the {len(classes)} classes of {seen.name}"
        found.append(_of(f"{fitted.name}{BAR}{seen.name}", own, classes, (fitted,), note, fitted.licence, fitted.junk))
    note = f"train and val of {fitted.name} ({fitted.splits_from}), test is all of {seen.name}"
    licence = "; ".join(dict.fromkeys(filter(None, (fitted.licence, seen.licence))))
    samples = [*(s for s in own if s.split != "test"), *test]
    found.append(_of(f"{fitted.name}{ARROW}{seen.name}", samples, classes, (fitted, seen), note, licence, seen.junk))
    return found


def _of(
    name: str,
    samples: Iterable[Sample],
    classes: tuple[str, ...],
    parts: tuple[DataSet, ...],
    note: str,
    licence: str,
    junk: Iterable[tuple[str, str]],
) -> DataSet:
    def read(sample_id: str) -> bytes:
        part, _, inner = sample_id.partition(":")
        return parts[int(part)].read(inner)

    ordered = sorted(samples, key=lambda s: (SPLITS.index(s.split), s.id))
    told = "\0".join([name, *(part.digest for part in parts), *classes])
    digest = hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()
    # the queries are the last part's, and the gallery is the first's
    ids = {s.id for s in ordered}
    named = ((f"{len(parts) - 1}:{query}", f"0:{image}") for query, image in junk)
    return DataSet(
        name,
        ordered,
        classes,
        digest,
        read,
        note,
        licence=licence,
        published=parts[-1].published,  # of the test images
        parts=parts,
        junk=tuple(pair for pair in named if set(pair) <= ids),
    )
