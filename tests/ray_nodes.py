"""A Ray cluster of several nodes on this machine, as a program: ``python tests/ray_nodes.py FOLDER NODES``.

NODES is JSON: for each node the variables of its environment. Each has one core, of its own where there are enough. It
prints the address; then it obeys ``kill N``, which ends node N as a power cut does, ``add`` and ``quit``, a line each.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def main() -> None:
    folder, given = sys.argv[1], json.loads(sys.argv[2])
    os.environ["RAY_TMPDIR"] = folder
    os.mkdir(f"{folder}/ray")  # where the address is written
    from ray.cluster_utils import Cluster

    own = sorted(os.sched_getaffinity(0))
    before = dict(os.environ)
    cluster = Cluster()
    nodes: list[Any] = []

    def add(variables: dict[str, str]) -> None:
        os.sched_setaffinity(0, {own[len(nodes) % len(own)]})  # what a node starts inherits it
        os.environ.update(variables)
        head: dict[str, Any] = {} if nodes else {"include_dashboard": False, "temp_dir": folder}
        nodes.append(cluster.add_node(num_cpus=1, object_store_memory=100 << 20, **head))
        os.environ.clear()
        os.environ.update(before)

    for variables in given:
        add(variables)
    print(cluster.address, flush=True)
    for line in sys.stdin:
        word, _, number = line.strip().partition(" ")
        if word == "kill":
            cluster.remove_node(nodes[int(number)], allow_graceful=False)
        elif word == "add":
            add({})
        else:
            break
        print("done", flush=True)
    cluster.shutdown()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
