"""PyTorch, eager or compiled: the reference that the other engines are compared with, and never a file of its own.

It runs the module that the artifact came from, at fp32. The plan only names the artifact: the module is made anew from
the store. A head, which is no PyTorch module, is run by ONNX Runtime on what the module gives. torch's thread count
belongs to the process: it is a session's own only while that runs.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

from engines.base import Availability, Engine, EngineSpec, Outputs, Pixels, Placement, Plan, Profile, Purpose, Session
from engines.library import failing, installed
from engines.preprocess.normalize import Normalizer
from engines.processor import instructions
from export.artifact import Artifact
from export.errors import CellError
from export.store import Store


class TorchEngine(Engine):
    """The eager twin of an artifact, or the same through ``torch.compile`` (which serves one query at a time)."""

    name = "torch"
    packages = ("torch",)
    providers = ("eager", "compiled")
    concurrent = True

    def __init__(self, spec: EngineSpec) -> None:
        super().__init__(spec)
        if self.spec.provider == "compiled":
            self.spec = replace(self.spec, streams=1)

    @property
    def session(self) -> type[Session]:
        return TorchSession

    def _probe(self, purpose: Purpose) -> Availability:
        found = installed("torch")  # asking torch itself takes seconds
        if not found:
            return Availability(False, "PyTorch is not installed.", "pip install 'backbones-deployed[export]'")
        if self.spec.provider == "compiled":
            missing = _missing_to_compile()
            if missing:
                reason = f"torch.compile needs {missing}, and there is none."
                return Availability(False, reason, f"install {missing}", found)
        return Availability(True, version=found, device="CPU")

    def _identity(self) -> dict[str, Any]:
        return {**super()._identity(), "processor": list(instructions())}

    def _build(self, artifact: Artifact, profile: Profile, folder: Path) -> Mapping[str, Any]:
        if not artifact.source.get("request"):
            raise CellError(f"{artifact.backbone!r} is a finished ONNX file: it has no PyTorch module.")
        (folder / "plan.json").write_text(json.dumps({"onnx": artifact.key}))
        return {}


class TorchSession(Session):
    """The module in this process."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        import torch

        from export.convert.outputs import module_with_outputs
        from export.zoo.loaders import eager_of

        self._normalize = Normalizer(plan.artifact.preprocess)
        self._threads = max(1, plan.engine.thread_count // plan.engine.streams)
        # plan and artifact lie in one store: <root>/plan/<key>
        backbone = eager_of(plan.artifact, Store(plan.path.parent.parent))
        names = [o.name for o in self.outputs]
        self._head: Any = None
        if plan.artifact.fields.get("head"):
            from export.convert.joining import HEAD
            from export.convert.verify import session

            self._head = session(plan.artifact.path / HEAD)
            names = ["features", *(i.name for i in self._head.get_inputs())]
        module: Any = module_with_outputs(backbone, names[0], names[1:])
        self._names = names
        self._module = torch.compile(module, dynamic=False) if plan.engine.provider == "compiled" else module

    def _run(self, pixels: Pixels) -> Outputs:
        import torch

        values = torch.from_numpy(self._normalize(pixels))
        with failing("PyTorch failed while running."), torch.inference_mode(), THREADS.of(self._threads):
            found = self._module(values)
            tensors = found if isinstance(found, (tuple, list)) else [found]
            arrays = {name: t.float().numpy().copy() for name, t in zip(self._names, tensors, strict=True)}
        if self._head is None:
            return arrays
        own = [o.name for o in self.outputs]
        return dict(zip(own, self._head.run(own, {tap: arrays[tap] for tap in self._names[1:]}), strict=True))

    def _placement(self) -> Placement:
        note = "nodes are not listed: the whole module runs in this process, in float32"
        return Placement(self.plan.engine.provider, note=note)

    def _close(self) -> None:
        self._module = None


class ThreadCount:
    """torch's thread count, lent out: while anyone runs it is theirs, and afterwards it is what it was.

    Setting it reaches the calling thread, and threads that use torch for the first time after; so it is set around each
    run, by the thread that runs (a microsecond), and what was there before is read when nobody does.
    """

    def __init__(self) -> None:
        self._lock, self._running, self._before = Lock(), 0, 1

    @contextmanager
    def of(self, count: int) -> Iterator[None]:
        """torch works on ``count`` threads inside."""
        import torch

        with self._lock:
            found = torch.get_num_threads()  # always: a thread that never asked would later take the process's count
            if not self._running:
                self._before = found
            self._running += 1
            torch.set_num_threads(count)
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1
                torch.set_num_threads(self._before)


THREADS = ThreadCount()


def _missing_to_compile() -> str:
    """What torch.compile would not find on this machine; empty where it finds all."""
    compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    if not shutil.which(compiler):
        return f"a C++ compiler ({compiler})"
    if not Path(sysconfig.get_paths()["include"], "Python.h").exists():
        return "Python's header files (Python.h)"
    return ""
