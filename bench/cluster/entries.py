"""Entries of the nodes' own stores, fetched by key from one another through Ray's object store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from export.store import MANIFEST, Store

KINDS = ("onnx", "plan", "parity", "features", "fit", "queries")
"""What one node makes and another needs. Maps are too large to travel: they are computed where they are read."""
Place = tuple[str, str]
"""Of a node, and the root of its store."""


class Register:
    """Where each entry lies: an actor, which every node asks for what it lacks."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, str], dict[Place, None]] = defaultdict(dict)

    def add(self, place: Place, entries: Iterable[tuple[str, str]]) -> None:
        """Note that these entries, kind and key, lie there."""
        for entry in entries:
            self._places[entry][place] = None

    def where(self, kind: str, key: str) -> list[Place]:
        """The places that have it."""
        return list(self._places.get((kind, key), ()))


@dataclass
class Others:
    """The stores of the other nodes, as one node's store sees them (:class:`export.store.Peers`).

    Attributes:
        register: the actor. place: of this node; None for a driver, from which nothing is fetched.
    """

    register: Any
    place: Place | None
    _built: list[tuple[str, str]] = field(default_factory=list)

    def files(self, kind: str, key: str, /) -> Mapping[str, bytes] | None:
        """The entry's files from the first node that still has it."""
        if kind not in KINDS:
            return None
        for place in ray.get(self.register.where.remote(kind, key)):
            if place == self.place:
                continue
            where = NodeAffinitySchedulingStrategy(place[0], soft=False)
            options = as_task(packed).options(num_cpus=0, max_retries=0, scheduling_strategy=where)
            try:
                files: Mapping[str, bytes] | None = ray.get(options.remote(place[1], kind, key))
            except ray.exceptions.RayError:  # that node is gone
                continue
            if files is not None:
                return files
        return None

    def built(self, kind: str, key: str, /) -> None:
        """Let the others know."""
        if kind in KINDS and self.place:
            ray.get(self.register.add.remote(self.place, [(kind, key)]))


@cache
def as_task(call: Callable[..., Any]) -> Any:
    """A function as a task of Ray's, or a class as an actor: sent to the nodes once, and not with each call."""
    return ray.remote(call)


def packed(root: str, kind: str, key: str) -> dict[str, bytes] | None:
    """The files of an entry here, its manifest among them; None where it is not whole."""
    entry = Store(Path(root), verified=True).try_load(kind, key)  # whoever gets it compares the hashes
    if entry is None:
        return None
    return {name: entry.file(name).read_bytes() for name in (MANIFEST, *entry.files)}


def listed(root: Path) -> tuple[tuple[str, str], ...]:
    """What lies in a store already: kind and key."""
    return tuple(
        (kind, manifest.parent.name) for kind in KINDS for manifest in sorted((root / kind).glob(f"*/{MANIFEST}"))
    )
