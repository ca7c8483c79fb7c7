"""From the names in a sweep to backbones at every size and depth, each with the precision of its own file and what is
wrong with that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.sweep.spec import SweepSpec
from export.convert.foreign import precision as own_precision
from export.errors import UserError
from export.progress import say
from export.spec import Precision
from export.store import Store
from export.zoo.backbones import Backbone, distinct, finished_file, resolve
from export.zoo.variants import variants


@dataclass(frozen=True)
class Named:
    """A backbone of the sweep.

    Attributes:
        own: the precision that its finished file is in; fp32 for every other.
        trouble: why its finished file, which is there, cannot be used.
    """

    backbone: Backbone
    own: Precision = Precision.FP32
    trouble: UserError | None = None

    def taken(self, asked: Precision, precisions: Sequence[Precision]) -> Iterator[tuple[Precision, bool]]:
        """Where ``asked``, of the sweep's precisions, gives a cell: the cell's, and whether that is the file's own.

        A finished file of another precision is taken as it is where fp32 is asked for, or its own: once, where both
        are.
        """
        if self.own is Precision.FP32 or asked not in (self.own, Precision.FP32):
            yield asked, False
        elif asked is next(p for p in precisions if p in (self.own, Precision.FP32)):
            yield self.own, True


def named(sweep: SweepSpec, store: Store) -> list[Named]:
    """The sweep's backbones, each at every size and depth; those whose finished file cannot be used come last.

    Raises:
        UserError: nothing has one of the names, or none of them can be used.
    """
    zoo = [Path(file) for file in sweep.zoo]
    given = {name: Path(file) for name, file in sweep.weights.items()}

    def of(name: str, folders: int = 1) -> Backbone:
        return resolve(name, zoo_files=zoo, weights=given.get(name), folders=folders)

    whole: dict[str, Backbone] = {}
    broken: list[Named] = []
    for name in sweep.models:
        try:
            whole[name] = of(name)
        except UserError as error:
            file = Path(name)
            if file.suffix.lower() != ".onnx" or not file.is_file():
                raise
            broken.append(Named(finished_file(file), trouble=error))
    found = [*map(_examined, distinct(whole, of)), *broken]
    troubles = [one.trouble for one in found if one.trouble]
    if len(troubles) == len(found):
        raise troubles[0]
    return [
        replace(one, backbone=variant)
        for one in found
        for variant in variants(one.backbone, sweep.size, sweep.depth, store)
    ]


def _examined(backbone: Backbone) -> Named:
    try:
        own = own_precision(backbone)
    except UserError as error:
        return Named(backbone, trouble=error)
    if own is not Precision.FP32:
        say(f"{backbone.name}: the file is {own} already; it is run as it is, and not rounded again")
    return Named(backbone, own)
