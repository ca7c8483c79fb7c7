"""What the tests of a cluster share: real nodes on this machine, and a sweep that takes seconds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping

import pytest
from coloured import draw
from nets import saved
from project import ROOT

QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "PYTHONPATH": str(ROOT / "tests")}
"""A token for authentication would be written into the user's home folder."""


class Nodes:
    """A cluster of this machine."""

    def __init__(self, variables: list[Mapping[str, str]]) -> None:
        self._folder = tempfile.mkdtemp(prefix="ray-")  # short: sockets lie in it
        self.environment = {**os.environ, **QUIET}
        command = [sys.executable, "tests/ray_nodes.py", self._folder, json.dumps(variables)]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        lines = (line.strip() for line in self._process.stdout)
        self.address = next((line for line in lines if line.replace(".", "").replace(":", "").isdigit()), "")
        assert self.address, "the nodes did not start"

    def tell(self, words: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(words, file=self._process.stdin, flush=True)
        assert self._process.stdout.readline().strip() == "done"

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        assert self._process.stdout is not None
        self._process.stdout.close()
        shutil.rmtree(self._folder, ignore_errors=True)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Callable[..., Nodes]]:
    """Starts a cluster of as many nodes as it is given environments."""
    pytest.importorskip("ray", reason="Ray is not installed")
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("only Linux gives a node one core")
    started: list[Nodes] = []

    def start(*variables: Mapping[str, str]) -> Nodes:
        started.append(Nodes(list(variables)))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The options of a sweep of two backbones on two engines, with weights, and one data set beside its corruption."""
    folder = tmp_path_factory.mktemp("sweep")
    photos = draw(folder / "photos", 3, 15, 60, 70)
    models = saved(folder, "nets:small", "test_resnet.r160_in1k")
    weights = [word for model, file in models.items() for word in ("--weights", f"{model}={file}")]
    return [
        *("--models", ",".join(models), *weights, "--engines", "ort,openvino", "--data", str(photos)),
        *("--corruptions", "fog:3", "--tasks", "knn,linear_probe", "--threads", "1", "--batches", "1,4"),
        *("--seconds", "0.05", "--repeats", "1"),
    ]
