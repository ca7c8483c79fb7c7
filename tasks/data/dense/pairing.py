"""Which image an annotation file belongs to, and which split: by the names of their folders and their own.

``train/images/x.jpg`` and ``train/masks/x.png``, ``images/train/x.jpg`` and ``labels/train/x.txt``, ``train/x.png`` and
``train_labels/x_L.png`` are pairs: the folders that say what a file is do not count, nor does what is added to a name.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from tasks.data import split_names
from tasks.data.annotations import Annotations
from tasks.data.base import Split
from tasks.data.files import Files
from tasks.data.finder import Finder
from tasks.data.folders import IMAGES, MASKS
from tasks.data.layout import Item, few

Role = Literal["picture", "labels", ""]
LABELS = (MASKS - {"depth"}) | {
    "annot",
    "anno",
    "ann",
    "segmentationclassaug",
    "segmaps",
    "labelmaps",
    "gtfine",
    "segmentationclasspng",
    "segmentationclassraw",
}
PICTURES = IMAGES | {"leftimg8bit"}
ADDED = re.compile(
    r"[\W_]*(?:gt|gtfine|mask|masks|label|labels|labelids|labeltrainids|trainids|seg|segm|segmentation|annotation|l|p)+",
    re.IGNORECASE,
)
"""What a mask's name may have beside its picture's: ``x_mask``, ``x_gtFine_labelIds``, ``x_L``."""
BEFORE = re.compile(r"(?:image|img|picture|photo|mask|label|gt|seg|annotation)s?[\W_]*(?=\d)", re.IGNORECASE)
"""What names may begin with, the picture's and its mask's differently: ``img_001``, ``mask_001``."""
ELSEWHERE = "images outside the splits"


@dataclass(frozen=True)
class Listed:
    """Images with annotations, as they are listed.

    Attributes:
        layout: "COCO", "Pascal VOC", … for messages.
        why: of other files, what they are read for, or why they are not.
        unlisted: the reason for the images that are in neither.
    """

    layout: str
    items: Sequence[Item]
    annotations: Annotations
    why: Mapping[str, str]
    notes: tuple[str, ...] = ()
    unlisted: str = "images without annotations"


@dataclass(frozen=True)
class Place:
    """Where a file stands.

    Attributes:
        role: what the folders say that it is.
        folder: the folders without what says so, folded.
        stem: its name without the ending, folded.
    """

    role: Role
    folder: tuple[str, ...]
    stem: str


def place(path: str) -> Place:
    """The place of a file; of several folders with a role, the deepest counts."""
    folder, name = posixpath.split(path)
    role, parts = _folder(folder)
    return Place(role, parts, fold(posixpath.splitext(name)[0]))


@lru_cache(100_000)
def _folder(path: str) -> tuple[Role, tuple[str, ...]]:
    folders = path.split("/") if path else []
    role: Role = ""
    found = [_role(folder) for folder in folders]
    at = next((i for i in range(len(found) - 1, -1, -1) if found[i][0]), None)
    parts = [_plain(folder) for folder in folders]
    if at is not None:
        role = found[at][0]
        parts[at : at + 1] = [found[at][1]] if found[at][1] else []
    return role, tuple(parts)


def finder(files: Files, table: str) -> Finder:
    """A finder of what an annotation file names, which leads nowhere outside the source."""
    return Finder(replace(files, root=None), table, {})


def fold(name: str) -> str:
    """The name in one case and Unicode form."""
    return unicodedata.normalize("NFC", name).casefold()


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", fold(name))


def _role(folder: str) -> tuple[Role, str]:
    """What a folder says of its files, and the split that it names beside: ``val_masks``, ``trainannot``."""
    plain = _plain(folder)
    roles: tuple[tuple[Role, Collection[str]], ...] = (("picture", PICTURES), ("labels", LABELS))
    for role, words in roles:
        if plain in words:
            return role, ""
        for word in words:
            for rest in (plain.removesuffix(word), plain.removeprefix(word)):
                if rest != plain and rest in split_names.WORDS:
                    return role, rest
    return "", ""


class Pairs:
    """Annotation files → the pictures that they belong to: of the same place and stem, else of the same stem alone."""

    def __init__(self, pictures: Iterable[str]) -> None:
        self._at: dict[tuple[tuple[str, ...], str], list[str]] = defaultdict(list)
        self._stems: dict[str, list[str]] = defaultdict(list)
        self._bare: dict[tuple[tuple[str, ...], str], list[str]] = defaultdict(list)
        for picture in pictures:
            at = place(picture)
            self._at[at.folder, at.stem].append(picture)
            self._stems[at.stem].append(picture)
            if bare := _bare(at.stem):
                self._bare[at.folder, bare].append(picture)

    def __call__(self, path: str, alone: bool = True) -> list[str]:
        """The pictures that are meant: none, one, or several where that is open.

        Args:
            alone: a stem that one picture of the source has is enough, in whichever folder.
        """
        at = place(path)
        stems = [at.stem, *_shorter(at.stem)]
        for stem in stems:
            if found := self._at.get((at.folder, stem)):
                return _nearest(path, found)
        for stem in stems if alone else ():
            if len(found := self._stems.get(stem, [])) == 1:
                return found
        bare = _bare(at.stem)
        return self._bare.get((at.folder, bare), []) if bare and alone else []


def _nearest(path: str, found: list[str]) -> list[str]:
    """Of several, the one in the same folder, or else in the folder whose role stands at the same level."""
    here = posixpath.dirname(path)
    for same in (lambda folder: folder, _levels):
        near = [one for one in found if same(posixpath.dirname(one)) == same(here)]
        if len(near) == 1:
            return near
    return found


def _levels(folder: str) -> tuple[str, ...]:
    return tuple("" if (at := _role(part))[0] and not at[1] else _plain(part) for part in folder.split("/"))


def _bare(stem: str) -> str:
    """The stem without what says picture or mask before a number; empty where nothing does."""
    found = BEFORE.match(stem)
    return stem[found.end() :] if found else ""


def _shorter(stem: str) -> list[str]:
    """The stem without what a mask's name has beside its picture's."""
    return [stem[:end] for end in range(len(stem) - 1, 0, -1) if ADDED.fullmatch(stem[end:])]


def pictures(images: Iterable[str]) -> list[str]:
    """The images that are not themselves annotations, by their folders; all, where none would be left."""
    every = list(images)
    return [path for path in every if place(path).role != "labels"] or every


def divided(paths: Sequence[str]) -> tuple[list[Item], dict[str, str], list[str]]:
    """The pictures with the splits that their folders name; those left out, with the reason; and notes."""
    found = {path: split_of(path) for path in paths}
    splits = {split for split in found.values() if split}
    if len(splits) < 2:
        only = f"all images lie in a folder of {splits.pop()}: the whole set" if splits else ""
        return [Item(path, "") for path in paths], {}, [only] if only and None not in found.values() else []
    items = [Item(path, "", split) for path, split in found.items() if split]
    why = {path: ELSEWHERE for path, split in found.items() if split is None}
    named = sorted({folder for path in paths for folder in path.split("/")[:-1] if _split(folder)})
    return items, why, [f"splits from the folders {few(named)}"]


def split_of(path: str) -> Split | None:
    """The split that the outermost such folder of a path names."""
    return next((split for folder in path.split("/")[:-1] if (split := _split(folder))), None)


def _split(folder: str) -> Split | None:
    rest = _role(folder)[1]
    return split_names.WORDS[rest] if rest else split_names.plain(folder)
