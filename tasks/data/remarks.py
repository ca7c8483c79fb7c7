"""What a user should know of how a data set was read, in sentences: said by a run, kept in records, shown in tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasks.data.base import Counted, Unreadable

SHOWN = 3


def remarks(
    notes: Sequence[str],
    left_out: Sequence[Counted],
    unreadable: Sequence[Unreadable],
    traits: Sequence[Counted],
    leaks: Mapping[str, int],
) -> tuple[str, ...]:
    """Sentences; none for a plain folder of plain images. Arguments as in :class:`tasks.data.catalog.Survey`."""
    said = [*notes, *(f"left out: {some}" for some in left_out)]
    if unreadable:
        shown = "; ".join(f"{image.id}: {image.reason}" for image in unreadable[:SHOWN])
        more = "; …" if len(unreadable) > SHOWN else ""
        images = "image" if len(unreadable) == 1 else "images"
        said.append(f"left out: {len(unreadable):,} unreadable {images} ({shown}{more})")
    said += [f"images: {some}" for some in traits]
    said += [
        f"{pair} share pictures ({count:,} images); the given splits are not changed" for pair, count in leaks.items()
    ]
    return tuple(said)
