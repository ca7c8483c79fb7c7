"""When two data sets name the same classes differently, and which published facts match them.

ImageNet's own folders are WordNet ids (``n01440764``), and so are those of ImageNet-A, -R and -Sketch. ImageNetV2's are
class indices, ``0`` to ``999``: places in the sorted list of ImageNet's 1,000 ids. So no table is needed where the
fitted data set has all of them.
"""

from __future__ import annotations

import re
from dataclasses import replace

from export.errors import UserError
from tasks.data.base import DataSet

WORDNET = re.compile(r"n\d{8}")
IMAGENET = 1000


def named_alike(fitted: DataSet, seen: DataSet) -> DataSet:
    """``seen`` with its classes named as in ``fitted``: class indices become WordNet ids, all else stays as it is.

    Raises:
        UserError: ``seen`` has class indices, and ``fitted`` only some of ImageNet's classes, or an index is too high.
    """
    if not all(name.isascii() and name.isdigit() for name in seen.classes):
        return seen
    if not all(WORDNET.fullmatch(name) for name in fitted.classes):
        return seen
    if len(fitted.classes) != IMAGENET:
        raise UserError(
            f"{seen.name} names its classes by ImageNet's index, and {fitted.name} has {len(fitted.classes)} of the "
            f"{IMAGENET:,} classes.",
            "An index is a position among all 1,000 classes.",
            f"name the folders of {seen.name} by WordNet ids (n01440764), as those of {fitted.name} are",
        )
    high = [name for name in seen.classes if int(name) >= IMAGENET]
    if high:
        raise UserError(f"{seen.name} has a class {high[0]}; ImageNet's indices go from 0 to {IMAGENET - 1}.")
    ordered = sorted(fitted.classes)
    return replace(seen, classes=tuple(ordered[int(name)] for name in seen.classes))
