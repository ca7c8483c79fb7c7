"""What is right for the pictures of several data sets, as of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from export.errors import UserError
from tasks.data.base import DataSet, Sample
from tasks.data.targets import SERVES, VOID, Kind, Mask, Masks, Objects, PictureObjects


def kind_of(parts: Sequence[DataSet]) -> Kind:
    """The kind of a set that is put together: what all parts have, so boxes of a part with shapes and one with boxes.

    Raises:
        UserError: they have nothing in common.
    """
    first = parts[0]
    for part in parts:
        if not set(SERVES[part.kind]) & set(SERVES[first.kind]):
            raise UserError(
                f"{part.name} has {part.kind}, and {first.name} has {first.kind}.",
                "What is fitted on one set can only be tested on another with targets of the same kind.",
                f"a set with {first.kind}",
            )
    return [kind for kind in SERVES[first.kind] if all(kind in SERVES[part.kind] for part in parts)][-1]


def joined(
    classes: tuple[str, ...], kind: Kind, parts: Sequence[DataSet]
) -> Callable[[Sequence[Sample]], Masks | Objects]:
    """The targets of a set that is put together: samples with origins → what their parts have for them, in their order.

    Each part is asked once, for all of its own.

    Args:
        classes: of the whole set; those of each part are among them, and numbered anew by name.
    """
    number = {name: label for label, name in enumerate(classes)}
    inner = [{sample.id: sample for sample in part.samples} for part in parts]

    def targets(samples: Sequence[Sample]) -> Masks | Objects:
        asked: list[list[Sample]] = [[] for _ in parts]
        places = []
        for sample in samples:
            assert sample.origin is not None
            of, name = sample.origin
            places.append((of, len(asked[of])))
            asked[of].append(inner[of][name])
        found = [part.targets(own) for part, own in zip(parts, asked, strict=True) if part.targets]
        sizes = np.array([found[of].sizes[row] for of, row in places], np.int64).reshape(-1, 2)
        # VOID, which is -1, finds the last entry
        anew = [np.array([*(number[name] for name in one.classes), VOID], np.int16) for one in found]

        if kind == "masks":

            def read(row: int) -> Mask:
                of, at = places[row]
                mask = found[of][at]
                assert isinstance(mask, np.ndarray)
                return mask if found[of].classes == classes else anew[of][mask]

            return Masks(classes, sizes, read)
        pictures = [_renumbered(found[of][row], anew[of], kind == "shapes") for of, row in places]
        return Objects(classes, sizes, pictures, kind == "shapes")

    return targets


def _renumbered(objects: Mask | PictureObjects, anew: npt.NDArray[np.int16], shaped: bool) -> PictureObjects:
    assert isinstance(objects, PictureObjects)
    labels = anew[objects.labels].astype(np.int64)
    return PictureObjects(objects.boxes, labels, objects.crowd, objects.areas, objects.shapes if shaped else ())
