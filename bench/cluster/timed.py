"""Timings on a cluster: each cell's on one node at a time, which runs nothing else meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import ray

from bench.cluster import work
from bench.cluster.crew import LOST, Crew
from bench.cluster.deal import WORKERS
from bench.cluster.nodes import Node
from bench.measure.worker import Job, Outcome
from bench.records.parts import Failure
from bench.sweep import timing
from bench.sweep.desk import Desk
from export.errors import first_line
from export.progress import say


@dataclass
class Watch:
    """Measures jobs on a node; on another of the same machine's kind, where that one goes."""

    crew: Crew
    node: Node

    def __call__(self, job: Job) -> Outcome:
        """What a child process saw there; why not, where every process that watched it died."""
        died, why = 0, ""
        while died < WORKERS:
            ref = self.crew.submit(work.measure, self.node, job, self.crew.job, machine=True)
            try:
                outcome: Outcome = ray.get(ref)
                return outcome
            except LOST as error:
                why = first_line(error)
                died += self.crew.alive(self.node)
                say(f"{self.node.name}: a timing was lost; it is measured again")
                if not self._elsewhere():
                    break
        return Outcome(failure=Failure("Died", "Every process that should have measured it died.", why))

    def _elsewhere(self) -> bool:
        """Choose another node where this one is gone; whether there is one."""
        if self.crew.alive(self.node):
            return True
        self.crew.leave_out(self.node)
        alike = [node for node in self.crew.nodes if node.machine == self.node.machine and self.crew.alive(node)]
        self.node = alike[0] if alike else self.node
        return bool(alike)


def run(cells: Sequence[timing.Timed], places: Sequence[Sequence[Node]], desk: Desk, crew: Crew) -> list[Failure]:
    """Measure the cells on the nodes that each may run on, each node its share; the results that failed.

    Args:
        places: the nodes of each cell, at least one.
    """
    shares: dict[str, list[timing.Timed]] = {}
    nodes = {node.id: node for of in places for node in of}
    for cell, of in zip(cells, places, strict=True):
        least = min(of, key=lambda node: len(shares.get(node.id, ())))
        shares.setdefault(least.id, []).append(cell)
    with ThreadPoolExecutor(max(1, len(shares))) as pool:
        running = [
            pool.submit(lambda own=own, id=id: list(timing.run(own, desk, Watch(crew, nodes[id]))))  # type: ignore[misc]
            for id, own in shares.items()
        ]
        return [failure for one in running for failure in one.result()]
