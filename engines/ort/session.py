"""ONNX Runtime's sessions: a plain one, and one whose inputs and outputs are bound to buffers on the device.

The processor takes the plain one, which any number of threads may call at once. A GPU takes the bound one: one
``InferenceSession`` a batch size, its shape fixed, so that what depends on the shape is folded away (nothing of it is
left to the processor) and a CUDA graph can be captured and replayed over buffers that never move.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import numpy as np

from engines import graph
from engines.base import EngineSpec, Outputs, Pixels, Placement, Plan, Session
from engines.graph import Graph
from engines.library import environment, failing
from engines.ort.providers import PROVIDERS, assignment, preload, require_placed
from engines.preprocess.normalize import BATCH_AXIS, PIXELS, Normalizer
from export.artifact import ONNX, data_file
from export.errors import CellError, UserError, first_line

OPTIONS = {"session.intra_op.allow_spinning": "0", "session.x64quantprecision": "1"}
"""Session options that can move a time or a number; they are part of the plan's key. The second keeps INT8 products
exact where the processor lacks VNNI: its faster kernel's sums saturate."""
UNFIT = ["ClipQuantRewrite"]
"""Optimisations that are left out, because a file does not load with them: a clipped tensor that becomes fp8."""
UNREPORTED = "this version of ONNX Runtime does not report where a node runs"


class OrtSession(Session):
    """One ``InferenceSession``, which any number of threads may call."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._session = inference_session(plan.path / ONNX, plan.engine)
        self._normalize = Normalizer(plan.artifact.preprocess)
        self._names = [o.name for o in self.outputs]

    def _run(self, pixels: Pixels) -> Outputs:
        inputs = {self.plan.artifact.input: self._normalize(pixels)}
        with running():
            arrays = self._session.run(self._names, inputs)
        return dict(zip(self._names, arrays, strict=True))

    def _placement(self) -> Placement:
        return _placement(self.plan, self._session)

    def _close(self) -> None:
        self._session = None


class BoundSession(Session):
    """One bound session a batch size, opened when it is first needed; one caller at a time."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._bound: dict[int, _Bound] = {}
        self._lock = Lock()
        self._at(plan.profile.batches[0])

    def _at(self, batch: int) -> _Bound:
        if batch not in self._bound:
            self._bound[batch] = _Bound(self.plan, batch)
        return self._bound[batch]

    def _run(self, pixels: Pixels) -> Outputs:
        with self._lock, running():
            return self._at(len(pixels)).run(pixels)

    def _placement(self) -> Placement:
        return _placement(self.plan, next(iter(self._bound.values())).session)

    def _close(self) -> None:
        self._bound.clear()


class _Bound:
    """A session for one batch size, and the buffers that it reads and writes for as long as it lives."""

    def __init__(self, plan: Plan, batch: int) -> None:
        import onnxruntime

        device, spec = PROVIDERS[plan.engine.provider].device, plan.artifact.preprocess
        with _unchanged(compiled(plan.path, batch)):
            self.session = inference_session(plan.path / ONNX, plan.engine, batch)
        make = onnxruntime.OrtValue.ortvalue_from_shape_and_type
        self._pixels = make([batch, spec.height, spec.width, 3], np.uint8, device, 0)
        self._outputs = {o.name: make([batch, *o.shape], np.float32, device, 0) for o in plan.artifact.outputs}
        self._binding = self.session.io_binding()
        self._binding.bind_ortvalue_input(PIXELS, self._pixels)
        for name, value in self._outputs.items():
            self._binding.bind_ortvalue_output(name, value)

    def run(self, pixels: Pixels) -> Outputs:
        self._pixels.update_inplace(pixels)
        self.session.run_with_iobinding(self._binding)
        # a copy even where the device is the processor: the buffer is written again by the next query
        return {name: np.array(value.numpy(), np.float32) for name, value in self._outputs.items()}


def compiled(folder: Path, batch: int) -> Path:
    """Where, in a plan, a provider keeps what it compiled for one batch size."""
    return folder / f"batch_{batch}"


def optimized(file: Path, spec: EngineSpec, batch: int | None = None) -> Graph:
    """The graph that ONNX Runtime makes of a file for its provider.

    Raises:
        CellError: as :func:`inference_session`.
    """
    with TemporaryDirectory(prefix=".optimized.", dir=file.parent) as folder:
        target = Path(folder, ONNX)
        inference_session(file, spec, batch, target)
        return graph.read(target)


def inference_session(file: Path, spec: EngineSpec, batch: int | None = None, save: Path | None = None) -> Any:
    """An ``onnxruntime.InferenceSession`` all of whose nodes are on the provider asked for.

    Args:
        spec: its threads are shared out among its streams.
        batch: fixes the free axis; None leaves it free.
        save: where to write the graph as the provider rewrote it.

    Raises:
        CellError: the file does not load, or ONNX Runtime put another provider in the place of the one asked for.
    """
    import onnxruntime

    provider = PROVIDERS[spec.provider]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(1, spec.thread_count // spec.streams)
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what it logs, it raises
    for name, value in OPTIONS.items():
        options.add_session_config_entry(name, value)
    if save is not None:
        options.optimized_model_filepath = str(save)
        if data_file(file).exists():
            name = data_file(save).name
            options.add_session_config_entry("session.optimized_model_external_initializers_file_name", name)
    settings: dict[str, str] = {}
    if batch is not None:
        options.add_free_dimension_override_by_name(BATCH_AXIS, batch)
        settings = provider.settings(compiled(file.parent, batch))
    if provider.gpu:  # a node that the GPU does not take is an error, not a detour through the processor
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        preload()
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    with running("ONNX Runtime cannot load this file."), environment(provider.environment):
        session = onnxruntime.InferenceSession(
            str(file),
            options,
            providers=[(provider.name, settings)],
            enable_fallback=0,
            disabled_optimizers=UNFIT,
        )
    first = session.get_providers()[0]
    if first != provider.name:
        raise CellError(
            f"ONNX Runtime replaced {provider.name} by {first}.",
            "The provider's libraries or device do not load on this machine.",
        )
    require_placed(assignment(session) or (), provider.name)
    return session


@contextmanager
def running(what: str = "ONNX Runtime failed while running.") -> Iterator[None]:
    """Turn what ONNX Runtime raises inside into a sentence; memory that ran out into one of its own.

    Raises:
        CellError: always where something was raised.
    """
    with failing(what):
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            if out_of_memory(str(error)):
                raise CellError(
                    "The device's memory is full.",
                    first_line(error),
                    "smaller batches (--batches 1), or stop other processes on the device",
                ) from error
            raise


def out_of_memory(message: str) -> bool:
    """Whether a message of ONNX Runtime, CUDA or TensorRT says that memory ran out."""
    said = message.lower()
    return any(words in said for words in ("failed to allocate memory", "out of memory", "outofmemory", "bad_alloc"))


@contextmanager
def _unchanged(folder: Path) -> Iterator[None]:
    """Refuse a provider that compiles anew, into the plan, instead of taking what the plan holds.

    Raises:
        CellError: the folder's files are not those that were there before.
    """
    before = _listing(folder)
    yield
    if _listing(folder) != before:
        shutil.rmtree(folder)  # the store then finds the plan damaged, and has it rebuilt
        raise CellError(
            "ONNX Runtime compiled this plan again instead of loading it.",
            "It was built for another GPU, driver or version of TensorRT.",
            "run the same command again: it rebuilds the plan",
        )


def _listing(folder: Path) -> dict[str, tuple[int, int]]:
    if not folder.is_dir():
        return {}
    return {p.name: (s.st_size, s.st_mtime_ns) for p in sorted(folder.iterdir()) for s in (p.stat(),)}


def _placement(plan: Plan, session: Any) -> Placement:
    asked, found = PROVIDERS[plan.engine.provider].name, assignment(session)
    if found is None:
        return Placement(asked, note=UNREPORTED)
    nodes = Counter(where for where, _, _ in found)
    return Placement(asked, dict(nodes), note="ONNX Runtime does not report the precision of a node")
