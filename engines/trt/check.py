"""The pre-flight: which architectures parse and build, in which precision, for which GPUs. It needs no GPU.

Weights do not matter to a builder, so architectures are checked, with random weights: rows of the zoo that share one
share a result. Each check is a child process, so that a crash or a hang of the builder is a row and not the end; and
each result is kept, so that a second call does only what is missing.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engines.trt.flavour import Flavour
from export.errors import UserError
from export.lower.precision import artifact_key
from export.spec import Precision
from export.store import Store, key
from export.zoo.backbones import RANDOM, Backbone, listing, resolve

BATCH = 1


@dataclass(frozen=True)
class Architecture:
    """One network: the backbone that stands for it, and the rows of the zoo that share it."""

    backbone: Backbone
    name: str
    input: str
    rows: tuple[str, ...]


@dataclass(frozen=True)
class Conditions:
    """What all checks of a call share.

    Attributes:
        flavour: the library. targets: compute capabilities, as "8.6". store: where drafts are made and results kept.
        seconds, memory_bytes: the most that one check may take; past it the check has failed.
    """

    flavour: Flavour
    targets: tuple[str, ...]
    store: Store
    seconds: float
    memory_bytes: int


@dataclass(frozen=True)
class Row:
    """What was found of one architecture in one precision.

    Attributes:
        status: "ok", "partly" (builds for some targets) or "failed".
        parses: whether the library read the file. targets: those that it builds for. failures: target → why not
            (empty text: everything) → the library's own reason, with the node.
        seconds: of the builds. plan_mib: of the plan for all its targets together.
    """

    architecture: str
    input: str
    rows: tuple[str, ...]
    precision: str
    status: str
    parses: bool = False
    targets: tuple[str, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    plan_mib: float = 0.0
    layers: int = 0

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "rows": list(self.rows), "targets": list(self.targets)}


def architectures(models: str) -> list[Architecture]:
    """Those of the zoo (``all``), or of the names given, each once.

    Raises:
        UserError: an unknown name.
    """
    if models == "all":
        names = [row.name for row in listing()]
    else:
        names = [name.strip().removesuffix(RANDOM) for name in models.split(",")]
    found: dict[str, tuple[Backbone, str, str, list[str]]] = {}
    for name in names:
        own = resolve(name)
        backbone = resolve(f"{name}{RANDOM}") if own.timm else own
        label, size = own.timm.split(".")[0] or own.name, _input(own)
        shared = key("architecture", name=label, size=size, arguments=dict(own.arguments))
        found.setdefault(shared, (backbone, label, size, []))[3].append(own.name)
    return [Architecture(backbone, label, size, tuple(rows)) for backbone, label, size, rows in found.values()]


def _input(backbone: Backbone) -> str:
    if {"height", "width"} <= set(backbone.preprocess):
        return f"{backbone.preprocess['height']}x{backbone.preprocess['width']}"
    if not backbone.timm:
        return ""
    from export.torchvision_ops import import_timm

    size = import_timm().get_pretrained_cfg(backbone.timm).input_size
    return f"{size[1]}x{size[2]}"


def check(
    asked: Sequence[Architecture], precisions: Sequence[Precision], shared: Conditions, fresh: bool = False
) -> Iterator[tuple[Row, bool]]:
    """One row an architecture and precision, and whether it was known already. Says on stderr what it does.

    Raises:
        UserError: another check works in this store. KeyboardInterrupt: what was finished is kept.
    """
    from filelock import FileLock, Timeout

    root = shared.store.root
    root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(root / "preflight.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"Another check is running in {root}.", "", "wait for it, or use another --store DIR") from None
    try:
        yield from _checks(asked, precisions, shared, fresh)
    finally:
        lock.release()


def _checks(
    asked: Sequence[Architecture], precisions: Sequence[Precision], shared: Conditions, fresh: bool
) -> Iterator[tuple[Row, bool]]:
    store = shared.store
    total = len(asked) * len(precisions)
    number = 0
    for architecture in asked:
        before = _drafts(store)
        try:
            for precision in precisions:
                number += 1
                entry_key = _key(architecture, precision, shared)
                if fresh:
                    shutil.rmtree(store.folder("preflight", entry_key), ignore_errors=True)
                known = store.try_load("preflight", entry_key)
                was_known = known is not None
                if known is None:
                    print(f"[{number}/{total}] {architecture.name} {precision}", file=sys.stderr, flush=True)
                    state = checked(_job(architecture, precision, shared), shared.seconds)
                    if "unavailable" not in state:  # that says nothing of the architecture: the next call tries again
                        store.obtain("preflight", entry_key, lambda _, found=state: found)  # type: ignore[misc]
                else:
                    state = dict(known.fields)
                yield _row(architecture, precision, state, shared.targets), was_known
        finally:
            for draft in _drafts(store) - before:
                shutil.rmtree(draft, ignore_errors=True)


def _key(architecture: Architecture, precision: Precision, shared: Conditions) -> str:
    return key(
        "preflight",
        onnx=artifact_key(architecture.backbone, shared.store, precision=precision),
        flavour=shared.flavour.engine,
        version=shared.flavour.installed(),
        targets=sorted(shared.targets),
        batch=BATCH,
    )


def _job(architecture: Architecture, precision: Precision, shared: Conditions) -> dict[str, Any]:
    return {
        "backbone": architecture.backbone.as_json(),
        "precision": str(precision),
        "flavour": shared.flavour.engine,
        "targets": list(shared.targets),
        "batch": BATCH,
        "store": str(shared.store.root),
        "memory_bytes": shared.memory_bytes,
    }


def checked(job: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Export in one process and build in another: an export leaves several times the network behind in memory."""
    state = in_child({**job, "stage": "export"}, seconds)
    return state if state["doing"] != "ending" else in_child({**job, "stage": "build"}, seconds)


def in_child(job: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Run a stage of a check in a process of its own, which may crash or hang.

    Returns:
        The child's last state (see ``engines.trt.check_worker``); if it ended otherwise than well, with ``died``.
    """
    with TemporaryDirectory(prefix="preflight-") as folder:
        job_file, state_file = Path(folder, "job.json"), Path(folder, "state.json")
        job_file.write_text(json.dumps(job))
        command = [sys.executable, "-m", "engines.trt.check_worker", str(job_file), str(state_file)]
        died = ""
        try:
            done = subprocess.run(
                command, timeout=seconds, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
            if done.returncode:
                died = _ending(done.returncode, done.stderr)
        except subprocess.TimeoutExpired:
            died = f"It took longer than {seconds:.0f} seconds"
        state: dict[str, Any] = json.loads(state_file.read_text()) if state_file.exists() else {"doing": "starting"}
    if died:
        state["died"] = f"{died} while {state['doing']}."
    return state


def _ending(code: int, errors: str) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        return f"The process died ({name})"
    last = (errors.strip().splitlines() or ["no word"])[-1].strip()
    return f"The process failed ({last[:200]})"


def _row(architecture: Architecture, precision: Precision, state: Mapping[str, Any], targets: Sequence[str]) -> Row:
    built = tuple(name for name in targets if name in state.get("built", []))
    failures = dict(state.get("failures", {}))
    if state.get("unavailable"):
        failures = dict.fromkeys(targets, state["unavailable"])
    if state.get("died"):
        failures |= {name: state["died"] for name in targets if name not in built and name not in failures}
    status = "ok" if len(built) == len(targets) else "partly" if built else "failed"
    return Row(
        architecture.name,
        architecture.input,
        architecture.rows,
        str(precision),
        status,
        bool(state.get("parsed")),
        built,
        failures,
        round(float(state.get("seconds", 0.0)), 1),
        round(float(state.get("plan_bytes", 0)) / 2**20, 1),
        int(state.get("layers", 0)),
    )


def _drafts(store: Store) -> set[Path]:
    """The drafts that lie in the store, half-made ones included: those that a check adds are thrown away after it."""
    shelf = store.root / "draft"
    return {path for path in shelf.iterdir() if path.is_dir()} if shelf.is_dir() else set()
