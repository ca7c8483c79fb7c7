"""What an unknown checkpoint holds, and which rows of the zoo it would fit. No code in it is executed."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from export.errors import UserError
from export.progress import counting
from export.store import Store
from export.zoo import checkpoint, formats
from export.zoo.backbones import Backbone, listing
from export.zoo.loaders import compared, shapes
from export.zoo.placing import Placed
from export.zoo.sources import ModuleFunction, OnnxFile, TimmModel, with_checkpoint, without_places

LEAST_SHARE = 0.5
"""Of a network's tensors that the file has one of the same size for; below it, nothing else is compared."""
CLOSEST = 3
"""Networks that are named where none fits."""


@dataclass(frozen=True)
class Folded:
    """Tensors whose names differ in numbers alone, and that have one shape: ``blocks.0…11.norm1.weight``."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    count: int


@dataclass(frozen=True)
class Fit:
    """A network that the file fits, or comes close to.

    Attributes:
        rows: of the zoo, which differ in weights alone. network: timm's architecture, or the module.
        used: how many of the file's tensors, and of its numbers, would be in the network.
        left_out: names of the others.
        notes: as those of an export. why: what speaks against it; empty where it fits.
    """

    rows: tuple[str, ...]
    network: str
    used: int = 0
    numbers: int = 0
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class Inspection:
    """A checkpoint.

    Attributes:
        kind: what the file is. tensors, numbers: how many.
        folded: its tensors, for a reader. others: what it holds beside them.
        fits: best first: most numbers used, then rows of that very layout. closest: where nothing fits.
    """

    file: str
    kind: str
    size: int
    tensors: dict[str, tuple[tuple[int, ...], str]]
    numbers: int
    folded: tuple[Folded, ...]
    others: tuple[str, ...]
    fits: tuple[Fit, ...]
    closest: tuple[Fit, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values; ``tensors`` by their full names."""
        found = asdict(self)
        tensors = {name: {"shape": list(shape), "dtype": dtype} for name, (shape, dtype) in self.tensors.items()}
        return {**json.loads(json.dumps({k: v for k, v in found.items() if k != "folded"})), "tensors": tensors}


def inspected(path: Path, store: Store, zoo_files: Sequence[Path] = ()) -> Inspection:
    """Read the file, and compare its names and shapes with every network of the zoo.

    Raises:
        UserError: it is no checkpoint of PyTorch's, damaged, or would run code when loaded.
    """
    contents = checkpoint.read(path)
    described = {
        name: (tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
        for name, tensor in contents.tensors.items()
    }
    sizes = Counter(math.prod(shape) for shape, _ in described.values())
    groups = _networks(listing(zoo_files), path)
    likely: list[tuple[float, list[Backbone]]] = []
    with counting("comparing with the zoo", len(groups), "networks") as advance:
        for rows in groups:
            share = _share(rows[0], sizes, store)
            if share >= LEAST_SHARE:
                likely.append((share, rows))
            advance(1)
    fits, others = list[tuple[bool, Fit]](), list[tuple[float, Fit]]()
    for share, rows in likely:
        network = _called(rows[0])
        names = tuple(row.name for row in rows)
        try:
            placed = compared(_with(rows[0], path), contents)
        except UserError as error:
            others.append((share, Fit(names, network, why=error.why or error.what)))
            continue
        fits.append((bool(_layouts(rows[0])), _fit(names, network, placed, described)))
    fits.sort(key=lambda pair: (-pair[1].numbers, not pair[0], pair[1].network))
    others.sort(key=lambda pair: -pair[0])
    return Inspection(
        path.name,
        formats.of(path).words,
        path.stat().st_size,
        described,
        sum(math.prod(shape) for shape, _ in described.values()),
        tuple(folded(described)),
        contents.others,
        tuple(fit for _, fit in fits),
        () if fits else tuple(fit for _, fit in others[:CLOSEST]),
    )


def folded(tensors: dict[str, tuple[tuple[int, ...], str]]) -> Iterable[Folded]:
    """Tensors by shape, and by name up to its numbers, in the order of the file."""
    groups: dict[tuple[str, tuple[int, ...], str], list[list[str]]] = {}
    for name, (shape, dtype) in tensors.items():
        pattern = re.sub(r"(?<![^.])\d+(?![^.])", "#", name)
        groups.setdefault((pattern, shape, dtype), []).append(re.findall(r"(?<![^.])\d+(?![^.])", name))
    for (pattern, shape, dtype), numbers in groups.items():
        shown = pattern
        for values in zip(*numbers, strict=True):
            low, high = min(map(int, values)), max(map(int, values))
            shown = shown.replace("#", str(low) if low == high else f"{low}…{high}", 1)
        yield Folded(shown, shape, dtype, len(numbers))


def _networks(rows: Sequence[Backbone], path: Path) -> list[list[Backbone]]:
    """Rows that a local file would be read for in the same way, together."""
    groups: dict[str, list[Backbone]] = {}
    for row in rows:
        if isinstance(row.source, OnnxFile):
            continue
        fields = without_places(_with(row, path).source)
        fields["timm"] = _called(row) if isinstance(row.source, TimmModel) else ""
        groups.setdefault(json.dumps({k: v for k, v in fields.items() if k not in ("classes", "headless")}), []).append(
            row
        )
    return list(groups.values())


def _with(row: Backbone, path: Path) -> Backbone:
    return replace(row, source=with_checkpoint(row.source, path, row.name))


def _called(row: Backbone) -> str:
    if isinstance(row.source, TimmModel):
        return row.source.architecture
    return row.source.target if isinstance(row.source, ModuleFunction) else ""


def _layouts(row: Backbone) -> Any:
    return without_places(row.source)["layout"]


def _share(row: Backbone, sizes: Counter[int], store: Store) -> float:
    """How many of the network's tensors the file has one of the same size for, as a share: a conversion changes names
    and shapes, and few sizes."""
    try:
        own = Counter(math.prod(shape) for shape in shapes(row, store).values())
    except UserError:  # what its network needs is not installed
        return 0.0
    return (own & sizes).total() / max(1, own.total())


def _fit(
    names: tuple[str, ...], network: str, placed: Placed, described: dict[str, tuple[tuple[int, ...], str]]
) -> Fit:
    used = [name for name in placed.used if name in described]
    numbers = sum(math.prod(described[name][0]) for name in used)
    left = tuple(name for name in described if name not in set(used))
    return Fit(names, network, len(used), numbers, left, placed.notes)
