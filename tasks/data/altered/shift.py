"""Fitted on one data set, tested on another with the same classes: the accuracy lost under distribution shift."""

from __future__ import annotations

from export.errors import UserError
from tasks.data.altered.class_maps import named_alike
from tasks.data.altered.composed import composed, shared, taken
from tasks.data.altered.joined import kind_of
from tasks.data.base import DataSet, Shifted
from tasks.data.layout import few

ARROW = "→"
BAR = "|"


def shifted(fitted: DataSet, seen: DataSet) -> list[DataSet]:
    """``fitted→seen``: train and val of the first, every image of the second as test.

    Where the second has fewer classes, both are narrowed to those (ImageNet-A and -R are evaluated so, on their 200),
    and ``fitted|seen``, the first narrowed alike with its own test images, comes before it: the drop starts there.

    Sets with masks or objects keep all classes: what is scored on them is a mean over those that the test images have.

    Raises:
        UserError: the second has targets of another kind, a class that the first has not, or no test images
            of, or fewer than two classes; or images of the second are images of the first.
    """
    labelled = kind_of((fitted, seen)) == "labels"
    seen = named_alike(fitted, seen) if labelled else seen
    known = set(fitted.classes)
    foreign = [name for name in seen.classes if name not in known]
    if foreign:
        raise UserError(
            f"{seen.name} has classes that {fitted.name} lacks: {few(foreign)}.",
            "Both sets must name their classes by the same folders, labels or names.",
        )
    for part, which in (
        ([s for s in fitted.samples if s.split != "test"], "that the probes are fitted on"),
        (fitted.split("test"), "that are its test images"),
    ):
        same = shared(part, fitted, seen)
        if same:
            raise UserError(
                f"{len(same)} images of {seen.name} are among those of {fitted.name} {which}.",
                f"The first is {same[0]}.",
                "remove them from one of the two",
            )
    classes = _both(fitted, seen) if labelled else fitted.classes
    number = {name: i if labelled else 0 for i, name in enumerate(classes)}  # see DataSet.kind
    own = [taken(0, s, number[fitted.classes[s.label]]) for s in fitted.samples if fitted.classes[s.label] in number]
    test = [taken(1, s, number[seen.classes[s.label]], "test") for s in seen.samples]
    found, without = [], fitted
    if len(classes) < len(fitted.classes):
        note = f"{fitted.splits_from}; the {len(classes)} classes of {seen.name}"
        without = composed(f"{fitted.name}{BAR}{seen.name}", own, classes, (fitted,), note)
        found.append(without)
    note = f"train and val of {fitted.name} ({fitted.splits_from}), test is all of {seen.name}"
    samples = [*(s for s in own if s.split != "test"), *test]
    shift = Shifted(fitted.name, seen.name, without.digest)
    name = f"{fitted.name}{ARROW}{seen.name}"
    found.append(composed(name, samples, classes, (fitted, seen), note, shift=shift))
    return found


def _both(fitted: DataSet, seen: DataSet) -> tuple[str, ...]:
    """The classes of the first that the second has images of.

    Raises:
        UserError: they are fewer than two, or the first has no test images of one.
    """
    present = {seen.classes[s.label] for s in seen.samples}
    classes = tuple(name for name in fitted.classes if name in present)
    if len(classes) < 2:
        raise UserError(
            f"{seen.name} has {len(classes)} of the classes of {fitted.name}; a shift needs at least two.",
            "With one class, every prediction is right.",
            "give it images of more classes",
        )
    untested = [name for name in fitted.untested() if name in present]
    if untested:
        raise UserError(
            f"{fitted.name} has no test images of {few(untested)}; {seen.name} has.",
            "The drop is measured on the same classes without the shift.",
            f"give {fitted.name} test images of each class, or no splits: the program then makes them",
        )
    return classes
