"""Fitted on one data set, and shown images that belong to none of its classes: are they noticed?"""

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
        UserError: the second is empty, or has a class or an image that the first has too.
    """
    if not outside.samples:
        raise UserError(
            f"{outside.name} holds no images.", "There must be some to be noticed.", "another --out-of-scope"
        )
    both = [name for name in outside.classes if name in fitted.classes]
    if both:
        raise UserError(
            f"{outside.name} has classes that {fitted.name} has too: {few(both)}.",
            "Images of a known class are in scope, wherever they come from.",
            f"--shifted {outside.name}, or leave these classes out",
        )
    same = shared(fitted.samples, fitted, outside)
    if same:
        raise UserError(
            f"{len(same)} images of {outside.name} are images of {fitted.name} too.",
            f"The first is {same[0]}.",
            "take them out of one of the two",
        )
    own = [taken(0, s, s.label) for s in fitted.samples]
    others = [taken(1, s, len(fitted.classes), "test") for s in outside.samples]
    note = f"{fitted.splits_from}; beside test, as {OUTSIDE}, all {len(others)} images of {outside.name}"
    classes = (*fitted.classes, OUTSIDE)
    return composed(f"{fitted.name}{NOT_IN}{outside.name}", [*own, *others], classes, (fitted, outside), note, "open")
