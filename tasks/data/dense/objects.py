"""Objects of pictures, from whichever file: checked against the decoded pictures, clipped, counted, hashed."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from export.errors import UserError
from export.store import Store
from tasks.data.annotations import Annotations, Checked, Picture, Progress
from tasks.data.base import Counted, Sample
from tasks.data.dense.shapes import Malformed, Shape, shape
from tasks.data.dense.turning import SIDEWAYS, stored_points
from tasks.data.targets import Objects, PictureObjects

Box = tuple[float, float, float, float]

CLIPPED = "boxes that reach outside their picture, clipped"
OUTSIDE = "boxes outside their picture, left out"
FLAT = "boxes of no area, left out"
SHAPELESS = "shapes of fewer than three points or no pixel; these objects are left out"
CROSSED = "outlines that cross themselves, filled by the even-odd rule as COCO's tool does"
TWICE = "objects that are there twice, kept once"
UPRIGHT = "pictures with EXIF orientation whose annotations are of the turned picture: turned back"
AS_STORED = "pictures with EXIF orientation whose annotations are taken as of the stored picture"


@dataclass(frozen=True, slots=True)
class Found:
    """An object as a file has it.

    Attributes:
        label: indexes the classes.
        box: x1, y1, x2, y2; None where only the shape is given.
        shape: see :func:`tasks.data.dense.shapes.shape`.
        where: for messages.
    """

    label: int
    box: Box | None
    where: str
    crowd: bool = False
    shape: Any = None


@dataclass(frozen=True, slots=True)
class Annotated:
    """The objects of a picture, and what the file says of it.

    Attributes:
        size: (height, width) as the file states it.
        fractions: coordinates are parts of the width and height, and not pixels.
    """

    objects: Sequence[Found]
    where: str
    size: tuple[int, int] | None = None
    fractions: bool = False


@dataclass
class ObjectFiles(Annotations):
    """Objects by picture.

    Attributes:
        shaped: every object of the source has a shape.
    """

    classes: tuple[str, ...]
    pictures: Mapping[str, Annotated]
    shaped: bool
    _seen: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def check(
        self, pictures: Mapping[str, Picture], void: Collection[int], store: Store, progress: Progress | None
    ) -> Checked:
        if void:
            raise UserError("--void is given, and the data set has no masks.", "Void is a value in masks.")
        self._seen.clear()
        self._require_sizes(pictures)
        found = {name: self._objects(name, picture) for name, picture in pictures.items()}
        total = sum(map(len, found.values()))
        outside = len(self._seen[CLIPPED]) + len(self._seen[OUTSIDE])
        if outside > 2 and outside > (total + len(self._seen[OUTSIDE])) / 2:
            raise UserError(
                f"{outside:,} of {total + len(self._seen[OUTSIDE]):,} boxes reach outside their pictures.",
                f"The first is {sorted(self._seen[CLIPPED] + self._seen[OUTSIDE])[0]}: they look like boxes of another "
                "form or of other pictures.",
                "COCO: x, y, width, height; YOLO: centre, width and height as parts of the picture; VOC: corners",
            )
        if not total:
            raise UserError(
                f"None of the {len(found):,} images has an object.",
                "; ".join(str(Counted.of(what, names)) for what, names in self._seen.items()) or "No file holds one.",
                "annotations with boxes or shapes",
            )
        empty = [name for name, objects in found.items() if not len(objects)]
        self._seen["images without an object"] = empty
        kind = "shapes" if self.shaped else "boxes"

        def targets(samples: Sequence[Sample]) -> Objects:
            sizes = np.array([pictures[s.id].size for s in samples], np.int64).reshape(-1, 2)
            return Objects(self.classes, sizes, [found[s.id] for s in samples], self.shaped)

        return Checked(
            "shapes" if self.shaped else "boxes",
            self.classes,
            {name: _hash(kind, objects) for name, objects in found.items()},
            {name: dict(Counter(objects.labels.tolist())) for name, objects in found.items()},
            targets,
            tuple(str(Counted.of(what, names)) for what, names in self._seen.items() if names),
        )

    def _require_sizes(self, pictures: Mapping[str, Picture]) -> None:
        wrong = []
        for name, picture in pictures.items():
            stated = self.pictures[name].size
            turned = picture.orientation in SIDEWAYS and stated == picture.size[::-1]
            if stated is not None and stated != picture.size and not turned:
                wrong.append(name)
        if wrong:
            name = min(wrong)
            (height, width), (h, w) = self.pictures[name].size or (0, 0), pictures[name].size
            raise UserError(
                f"{len(wrong):,} of {len(pictures):,} images have another size than their annotations say.",
                f"The first is {name}: {w} x {h} pixels, and {width} x {height} in {self.pictures[name].where}.",
                "annotations of these very images; boxes of a picture that was scaled have to be scaled with it",
            )

    def _upright(self, name: str, picture: Picture, annotated: Annotated) -> bool:
        """Whether the annotations are of the picture as EXIF turns it. Of fractions they are, as every labelling tool
        shows it so; in pixels, where the stated sides are swapped."""
        if picture.orientation == 1:
            return False
        swapped = picture.orientation in SIDEWAYS and annotated.size == picture.size[::-1] != picture.size
        upright = annotated.fractions or swapped
        if annotated.objects:
            self._seen[UPRIGHT if upright else AS_STORED].append(name)
        return upright

    def _objects(self, name: str, picture: Picture) -> PictureObjects:
        annotated = self.pictures[name]
        upright = self._upright(name, picture, annotated)
        orientation = picture.orientation if upright else 1
        kept: dict[tuple[Any, ...], tuple[Box, float]] = {}
        for one in annotated.objects:
            made = self._object(one, picture, orientation, annotated.fractions)
            if made is None:
                continue
            box, code = made
            exact = (one.label, one.crowd, box, code.counts if code and self.shaped else b"")
            if exact in kept:
                self._seen[TWICE].append(one.where)
                continue
            area = code.area if code else (box[2] - box[0]) * (box[3] - box[1])
            kept[exact] = (box, area)
        return PictureObjects(
            np.array([box for box, _ in kept.values()], np.float64).reshape(-1, 4),
            np.array([label for label, *_ in kept], np.int64),
            np.array([crowd for _, crowd, *_ in kept], np.bool_),
            np.array([area for _, area in kept.values()], np.float64),
            tuple(counts for *_, counts in kept) if self.shaped else (),
        )

    def _object(
        self, one: Found, picture: Picture, orientation: int, fractions: bool
    ) -> tuple[Box, Shape | None] | None:
        height, width = picture.size
        # sides of the picture that the numbers are of
        across, down = (height, width) if orientation in SIDEWAYS else (width, height)
        code = None
        if one.shape is not None and (self.shaped or one.box is None):
            written = one.shape
            if fractions:
                written = [[n * (down if i % 2 else across) for i, n in enumerate(outline)] for outline in written]
            try:
                code = shape(written, height, width, orientation)
            except Malformed as error:
                raise UserError(f"{one.where} cannot be read: its shape {error}.", "", "fix or remove it") from error
            if code is None:
                self._seen[SHAPELESS].append(one.where)
                return None
            if code.crossed:
                self._seen[CROSSED].append(one.where)
        if one.box is None:
            return (code.box, code) if code else None
        corners = np.array(one.box, np.float64).reshape(2, 2)
        if not np.isfinite(corners).all():
            raise UserError(f"{one.where} has a box that is not finite: {one.box}.", "", "fix or remove it")
        if (corners[1] <= corners[0]).any():
            self._seen[FLAT].append(one.where)
            return None
        if fractions:
            corners *= across, down
        corners = stored_points(corners, orientation, height, width)
        corners = np.stack([corners.min(0), corners.max(0)])
        clipped = corners.clip(0, (width, height))
        if (clipped[1] <= clipped[0]).any():
            self._seen[OUTSIDE].append(one.where)
            return None
        if np.abs(clipped - corners).max() > 1:  # less is rounding
            self._seen[CLIPPED].append(one.where)
        x1, y1, x2, y2 = (float(number) for number in clipped.ravel())
        return (x1, y1, x2, y2), code


def _hash(kind: str, objects: PictureObjects) -> str:
    digest = hashlib.sha256(kind.encode())
    for part in (objects.boxes, objects.labels, objects.crowd, objects.areas):
        digest.update(np.ascontiguousarray(part).tobytes())
    digest.update(b"\0".join(objects.shapes))
    return digest.hexdigest()
