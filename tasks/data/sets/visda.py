"""VisDA-2017, classification (Peng et al. 2017): drawn objects to learn from, photographs of them to be tested on.

Three named sets, so that one can be fitted on and another be the shift: ``visda-train`` (rendered), ``visda-val``
(photographs of COCO) and ``visda-test`` (frames of videos). All take the folder in which the three archives were
unpacked. Train and validation lie in class folders; what the test images are is in a list beside them.
"""

from __future__ import annotations

from pathlib import Path

from export.errors import Unavailable, UserError
from export.store import Store
from tasks.data.files import Files, from_folder, is_image
from tasks.data.layout import Item, Source, few, left_out
from tasks.data.named import NAMED

PARTS = {"visda-train": "train", "visda-val": "validation", "visda-test": "test"}
CLASSES = (
    "aeroplane",
    "bicycle",
    "bus",
    "car",
    "horse",
    "knife",
    "motorcycle",
    "person",
    "plant",
    "skateboard",
    "train",
    "truck",
)
"""In the order of the label numbers."""
LIST = "image_list.txt"


def source(name: str, folder: Path | None, store: Store) -> Source:
    """List one part of the user's copy.

    Raises:
        Unavailable: no folder was named.
        UserError: the part is not in the folder, or is not laid out as it was published.
    """
    how = f"--data {NAMED[name].how}"
    if folder is None:
        raise Unavailable(f"{name} is not downloaded by this program.", "It is 19 GB in three archives.", how)
    place = folder / PARTS[name]
    if not place.is_dir():
        raise UserError(f"There is no folder {place}.", f"{folder} was given for VisDA-2017.", how)
    files = from_folder(place)
    items = _listed(name, files) if name == "visda-test" else _in_folders(name, files)
    taken = {item.id for item in items}
    return Source(name, items, files, NAMED[name].licence, left_out=left_out(files, taken), classes=CLASSES)


def _in_folders(name: str, files: Files) -> list[Item]:
    images = sorted(path for path in files.stamps if is_image(path))
    foreign = sorted({label for path in images if (label := path.partition("/")[0]) not in CLASSES})
    if foreign:
        raise UserError(f"{name} has folders that are not among its twelve classes: {few(foreign)}.")
    return [Item(path, path.partition("/")[0]) for path in images]


def _listed(name: str, files: Files) -> list[Item]:
    if LIST not in files.stamps:
        raise UserError(
            f"{name} has no {LIST}.",
            "The list holds the labels; it was published after the challenge, apart from the archive.",
            f"put {LIST} into the folder test",
        )
    items = []
    for number, line in enumerate(files.read(LIST).decode("utf-8", "replace").splitlines(), 1):
        path, _, label = line.strip().rpartition(" ")
        if not line.strip():
            continue
        if not label.isdigit() or int(label) >= len(CLASSES) or path not in files.stamps:
            what = f"no file {path}" if path and path not in files.stamps else f"no label from 0 to {len(CLASSES) - 1}"
            raise UserError(f"{LIST} of {name}, line {number}: {what}.", "A line is a path, a space, and a number.")
        items.append(Item(path, CLASSES[int(label)]))
    return items
