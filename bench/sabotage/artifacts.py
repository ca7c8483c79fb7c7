"""Traps of artifacts and engines: what runs is not what it is taken for."""

from __future__ import annotations

import shutil
import warnings
from typing import Any

import numpy as np

from bench.measure.worker import Job, Outcome
from bench.sabotage import files
from bench.sabotage.bed import STREAM, Bed, inside, replaced
from bench.sabotage.trap import Answer, Traps, refusal, require, require_bite
from engines.base import EngineSpec, Outputs, Pixels
from engines.catalog import engine
from engines.ort.engine import OrtEngine
from engines.ort.session import inference_session
from engines.ov import OpenVinoEngine
from export.artifact import ONNX
from export.parity import Parity, cosine
from export.spec import Precision
from tasks.base import FEATURES
from tasks.knn import Knn

ARTIFACTS = Traps("artifacts and engines")


@ARTIFACTS.add(
    "fallback", 13, "silent fallback to another provider", "ONNX Runtime asked for CUDA where there is none", "refused"
)
def fallback(bed: Bed) -> Answer:
    """Availability is asked first, and a session is asked where its nodes are."""
    import onnxruntime

    asked = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is all that a naive harness would see
        naive = onnxruntime.InferenceSession(str(bed.plan.artifact.onnx), providers=asked)
    require_bite(naive.get_providers() == ["CPUExecutionProvider"], f"it runs on {naive.get_providers()}")
    spec = EngineSpec(OrtEngine.name, "cuda", 1)
    first = refusal(lambda: engine(spec).require())
    second = refusal(lambda: inference_session(bed.plan.artifact.onnx, spec))
    return Answer("refused", f"{first} And past that: {second}", "it runs on the processor, as CUDA's time")


@ARTIFACTS.add(
    "other-build", 15, "a plan of another build", "the plan of another version of the engine's library", "unmoved"
)
def other_build(bed: Bed) -> Answer:
    """The version, the options and the processor are in the plan's key."""
    own, identity = bed.cell.plan_key, OrtEngine._identity

    def older(self: OrtEngine) -> dict[str, Any]:
        return {**identity(self), "version": "1.0.0"}

    with replaced(OrtEngine, "_identity", older):
        other = bed.cell.engine.plan_key(bed.plan.artifact.key, bed.plan.profile)
    store = bed.copy("other-build")
    file = store.folder("plan", own)
    shutil.rmtree(store.folder("plan", other), ignore_errors=True)
    shutil.copytree(file, store.folder("plan", other))  # as if it had been built by that version
    require_bite(store.folder("plan", other).is_dir(), "there is no other plan")
    lines: list[str] = []
    store.say = lines.append
    with replaced(OrtEngine, "_identity", older):
        plan = bed.cell.engine.plan(bed.plan.artifact, bed.plan.profile, store)
    require(plan.key == other and any("damaged" in line for line in lines), f"{plan.key}: {lines}")
    return Answer("unmoved", f"another key; and in its place: {lines[0]}", "a file called plan is loaded")


@ARTIFACTS.add(
    "changed-plan",
    16,
    "a plan that changed after it was scored",
    "weights in the plan's file altered before it is timed",
    "unmoved",
)
def changed_plan(bed: Bed) -> Answer:
    """The child process that times it compares a file that was touched with its hash."""
    store, seen = bed.copy("changed"), []

    def measure(job: Job) -> Outcome:
        plan = store.folder("plan", bed.cell.plan_key) / ONNX
        before = plan.read_bytes()
        files.alter_weights(plan)
        require_bite(plan.read_bytes() != before, "the file is the same")
        outcome = inside()(job)
        seen.append(plan.read_bytes() == before)
        return outcome

    run = bed.sweep(measure, store=store, scenarios=(STREAM,), repeats=1)
    require(seen[0], "the altered plan was timed")
    require(run.timing().status == "ok", f"{run.timing().failure}")
    return Answer(
        "unmoved",
        "model.onnx does not match its SHA-256; the plan is built again, with the same content",
        "it times other weights than were scored",
    )


@ARTIFACTS.add(
    "fp16",
    18,
    "fp16 overflow",
    "a network whose LayerNorm sees values beyond 65,504, cast to fp16 as a whole",
    "refused",
)
def fp16(bed: Bed) -> Answer:
    """NaN and Inf are counted by the parity gate; the project's own lowering keeps such nodes in fp32."""
    from export.lower.casting import cast

    large = files.scaled(bed, 1e5)
    whole = cast(large, Precision.FP16)
    require_bite(not np.isfinite(files.outputs(bed, whole)).all(), "nothing overflows")
    parity = files.parity(bed, whole, Precision.FP16, large)
    require(not parity.passed, f"parity passes: {parity}")
    own = files.lowered(bed, large, Precision.FP16)
    require(own.passed, f"the project's own file fails: {own}")
    return Answer(
        "refused",
        f"{_failed(parity)}; lowered by the project, cosine min {own.cosine_min:.5f}",
        "the file loads, runs, and is quick",
    )


@ARTIFACTS.add(
    "int8", 19, "INT8 that is broken", "ranges a hundred times too narrow, as from bad calibration", "refused"
)
def int8(bed: Bed) -> Answer:
    """A file that runs, and whose features are no longer those of the network."""
    narrow = files.quantised(bed, 0.01)
    require_bite(bool(np.isfinite(files.outputs(bed, narrow)).all()), "it does not even run")
    parity = files.parity(bed, narrow, Precision.INT8)
    require(not parity.passed, f"parity passes: {parity}")
    return Answer("refused", _failed(parity), "the file loads, runs, and is quick")


@ARTIFACTS.add(
    "other-engine",
    20,
    "a file that another engine runs differently",
    "noise in what OpenVINO emits, down to the cosine of 0.93 that was seen",
    "refused",
)
def other_engine(bed: Bed) -> Answer:
    """Parity is of a plan on its engine, and not of a file."""
    noise = np.random.default_rng(0)

    def run(self: Any, pixels: Pixels) -> Outputs:
        return {
            name: (rows + 0.4 * rows.std() * noise.standard_normal(rows.shape)).astype(np.float32)
            for name, rows in true(self, pixels).items()
        }

    kind = engine(EngineSpec(OpenVinoEngine.name)).session
    true = kind._run
    first = bed.sweep(tasks=(Knn.meta.name,), engines=(OrtEngine.name,))
    with replaced(kind, "_run", run):
        other = bed.sweep(tasks=(Knn.meta.name,), engines=(OpenVinoEngine.name,), store=bed.copy("noise"))
    good, bad = first.rows[0], other.rows[0]
    require_bite(good.judge()[0] == "ok", good.judge()[1])
    require(bad.judge()[0] == "parity", f"{bad.judge()}")
    return Answer(
        "refused",
        f"on OpenVINO: {bad.judge()[1]}; on ONNX Runtime the same file is ranked",
        "the file was checked once, elsewhere",
    )


@ARTIFACTS.add(
    "training-mode", 21, "eval mode forgotten", "a user's function that returns a module in training mode", "unmoved"
)
def training_mode(bed: Bed) -> Answer:
    """The module is put into eval mode before it is exported and compared."""
    from export.convert.onnx_from_torch import artifact
    from export.zoo.backbones import Backbone
    from export.zoo.sources import ModuleFunction

    with files.training_module(bed) as target:
        made = artifact(Backbone("left_training", ModuleFunction(target)), bed.store, images=bed.photos)
        reference = made.reference()
        assert reference is not None
        naive = files.as_left(target, made, reference.pixels)
    wanted = reference.outputs[FEATURES]
    closest = min(cosine(a.astype(np.float64), b.astype(np.float64)) for a, b in zip(naive, wanted, strict=True))
    require_bite(closest < 0.9999, f"in training mode the cosine is {closest:.5f}")
    assert made.parity is not None
    require(made.parity.passed, f"{made.parity}")
    return Answer(
        "unmoved",
        f"exported in eval mode: cosine min {made.parity.cosine_min:.6f}",
        f"batch statistics: cosine {closest:.4f}",
    )


@ARTIFACTS.add(
    "wrong-feature",
    22,
    "the wrong feature",
    "a plan that gives the mean of the first block's tokens in the feature's place",
    "refused",
)
def wrong_feature(bed: Bed) -> Answer:
    """Which feature it is stands in the record; a plan that gives another fails parity."""
    other = files.mean_of_tokens(bed)
    shape = files.outputs(bed, other).shape[1:]
    require_bite(shape == bed.plan.artifact.outputs[0].shape, f"its shape is {shape}")
    parity = files.parity(bed, other, Precision.FP32)
    require(not parity.passed, f"parity passes: {parity}")
    return Answer("refused", _failed(parity), "the shape is right")


def _failed(parity: Parity) -> str:
    inf = f", {parity.nonfinite} values are NaN or Inf" if parity.nonfinite else ""
    return f"fails parity (cosine min {parity.cosine_min:.3f}, bound {parity.cosine_bound:g}{inf}): never ranked"
