"""What Ray costs on one machine, and how a thousand cells would spread over 64 nodes (a model: bench/cluster/simulate).

The overhead is that of ``bob run --on ray`` over the plain ``bob run``, which begin with the same files and plans and
extract and score everything anew. Ray's own start, and what a run takes with nothing to do, are left out on both sides.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.cluster.simulate import CELLS, EXPORT_SECONDS, PLAN_SECONDS, START_SECONDS, simulate
from bench.figures.figure import Figure, figure
from bench.figures.scoring import FETCHED
from bench.records.results import PUBLISHED, Results
from bench.sweep.spec import read
from engines.processor import cores
from export.errors import UserError
from export.progress import say
from export.store import Store
from tasks.data.catalog import open_dataset

MODELS = ("mobilenetv2", "efficientnet_lite0", "squeezenet1_1", "open_nsfw")
PHOTOGRAPHS, REPEATS = 5000, 2
LOOK_SECONDS = 0.2
"""Between looks at the processor time of all processes of a run: what one takes after the last look is not seen."""
MADE = ("features", "fit")
NODES = 64


@dataclass(frozen=True)
class Run:
    """Seconds that a command took, and processor seconds of it and of all that it started."""

    wall: float
    cpu: float


def figures(store: Store, shared: Path) -> Iterator[Figure]:
    """The model first, which takes a moment."""
    found = simulate(Results.load(PUBLISHED), CELLS, NODES)
    how = (
        f"{CELLS:,} cells that take what the published ones took, {NODES} nodes: {found.work / 3600:.1f} h of work in "
        f"{found.seconds / 60:.1f} min; assumed: {EXPORT_SECONDS:g} s a file, {PLAN_SECONDS:g} s a plan, "
        f"{START_SECONDS:g} s until a node's first piece"
    )
    yield figure("A simulated cluster, share of the ideal speed", [found.of_ideal], "≥ 0.80", lambda v: v >= 0.8, how)
    demo = read()
    images = open_dataset(demo.data[0], store, limit=PHOTOGRAPHS, seed=demo.seed)  # downloads what is missing
    sweep = ["--models", ",".join(MODELS), "--engines", "ort", "--precisions", "fp32", "--data", demo.data[0]]
    sweep += ["--limit", str(PHOTOGRAPHS), "--tasks", ",".join(demo.tasks[:2]), "--scenarios", "none"]
    sides: dict[bool, list[Run]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder, "store")
        for kind in FETCHED:
            if (store.root / kind).is_dir():
                shutil.copytree(store.root / kind, own / kind)
        _run(own, sweep, Path(folder, "first"), False)  # makes files and plans
        for repeat in range(REPEATS):
            say(f"cluster: repeat {repeat + 1} of {REPEATS}")
            for on_ray, runs in sides.items():
                runs.append(_work(own, sweep, Path(folder, f"{repeat}{on_ray}"), on_ray))
    what = f"{len(MODELS)} backbones, {len(images.samples):,} photographs of {images.name}, {cores()} cores"
    yield _ratio("wall time", what, [run.wall for run in sides[False]], [run.wall for run in sides[True]])
    yield _ratio("processor seconds", what, [run.cpu for run in sides[False]], [run.cpu for run in sides[True]])


def _ratio(name: str, what: str, plain: Sequence[float], ray: Sequence[float]) -> Figure:
    """Ray's side over the plain one."""
    seconds = "; ".join(f"{of} {', '.join(f'{v:.1f}' for v in side)}" for of, side in (("plain", plain), ("Ray", ray)))
    ratios = [b / a for a, b in zip(plain, ray, strict=True)]
    return figure(f"On Ray / plain, {name}", ratios, "≤ 1.10", lambda v: v <= 1.1, f"{what}; seconds: {seconds}")


def _work(store: Path, sweep: Sequence[str], out: Path, on_ray: bool) -> Run:
    """A run that extracts and scores, less the same command with nothing left to do."""
    for kind in MADE:
        shutil.rmtree(store / kind, ignore_errors=True)
    whole, nothing = (_run(store, sweep, out, on_ray) for _ in range(2))
    return Run(whole.wall - nothing.wall, whole.cpu - nothing.cpu)


def _run(store: Path, sweep: Sequence[str], out: Path, on_ray: bool) -> Run:
    command = [sys.executable, "-m", "bench.run", *sweep, "--store", str(store), "--out", str(out)]
    begin, used = time.perf_counter(), dict[tuple[int, float], float]()
    with subprocess.Popen([*command, *(["--on", "ray"] if on_ray else [])], stdout=subprocess.DEVNULL) as child:
        while child.poll() is None:
            with suppress(psutil.Error):
                parent = psutil.Process(child.pid)
                for process in (parent, *parent.children(recursive=True)):
                    with suppress(psutil.Error):
                        times = process.cpu_times()
                        used[process.pid, process.create_time()] = times.user + times.system
            time.sleep(LOOK_SECONDS)
    if child.returncode:
        raise UserError("The sweep of the figure failed.", "Its output is above.")
    return Run(time.perf_counter() - begin, sum(used.values()))
