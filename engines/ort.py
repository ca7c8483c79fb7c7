"""ONNX Runtime: runs the artifact's own file; the plan is that file.

One configuration serves accuracy and cost. Worker threads do not spin while they wait: spinning buys single-stream
latency on an idle machine and takes it from the threads that decode the next images.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engines.base import Availability, Engine, EngineSpec, Outputs, Pixels, Placement, Plan, Profile, Session
from engines.library import failing, first_line, installed, threads
from engines.preprocess.normalize import Normalizer
from export.artifact import ONNX, Artifact
from export.errors import CellError
from export.spec import Precision

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
OPTIONS = {"session.intra_op.allow_spinning": "0"}
"""Session options that can move a time or a number; they are part of the plan's key."""
CPU_ONLY, GPU = "onnxruntime", "onnxruntime-gpu"
FOR_GPU = f"pip uninstall {CPU_ONLY}; pip install 'backbones-deployed[gpu]'"


class OrtEngine(Engine):
    """ONNX Runtime with one execution provider; falling back to another is an error."""

    name = "ort"
    providers = tuple(PROVIDERS)
    precisions = frozenset({Precision.FP32, Precision.FP16, Precision.INT8})
    concurrent = True

    def _probe(self) -> Availability:
        found = [name for name in (CPU_ONLY, GPU) if installed(name)]
        gpu = self.spec.provider != "cpu"
        if len(found) == 2:
            return Availability(
                False,
                f"{CPU_ONLY} and {GPU} are both installed: they write into one folder and break each other.",
                f"pip uninstall {CPU_ONLY} {GPU}; pip install 'backbones-deployed[{'gpu' if gpu else 'cpu'}]'",
            )
        if not found:
            extra = "gpu" if gpu else "cpu"
            return Availability(False, "ONNX Runtime is not installed.", f"pip install 'backbones-deployed[{extra}]'")
        try:
            import onnxruntime
        except ImportError as error:
            return Availability(False, f"ONNX Runtime does not import: {first_line(error)}")
        wanted = PROVIDERS[self.spec.provider]
        if wanted not in onnxruntime.get_available_providers():
            remedy = FOR_GPU if CPU_ONLY in found else ""
            return Availability(False, f"The installed {found[0]} has no {wanted}.", remedy)
        device = "CPU" if not gpu else onnxruntime.get_device()
        return Availability(True, version=onnxruntime.__version__, device=device)

    def _identity(self) -> dict[str, Any]:
        return {**super()._identity(), "options": OPTIONS}

    def _build(self, artifact: Artifact, profile: Profile, folder: Path) -> Mapping[str, Any]:
        # a copy, not a link: damage to one must not reach the other
        shutil.copyfile(artifact.onnx, folder / ONNX)
        _inference_session(folder / ONNX, self.spec)  # a file that does not load is never published
        return {"provider": PROVIDERS[self.spec.provider]}

    def _open(self, plan: Plan) -> Session:
        return OrtSession(plan)


class OrtSession(Session):
    """One ``InferenceSession``, which any number of threads may call."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._session = _inference_session(plan.path / ONNX, plan.engine)
        self._normalize = Normalizer(plan.artifact.preprocess)
        self._names = [o.name for o in self.outputs]

    def _run(self, pixels: Pixels) -> Outputs:
        inputs = {self.plan.artifact.input: self._normalize(pixels)}
        with failing("ONNX Runtime failed while running."):
            arrays = self._session.run(self._names, inputs)
        return dict(zip(self._names, arrays, strict=True))

    def _placement(self) -> Placement:
        asked = PROVIDERS[self.plan.engine.provider]
        if not hasattr(self._session, "get_provider_graph_assignment_info"):
            return Placement(asked, note="this version of ONNX Runtime does not tell where a node runs")
        nodes = Counter[str]()
        for group in self._session.get_provider_graph_assignment_info():
            nodes[group.ep_name] += len(group.get_nodes())
        return Placement(asked, dict(nodes), note="ONNX Runtime does not tell the precision of a node")

    def _close(self) -> None:
        self._session = None


def _inference_session(file: Path, spec: EngineSpec) -> Any:
    """An ``onnxruntime.InferenceSession``; its threads are the spec's, shared out among the streams.

    Raises:
        CellError: the file does not load, or ONNX Runtime put another provider in the place of the one asked for.
    """
    import onnxruntime

    wanted = PROVIDERS[spec.provider]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(1, threads(spec) // spec.streams)
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    for name, value in OPTIONS.items():
        options.add_session_config_entry(name, value)
    if spec.provider != "cpu":  # a node that the GPU does not take is an error, not a detour through the processor
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    with failing("ONNX Runtime cannot load this file."):
        session = onnxruntime.InferenceSession(str(file), options, providers=[wanted])
    session.disable_fallback()
    first = session.get_providers()[0]
    if first != wanted:
        raise CellError(
            f"ONNX Runtime put {first} in the place of {wanted}.", "Its libraries or its device do not load here."
        )
    return session
