"""What a listed data set is: labelled images, and an account of every other file.

:mod:`~tasks.data.sources` decides how a source is read: by its folders (:mod:`~tasks.data.folders`) or by a table
(:mod:`~tasks.data.tables`). Only names are looked at; no image is decoded.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tasks.data.annotations import Annotations
from tasks.data.base import Counted, Split
from tasks.data.files import Files, hidden

LAYOUTS = (
    "DIR/class/image.jpg, DIR/{train,val,test}/class/image.jpg, DIR/{gallery,query}/class/image.jpg, "
    "or a CSV table with the columns path,label[,split]"
)
HIDDEN = "hidden files"
EMPTY_FOLDERS = "empty folders"


@dataclass(frozen=True)
class Item:
    """An image as it is listed: not yet opened. ``split`` is None where the source gives none."""

    id: str
    label: str
    split: Split | None = None


@dataclass(frozen=True)
class Source:
    """A data set as it is listed.

    Attributes:
        items: every labelled image, once.
        notes: what a user should know of how it was read.
        left_out: every file of the source that is no item, by reason.
        classes: names in label order, where the source has an order; else they are sorted.
        published: the name under which everybody knows the set; empty where it is the user's own.
        gallery: it was given as gallery and queries, for retrieval: no val is carved out of it.
        junk: pairs of a query's id and a gallery image's that are neither right nor wrong.
        annotations: what is right for the images, where it is more than a label; the items' labels are then empty.
    """

    name: str
    items: Sequence[Item]
    files: Files
    licence: str = ""
    notes: tuple[str, ...] = ()
    left_out: tuple[Counted, ...] = ()
    classes: tuple[str, ...] = ()
    published: str = ""
    gallery: bool = False
    junk: tuple[tuple[str, str], ...] = ()
    annotations: Annotations | None = None


@dataclass(frozen=True)
class Reading:
    """One way to read a source.

    Attributes:
        why: of images that it does not take, the reason.
        unlisted: the reason for the images that are in neither.
    """

    items: Sequence[Item]
    notes: tuple[str, ...] = ()
    why: Mapping[str, str] | None = None
    unlisted: str = "images outside the class folders"
    gallery: bool = False


def left_out(
    files: Files, taken: Collection[str], why: Mapping[str, str] | None = None, unlisted: str = "images without a label"
) -> tuple[Counted, ...]:
    """An account of all that is in ``files`` and not ``taken``: by reason, the largest first.

    Args:
        taken: names of the files that are items, or are read in another way.
        why: name → the reason, of images; unlisted: the reason for the other images.
    """
    reasons: dict[str, list[str]] = defaultdict(list)
    for name in files.stamps:
        if name not in taken:
            found = files.kinds.get(name)
            reason = HIDDEN if found is None else (why or {}).get(name)
            if reason is None and found is not None:
                reason = unlisted if found.sort == "image" else found.what
            reasons[reason or unlisted].append(name)
    for name, reason in files.skipped:
        reasons[HIDDEN if hidden(name) else reason].append(name)
    for name in files.folders:
        reasons[HIDDEN if hidden(name) else EMPTY_FOLDERS].append(name)
    counts = [Counted.of(reason, names) for reason, names in reasons.items()]
    return tuple(sorted(counts, key=lambda counted: (-counted.count, counted.what)))


def contents(files: Files) -> str:
    """What a source holds, for a message: "20 archives (a.zip, …), 3 text files (…)"."""
    return "; ".join(str(counted) for counted in left_out(files, (), unlisted="images")[:6])


def nearly_the_same(labels: Iterable[str]) -> tuple[str, ...]:
    """A note on classes whose names are almost the same, if there are any."""
    spelled: dict[str, list[str]] = defaultdict(list)
    for label in sorted(set(labels)):
        spelled[unicodedata.normalize("NFKC", label).casefold().strip()].append(label)
    alike = [" and ".join(names) for names in spelled.values() if len(names) > 1]
    return (f"different classes, though their names are almost the same: {few(alike)}",) if alike else ()


def few(names: Sequence[str], shown: int = 5) -> str:
    """Some of the names, for a message."""
    return ", ".join(names[:shown]) + (f" … ({len(names)} in all)" if len(names) > shown else "")
