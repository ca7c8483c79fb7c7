"""Fitted on one data set, and tested for detecting images that belong to none of its classes."""

from __future__ import annotations

from export.errors import UserError
from tasks.data.altered.composed import composed, shared, taken
from tasks.data.base import OUTSIDE, DataSet
from tasks.data.layout import few

NOT_IN = "∌"


def beside(fitted: DataSet, outside: DataSet) -> DataSet:
    """``fitted∌outside``: the first data set, and every image of the second beside its test images.

    Those have one further class, the last, named :data:`~tasks.data.base.OUTSIDE`; what their own is does not matter.

    Raises:
        UserError: the second is empty, or has a class or an image that the first has too; or one of them has no classes
            of whole images.
    """
    for part in (fitted, outside):
        if part.kind != "labels":
            raise UserError(
                f"{part.name} has {part.kind}; out-of-scope images need one class an image.",
                "Whether a picture of several classes is of none of them is not defined.",
                "a sweep without --out-of-scope",
            )
    if not outside.samples:
        raise UserError(
            f"{outside.name} has no images.", "Detection needs at least one.", "another set after --out-of-scope"
        )
    both = [name for name in outside.classes if name in fitted.classes]
    if both:
        raise UserError(
            f"{outside.name} and {fitted.name} share classes: {few(both)}.",
            "Images of a known class are in scope in any data set.",
            f"--shifted {outside.name}, or remove these classes",
        )
    same = shared(fitted.samples, fitted, outside)
    if same:
        raise UserError(
            f"{len(same)} images are in both {outside.name} and {fitted.name}.",
            f"The first is {same[0]}.",
            "remove them from one of the two",
        )
    own = [taken(0, s, s.label) for s in fitted.samples]
    others = [taken(1, s, len(fitted.classes), "test") for s in outside.samples]
    note = f"{fitted.splits_from}; beside test, as {OUTSIDE}, all {len(others)} images of {outside.name}"
    classes = (*fitted.classes, OUTSIDE)
    return composed(f"{fitted.name}{NOT_IN}{outside.name}", [*own, *others], classes, (fitted, outside), note, "open")
