"""OpenVINO: compiles the artifact for Intel's processors, graphics and NPUs.

The plan is OpenVINO's own form of the network (IR, its weights once), which is reshaped to each static batch and
compiled when it is loaded. An exported blob holds no more than that (for the CPU it is the same graph, compiled anew
at import), repeats the weights for every batch, and forgets the precision that it was compiled for.

The precision is always asked for, and asserted: a processor with bf16 units would run an fp32 file in bf16 unasked. A
bf16 or fp16 file on a device without such units is computed in fp32. The plan reports it as emulated.

OpenVINO 2026.4 now and then compiles a network wrongly: of one INT8 ResNet-50, 3 to 20 % of the compilations for two
streams gave features of a cosine of 0.2 to 0.5 with the right ones, for as long as the compiled network lived. So a
plan holds what it makes of one drawn image, on which two compilations agreed, and every stream of every compilation
must repeat that, or is compiled again.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.base import (
    Availability,
    Engine,
    EngineSpec,
    Outputs,
    Pixels,
    Placement,
    Plan,
    Profile,
    Purpose,
    Session,
    Standalone,
)
from engines.library import failing, installed
from engines.preprocess.normalize import Normalizer
from engines.processor import instructions
from engines.shipped import SHIPPED
from export import needs
from export.artifact import Artifact
from export.errors import CellError, first_line
from export.spec import Precision

DEVICES = {"cpu": "CPU", "gpu": "GPU", "npu": "NPU"}
IR = "model.xml"
HINT = "LATENCY"
ARITHMETIC = {Precision.FP32: "f32", Precision.FP16: "f16", Precision.BF16: "bf16"} | {
    Precision.INT8: "f32",
    Precision.FP8: "f32",
}
"""Precision → OpenVINO's hint; in an int8 or fp8 file it is that of the nodes that were left in floating point."""
PRODUCTS = frozenset({"Convolution", "FullyConnected"})
"""OpenVINO's names for what multiplies by weights."""
PROBE = "probe.npy"
ATTEMPTS = 5
AGREEMENT = 0.98
"""Least cosine of the features of one image by two compilations, which may choose kernels of other roundings."""
TELEMETRY = "openvino_telemetry"
UNITS = {"f16": "FP16", "bf16": "BF16"}
"""OpenVINO's hint → its name of the capability that a device must have for it."""
NAMES = {"i8": "int8", "u8": "int8", "bf16": "bf16", "f16": "fp16", "f32": "fp32"}


class OpenVinoEngine(Engine):
    """OpenVINO on one device."""

    name = "openvino"
    packages = ("openvino",)
    providers = tuple(DEVICES)
    precisions = frozenset(ARITHMETIC)
    concurrent = True

    @property
    def session(self) -> type[Session]:
        return OpenVinoSession

    def standalone(self, plan: Plan) -> Standalone:
        settings = {"INFERENCE_PRECISION_HINT": plan.fields["precision"], "PERFORMANCE_HINT": HINT}
        options = {"device": DEVICES[self.spec.provider], "settings": settings}
        return Standalone(SHIPPED / "ov.py", ("openvino",), options)

    def _probe(self, purpose: Purpose) -> Availability:
        version = installed("openvino")
        if not version:
            return Availability(False, "OpenVINO is not installed.", "pip install 'backbones-deployed[openvino]'")
        try:
            core = _core()
            device = DEVICES[self.spec.provider]
            if device not in {name.split(".")[0] for name in core.available_devices}:
                shown = ", ".join(core.available_devices)
                return Availability(
                    False,
                    f"OpenVINO finds no {device} on this machine (found: {shown}).",
                    "" if device == "CPU" else f"install Intel's {device} driver, if the machine has such a device",
                    version,
                )
            name = str(core.get_property(device, "FULL_DEVICE_NAME")).strip()
        except Exception as error:  # a broken installation raises what it likes
            return Availability(False, f"OpenVINO does not start: {first_line(error)}", version=version)
        return Availability(True, version=version, device=name)

    def _identity(self) -> dict[str, Any]:
        identity = {**super()._identity(), "options": {"hint": HINT, "form": "IR, static batches, probe"}}
        return identity | ({"processor": list(instructions())} if self.spec.provider == "cpu" else {})

    def _build(self, artifact: Artifact, profile: Profile, folder: Path) -> Mapping[str, Any]:
        needs.require_disk(f"the plan of {artifact.backbone}", needs.PLAN_DISK * artifact.onnx_bytes, folder)
        with failing("OpenVINO cannot read this file."):
            model = _named(_core().read_model(artifact.onnx))
            _openvino().save_model(model, folder / IR, compress_to_fp16=False)
            del model  # as each compilation below before the next: all of them hold the weights
        fields: dict[str, Any] = {}
        for batch in profile.batches:  # what does not compile is never published
            compiled = _compile(folder / IR, artifact, batch, self.spec)
            precision = str(compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name())
            fields = {"precision": precision, "arithmetic": _arithmetic(compiled)}
            del compiled
        np.save(folder / PROBE, _agreed(folder / IR, artifact, profile, self.spec))
        return fields


class OpenVinoSession(Session):
    """One compiled network a batch size, made when it is first needed, with an infer request for each stream."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._normalize = Normalizer(plan.artifact.preprocess)
        self._compiled: dict[int, Any] = {}
        self._requests: dict[int, SimpleQueue[Any]] = {}
        self._probe = np.load(plan.path / PROBE)
        self._lock = Lock()
        self._ready(plan.profile.batches[0])

    def _ready(self, batch: int) -> SimpleQueue[Any]:
        with self._lock:
            if batch not in self._requests:
                compiled, made = self._proven(batch)
                requests: SimpleQueue[Any] = SimpleQueue()
                for request in made:
                    requests.put(request)
                self._compiled[batch], self._requests[batch] = compiled, requests
            return self._requests[batch]

    def _proven(self, batch: int) -> tuple[Any, list[Any]]:
        """A compilation that repeats the plan's probe on every stream, and a request for each stream."""
        plan = self.plan
        for _ in range(ATTEMPTS):
            compiled = _compile(plan.path / IR, plan.artifact, batch, plan.engine)
            requests = [compiled.create_infer_request() for _ in range(plan.engine.streams)]
            if all(_agree(found, self._probe) for found in _probed(requests, plan.artifact, batch)):
                return compiled, requests
        raise CellError(
            "OpenVINO's compilation of this network is not deterministic.",
            f"None of {ATTEMPTS} for batches of {batch} gave the features that were stored with the plan.",
        )

    def _run(self, pixels: Pixels) -> Outputs:
        requests = self._ready(len(pixels))
        values = self._normalize(pixels)
        request = requests.get()
        try:
            with failing("OpenVINO failed while running."):
                found = request.infer({self.plan.artifact.input: values}, share_inputs=True)
                return {o.name: np.asarray(found[o.name], np.float32) for o in self.outputs}
        finally:
            requests.put(request)

    def _placement(self) -> Placement:
        device = DEVICES[self.plan.engine.provider]
        compiled = next(iter(self._compiled.values()))
        precisions = Counter(
            str(node.get_rt_info()["runtimePrecision"].astype(str)) for node in compiled.get_runtime_model().get_ops()
        )
        where = ", ".join(compiled.get_property("EXECUTION_DEVICES"))
        return Placement(device, {where: sum(precisions.values())}, dict(precisions))

    def _close(self) -> None:
        self._requests.clear()
        self._compiled.clear()


def _named(model: Any) -> Any:
    """The model with a name for every operator that the file does not name.

    OpenVINO names these by a number that counts through the process, so that the bytes of a plan would tell what
    else was converted before it.
    """
    for number, operator in enumerate(model.get_ordered_ops()):
        if operator.get_friendly_name() == operator.get_name():
            operator.set_friendly_name(f"{operator.get_type_name()}_{number}")
    return model


def _products(compiled: Any) -> Counter[str]:
    """OpenVINO's name of a precision → number of compiled operators that multiply by weights in it."""
    infos = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    products = [info for info in infos if str(info["layerType"].astype(str)) in PRODUCTS]
    return Counter(str(info["runtimePrecision"].astype(str)) for info in products)


def _arithmetic(compiled: Any) -> dict[str, int]:
    """The same by our names."""
    found: Counter[str] = Counter()
    for name, count in _products(compiled).items():
        found[NAMES.get(name, name)] += count
    return dict(found)


def _agreed(file: Path, artifact: Artifact, profile: Profile, spec: EngineSpec) -> npt.NDArray[np.float32]:
    """Features of the probe on which two compilations agree, float32 [d].

    Raises:
        CellError: no two of them do.
    """
    seen: list[npt.NDArray[np.float32]] = []
    for attempt in range(ATTEMPTS):
        batch = profile.batches[attempt % len(profile.batches)]
        [found] = _probed([_compile(file, artifact, batch, spec).create_infer_request()], artifact, batch)
        if any(_agree(found, earlier) for earlier in seen):
            return found
        seen.append(found)
    raise CellError("OpenVINO's compilation of this network is not deterministic.", f"{ATTEMPTS} compilations differ.")


def _probed(requests: Sequence[Any], artifact: Artifact, batch: int) -> list[npt.NDArray[np.float32]]:
    """The features that each request gives for a drawn image, all requests running at once, float32 [d] each."""
    spec = artifact.preprocess
    pixels = np.random.default_rng(0).integers(0, 256, (1, spec.height, spec.width, 3), dtype=np.uint8)
    values = Normalizer(spec)(np.repeat(pixels, batch, axis=0))
    with failing("OpenVINO failed while running."):
        for request in requests:
            request.start_async({artifact.input: values})
        for request in requests:
            request.wait()
        name = artifact.outputs[0].name
        found = [np.array(request.get_tensor(name).data, np.float32) for request in requests]
    return [outputs.reshape(batch, -1)[-1] for outputs in found]


def _agree(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> bool:
    """Whether two feature vectors are the same but for rounding."""
    a, b = one.astype(np.float64), other.astype(np.float64)
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return one.shape == other.shape and (lengths == 0 or float(a @ b) / lengths >= AGREEMENT)


@cache
def _openvino() -> Any:
    """The library, imported without its telemetry: a benchmark calls nobody, and forks nothing, behind one's back."""
    hidden = TELEMETRY not in sys.modules
    if hidden:
        sys.modules[TELEMETRY] = None  # type: ignore[assignment]  # its import fails: OpenVINO then takes its own stub
    try:
        return import_module("openvino")
    finally:
        if hidden:
            sys.modules.pop(TELEMETRY, None)


@cache
def _core() -> Any:
    """The process's one ``openvino.Core``: making another loads every plug-in of OpenVINO again."""
    return _openvino().Core()


def _compile(file: Path, artifact: Artifact, batch: int, spec: EngineSpec) -> Any:
    """The network compiled for one static batch; threads and streams as the spec says.

    Raises:
        CellError: it does not compile, or OpenVINO would run it, or some operator that multiplies by weights, in
            another precision, or on another device.
    """
    device, asked = DEVICES[spec.provider], ARITHMETIC[artifact.precision]
    if asked in UNITS and UNITS[asked] not in _core().get_property(device, "OPTIMIZATION_CAPABILITIES"):
        asked = "f32"
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": asked, "PERFORMANCE_HINT": HINT}
    if device == "CPU":
        settings |= {"INFERENCE_NUM_THREADS": spec.thread_count, "NUM_STREAMS": spec.streams}
    with failing(f"OpenVINO cannot compile this network for batches of {batch}."):
        model = _core().read_model(file)
        model.reshape({port: [batch, *list(port.partial_shape)[1:]] for port in model.inputs})
        compiled = _core().compile_model(model, device, settings)
        got = compiled.get_property("INFERENCE_PRECISION_HINT")
        where = compiled.get_property("EXECUTION_DEVICES")
    if got != getattr(_openvino().Type, asked):
        raise CellError(
            f"OpenVINO would run an {artifact.precision} file in {got.get_type_name()}.", f"Asked for {asked}."
        )
    if {name.split(".")[0] for name in where} != {device}:
        raise CellError(f"OpenVINO would run on {', '.join(where)} instead of {device}.")
    # On Arm it computes what stands between quantised operators in f16, and reports the hint that was asked for.
    found = _products(compiled)
    if unasked := sorted(UNITS.keys() & found.keys() - {asked}):
        number = sum(found[name] for name in unasked)
        raise CellError(
            f"OpenVINO would compute {number} of {found.total()} products in {' and '.join(unasked)}.",
            f"Asked for {asked}, which is also what it reports for the whole network.",
        )
    return compiled
