"""The nodes that do the sweep: asked what they are when they come, and left out when they go or are of no use."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from bench.cluster import work
from bench.cluster.entries import Others, Register, as_task
from bench.cluster.nodes import Node, Report
from bench.cluster.pieces import Piece
from bench.cluster.work import Job
from bench.sweep.cells import Planned
from export.errors import UserError
from export.progress import say
from export.store import Store

LOST = (
    ray.exceptions.WorkerCrashedError,
    ray.exceptions.NodeDiedError,
    ray.exceptions.OutOfMemoryError,
    ray.exceptions.ObjectLostError,
    ray.exceptions.TaskUnschedulableError,
    ray.exceptions.LocalRayletDiedError,
    ray.exceptions.RaySystemError,
    ray.exceptions.RuntimeEnvSetupError,
)
"""What Ray raises where something did not come to its end: for a reason outside it, or because it ended its process."""
REPORT_SECONDS = 600.0
"""In which a node has to say what it is: it may have to index the photographs."""
LOOK_SECONDS = 5.0
"""Between looks for nodes that have come or gone."""


def there() -> list[dict[str, Any]]:
    """Ray's nodes, those that are gone among them, as it describes them."""
    found: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return found


@dataclass
class Crew:
    """The nodes of one sweep.

    Attributes:
        job: what every piece shares.
        own: the driver's own report: what nodes are compared with. store: the driver's.
        nodes: those that take part.
        promised: the store was said to be shared.
    """

    job: Job
    own: Report
    store: Store
    promised: bool = False
    nodes: list[Node] = field(default_factory=list)
    _asked: dict[Any, dict[str, Any]] = field(default_factory=dict)
    _known: set[str] = field(default_factory=set)
    _looked: float = 0.0
    _gpu_cells: frozenset[int] = frozenset()
    _cells: Sequence[Planned] = ()
    _homes: dict[str, frozenset[str]] = field(default_factory=dict)

    def gather(self) -> None:
        """Ask every node that is there, and wait for the answers.

        Raises:
            UserError: none of them can do anything of the sweep.
        """
        self._look()
        end = time.monotonic() + REPORT_SECONDS
        while self._asked and time.monotonic() < end:
            self._hear(1.0)
        if not self.nodes:
            raise UserError("No node of the cluster can do this sweep.", "Each has said why, above.", "ray status")

    def refresh(self) -> None:
        """Notice nodes that have come or gone since, now and then."""
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._look()
        if self._asked:
            self._hear(0)

    def room(self, node: Node, busy: Sequence[Piece]) -> bool:
        """Whether the node takes one piece more."""
        if node.gpus >= 1 and all(map(self.on_gpu, busy)):
            return len(busy) < node.gpus
        return not busy

    def on_gpu(self, piece: Piece) -> bool:
        """Whether the piece needs a GPU."""
        return piece.kind != "export" and piece.cell in self._gpu_cells

    def at_home(self, node: Node, home: str) -> bool:
        """Whether the node is of a home of :func:`bench.cluster.nodes.choose_homes`."""
        return not home or home in self._homes.get(node.id, frozenset())

    def settle(self, cells: Sequence[Planned]) -> None:
        """Note which homes of the sweep's cells each node is of, and which cells need a GPU."""
        self._cells = cells
        self._homes = {node.id: self._homes_of(node) for node in self.nodes}
        self._gpu_cells = frozenset(
            number for number, cell in enumerate(cells) if cell.engine.spec.provider not in ("cpu", "eager")
        )

    def introduce(self, homes: Sequence[str]) -> None:
        """Say what the nodes are, and which of them make plans of their own."""
        kinds: dict[frozenset[str], list[Node]] = {}
        for node in self.nodes:
            kinds.setdefault(self._homes[node.id] & set(homes), []).append(node)
        for node in self.nodes:
            here, gpus = node.report.environment, f", {node.gpus:g} GPUs" if node.gpus else ""
            store = "the shared store" if node.report.shared else "a store of its own"
            free = f"{node.report.free_bytes / 2**30:,.0f} GiB free"
            say(f"node {node.name}: {here.name}, {node.cpus:g} cores{gpus}, {store}, {free}")
            for name, has in node.report.engines.items():
                if not has.available.ok:
                    say(f"  without {name}: {has.available.reason}")
        if len(kinds) > 1:
            for own, nodes in kinds.items():
                cells = sum(home in own for home in homes)
                names = ", ".join(node.name for node in nodes)
                say(f"plans of their own, because engines or processors differ: {names} ({cells} cells)")

    def alive(self, node: Node) -> bool:
        """Whether the node is still there."""
        return any(one["NodeID"] == node.id and one["Alive"] for one in there())

    def leave_out(self, node: Node) -> None:
        """Give it no more work."""
        self.nodes = [one for one in self.nodes if one.id != node.id]

    def submit(
        self, call: Callable[..., Any], node: Node, *arguments: Any, gpu: bool = False, machine: bool = False
    ) -> Any:
        """Run a function there, on all cores of the node or on one of its GPUs; its reference.

        Args:
            machine: alone on the machine: it takes the resource of which every node has 1, and all GPUs.
        """
        cpus = node.cpus / node.gpus if gpu else node.cpus
        takes: dict[str, Any] = {"num_cpus": cpus, "num_gpus": node.gpus if machine else 1 if gpu else 0}
        if machine:
            takes["resources"] = {f"node:{node.address}": 1}
        return self._submit(call, node.id, node.cpus, *arguments, **takes)

    def _homes_of(self, node: Node) -> frozenset[str]:
        homes = {node.report.home(cell) for cell in self._cells} - {""}
        return frozenset(homes | {f"{home}@{node.machine}" for home in homes})

    def _submit(self, call: Callable[..., Any], node: str, cores: float, *arguments: Any, **takes: Any) -> Any:
        # without this Ray sets it to what the task asks for, and a process is used again by tasks that ask otherwise
        threads = {"env_vars": {"OMP_NUM_THREADS": str(max(1, int(cores)))}}
        where = NodeAffinitySchedulingStrategy(node, soft=False)
        remote = as_task(call).options(max_retries=0, scheduling_strategy=where, runtime_env=threads, **takes)
        return remote.remote(*arguments)

    def _look(self) -> None:
        self._looked = time.monotonic()
        alive = {one["NodeID"]: one for one in there() if one["Alive"]}
        for node in [node for node in self.nodes if node.id not in alive]:
            say(f"{node.name} is gone")
            self.leave_out(node)
        for id, one in alive.items():
            if id not in self._known:
                self._known.add(id)
                cpus = one["Resources"].get("CPU", 0.0)
                if cpus:
                    ref = self._submit(work.report, id, cpus, self.job, num_cpus=cpus)
                    self._asked[ref] = one

    def _hear(self, seconds: float) -> None:
        done, _ = ray.wait(list(self._asked), timeout=seconds)
        for ref in done:
            one = self._asked.pop(ref)
            name = one["NodeManagerHostname"]
            try:
                report: Report = ray.get(ref)
            except ray.exceptions.RayError as error:
                lines = [line.strip() for line in str(error).splitlines() if line.strip()]
                say(f"{name} is left out: {lines[-1][:200] if lines else type(error).__name__}")
                continue
            if why := self._useless(report):
                say(f"{name} is left out: {why}")
                continue
            resources = one["Resources"]
            node = Node(
                one["NodeID"], name, one["NodeManagerAddress"], resources["CPU"], resources.get("GPU", 0.0), report
            )
            self._join_store(node)
            self.nodes.append(node)
            if self._cells:
                self._homes[node.id] = self._homes_of(node)
                say(f"{name} has come")

    def _join_store(self, node: Node) -> None:
        """Let entries be fetched from one another, once some node has a store of its own."""
        if self.job.register is None and not node.report.shared:
            here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
            register: Any = as_task(Register).options(num_cpus=0, scheduling_strategy=here).remote()
            self.job, self.store.peers = replace(self.job, register=register), Others(register, None)
            for one in self.nodes:
                ray.get(register.add.remote((one.id, one.report.store), one.report.entries))
        if self.job.register is not None:
            ray.get(self.job.register.add.remote((node.id, node.report.store), node.report.entries))

    def _useless(self, report: Report) -> str:
        if report.trouble:
            return report.trouble
        if report.project != self.own.project:
            return f"it has {report.project} of this project; here is {self.own.project}"
        if report.making != self.own.making:
            names = {n for n in {*report.making, *self.own.making} if report.making.get(n) != self.own.making.get(n)}
            there, here = (making.get(min(names), "missing") for making in (report.making, self.own.making))
            return f"its {min(names)} is {there}; here it is {here}"
        if report.data != self.own.data:
            return "its photographs are not those that are here"
        if self.promised and not report.shared:
            return f"it does not see this store at {report.store}"
        return ""
