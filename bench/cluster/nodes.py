"""The machines of a cluster, as each reported itself: what it runs, whose plans it makes, and what it cannot see.

Plans of two nodes are the same where every engine says the same of itself: its version, its options, the processor's
instruction sets, the GPU and its driver. Nodes that would make other plans of a cell are another *home*: a cell has one
home, so that all its results come from one plan.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from bench.records.parts import Environment
from bench.sweep.assembly import Assembly
from bench.sweep.cells import Planned
from engines.base import Availability, Engine, EngineSpec, Plan, Profile, Session, plan_key
from engines.catalog import engine
from export.errors import Unavailable
from export.store import key


@dataclass(frozen=True)
class Has:
    """An engine as a node has it."""

    available: Availability
    identity: dict[str, Any]


@dataclass(frozen=True)
class Report:
    """What a node says of itself before it is given work.

    Attributes:
        project: version and content of this project. making: libraries and paths that files and features depend on.
        engines: of the sweep, by name and provider. first: on whose outputs deployed heads are fitted.
        data: digests of the sweep's data sets as the node sees them.
        store: its root. shared: what the driver wrote into its own store is there.
        entries: what lies in a store of the node's own: kind and key.
        trouble: why it can do nothing of this sweep; empty where it can.
    """

    environment: Environment
    project: str
    making: dict[str, Any]
    free_bytes: int = 0
    engines: dict[str, Has] = field(default_factory=dict)
    first: str = ""
    data: tuple[str, ...] = ()
    store: str = ""
    shared: bool = False
    entries: tuple[tuple[str, str], ...] = ()
    trouble: str = ""

    def home(self, planned: Planned) -> str:
        """Whose plans the node makes of a cell; empty where it cannot run it."""
        own = self.engines.get(str(planned.engine.spec))
        if own is None or not own.available.ok:
            return ""
        first = self.engines[self.first].identity if self.first else {}
        return key("home", engine=str(planned.engine.spec), identity=own.identity, first=[self.first, first])


@dataclass(frozen=True)
class Node:
    """A node of the cluster that can do something of the sweep.

    Attributes:
        id: Ray's. name: its host name. address: its network address. cpus, gpus: what it offers.
    """

    id: str
    name: str
    address: str
    cpus: float
    gpus: float
    report: Report

    @property
    def machine(self) -> str:
        """The machine's id, which timings are of."""
        return self.report.environment.id


class There:
    """An engine as the nodes of a home have it: its keys are theirs, and nothing of it is built or run here."""

    def __init__(self, of: Engine, has: Has) -> None:
        self._of, self._has = of, has

    def __getattr__(self, name: str) -> Any:
        return getattr(self._of, name)

    def available(self, purpose: str = "run") -> Availability:
        """As the nodes have it."""
        return self._has.available

    def identity(self) -> dict[str, Any]:
        """Of the nodes' plans."""
        return self._has.identity

    def plan_key(self, artifact_key: str, profile: Profile) -> str:
        """Of the plan that the nodes make."""
        return plan_key(artifact_key, profile, self._has.identity)

    def load(self, plan: Plan) -> Session:
        """Refuse.

        Raises:
            Unavailable: always.
        """
        raise Unavailable(f"The plan of {self._of.spec} is another machine's.", "It runs on the nodes that made it.")


def choose_homes(
    asked: Assembly, nodes: Sequence[Node], machine: str, finished: Callable[[Planned], int] = lambda planned: 0
) -> tuple[Assembly, list[str]]:
    """The cells with the engines of the nodes that will run them, and the home of each, empty where no node can.

    A cell that is timed is at home on nodes that are this machine, where there are some; any other goes to the home
    under which most of it is finished, and else is drawn in proportion to the homes' cores.

    Args:
        finished: results of a cell, as a home would make it, that are there.
    """
    cells, homes = [], []
    for planned in asked.cells:
        found = _homes(planned, nodes)
        usable = {home: of for home, of in found.items() if home}
        timed = (
            {h: of for h, of in usable.items() if any(n.machine == machine for n in of)} if planned.scenarios else {}
        )
        home = _drawn(planned, timed or usable, finished)
        of = usable[home] if home else list(nodes)
        homes.append(home)
        cells.append(_as_there(planned, of[0].report))
    return replace(asked, cells=tuple(cells)), homes


def _homes(planned: Planned, nodes: Sequence[Node]) -> dict[str, list[Node]]:
    found: dict[str, list[Node]] = {}
    for node in nodes:
        home = node.report.home(planned) if planned.precision in planned.engine.precisions else ""
        found.setdefault(home, []).append(node)
    return found


def _drawn(planned: Planned, homes: Mapping[str, Sequence[Node]], finished: Callable[[Planned], int]) -> str:
    if len(homes) < 2:
        return next(iter(homes), "")
    done = {home: finished(_as_there(planned, of[0].report)) for home, of in homes.items()}
    best = sorted(home for home in homes if done[home] == max(done.values()))
    whole = replace(planned.backbone, depth=0)  # depths of one backbone are read in one pass
    draw = random.Random(f"{whole} {planned.engine.spec} {planned.precision}")
    return draw.choices(best, [sum(node.cpus for node in homes[home]) or 1 for home in best])[0]


def _as_there(planned: Planned, report: Report) -> Planned:
    """The cell as a node has it."""
    if planned.precision not in planned.engine.precisions:
        return planned
    has = report.engines[str(planned.engine.spec)]
    first = planned.first
    if report.first and first is not None:
        first = _engine(_named(first, report.first), report.engines[report.first])
    return replace(planned, engine=_engine(planned.engine, has), availability=has.available, first=first)


def _named(of: Engine, name: str) -> Engine:
    """The engine of that name and provider, with the threads of another."""
    return of if str(of.spec) == name else engine(EngineSpec.parse(name, of.spec.threads))


def _engine(here: Engine, has: Has) -> Engine:
    """The engine itself where it is here as it is there."""
    mine = here.available()
    if mine.ok == has.available.ok and mine.ok and here.identity() == has.identity:
        return here
    return cast(Engine, There(here, has))
