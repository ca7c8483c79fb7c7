"""LiteRT (TensorFlow Lite): Google's runtime for phones and boards. onnx2tf, its converter, writes the plan's file.

The converter needs Python 3.12 and packages in versions of its own, so it lives in an environment of its own, in the
store; where that is missing, the error says how to make it. It is no part of what runs a plan.

Images are run one after the other, and XNNPACK computes. The fp16 file is one of fp16 tensors: it is
computed in fp16 on processors that can (Arm's asimdhp, x86's avx512_fp16), elsewhere in fp32, which is reported as
emulated. LiteRT does not say so itself; it is XNNPACK's rule.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from engines.base import Outputs, Pixels, Placement, Plan, Profile, Session
from engines.conversion import ConvertingEngine, refused
from engines.library import failing
from engines.preprocess.normalize import Normalizer
from engines.processor import instructions
from export.artifact import ONNX, Artifact
from export.errors import CellError, Unavailable
from export.spec import Precision
from export.store import Entry

LIBRARY, EXTRA = "ai-edge-litert", "pip install 'backbones-deployed[litert]'"
CONVERTER = "onnx2tf"
VERSION = "2.6.9"
"""The converter's; from 2.6 on it needs no TensorFlow."""
OPTIONS = ["-b", "1", "-coion", "-n"]
"""One image, ONNX's names for inputs and outputs, no chatter."""
TFLITE = "model.tflite"
FILES = {Precision.FP32: "model_float32.tflite", Precision.FP16: "model_float16.tflite"}
"""Precision → the converter's file for it; it writes both."""
PRODUCTS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "BATCH_MATMUL"})
"""LiteRT's names for what multiplies by weights; the last one counts where it reads a constant."""
HALF = frozenset({"asimdhp", "avx512_fp16"})
"""Instructions with which XNNPACK computes in fp16."""


class LiteRtEngine(ConvertingEngine):
    """LiteRT on the processor."""

    name = "litert"
    title = "LiteRT"
    precisions = frozenset(FILES)
    concurrent = True
    packages = (LIBRARY,)

    @property
    def session(self) -> type[Session]:
        return LiteRtSession

    def _load(self) -> object:
        return _interpreter()

    def _conversion(self) -> dict[str, Any]:
        return {CONVERTER: VERSION, "options": OPTIONS}

    def _convert(self, artifact: Artifact, folder: Path) -> Mapping[str, Any]:
        python = _converter(artifact, folder.parent.parent)  # it is made in <store>/converted
        with TemporaryDirectory(prefix="backbones-") as scratch:
            Path(scratch, ONNX).symlink_to(artifact.onnx.resolve())
            command = [str(python), "-I", "-m", CONVERTER, "-i", ONNX, "-o", "made", *OPTIONS]
            done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, errors="replace")
            made = [Path(scratch, "made", name) for name in FILES.values()]
            if done.returncode or not all(file.exists() for file in made):
                said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
                raise refused(artifact, CONVERTER, f"It ended with code {done.returncode}: {said[-1] if said else ''}")
            for file in made:
                (folder / file.name).write_bytes(file.read_bytes())
        return {"products": _products(folder / FILES[Precision.FP32])}

    def _assemble(self, converted: Artifact, folder: Path) -> None:
        (folder / TFLITE).write_bytes((converted.path / FILES[converted.precision]).read_bytes())

    def _plan_of(self, entry: Entry, artifact: Artifact, profile: Profile) -> Plan:
        # asked here, of this processor
        plan = super()._plan_of(entry, artifact, profile)
        native = artifact.precision is Precision.FP32 or HALF & set(instructions())
        computed = str(artifact.precision if native else Precision.FP32)
        return replace(plan, fields={**plan.fields, "arithmetic": {computed: entry.fields["products"]}})


class LiteRtSession(Session):
    """An interpreter for each stream; its share of the threads each."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        spec = plan.artifact.preprocess
        # The converter turns every input as if it were NCHW: one that is NHWC already has to be turned once more.
        self._turned = spec.layout == "NHWC"
        self._normalize = Normalizer(replace(spec, layout="NHWC"))
        threads = max(1, plan.engine.thread_count // plan.engine.streams)
        self._interpreters: SimpleQueue[Any] = SimpleQueue()
        for _ in range(plan.engine.streams):
            with failing("LiteRT cannot load this plan."):
                made = _interpreter()(str(plan.path / TFLITE), num_threads=threads)
                made.allocate_tensors()
            self._interpreters.put(made)
        [given] = made.get_input_details()
        self._input, self._dtype = given["index"], given["dtype"]
        shapes = {d["name"]: (d["index"], tuple(int(n) for n in d["shape"][1:])) for d in made.get_output_details()}
        self._indices: dict[str, int] = {}
        for output in self.outputs:
            index, shape = shapes.get(output.name, (-1, None))
            if shape != output.shape:
                why = f"Its converter, {CONVERTER}, read the network wrongly."
                raise CellError(f"LiteRT gives {shape} for {output.name}, which is {output.shape}.", why)
            self._indices[output.name] = index

    def _run(self, pixels: Pixels) -> Outputs:
        found: Outputs = {o.name: np.empty((len(pixels), *o.shape), np.float32) for o in self.outputs}
        values = self._normalize(pixels)
        values = values.transpose(0, 2, 3, 1) if self._turned else values
        values = np.ascontiguousarray(values, self._dtype)
        interpreter = self._interpreters.get()
        try:
            with failing("LiteRT failed while running."):
                for number in range(len(pixels)):
                    interpreter.set_tensor(self._input, values[number : number + 1])
                    interpreter.invoke()
                    for name, index in self._indices.items():
                        found[name][number] = interpreter.get_tensor(index)[0]
        finally:
            self._interpreters.put(interpreter)
        return found

    def _placement(self) -> Placement:
        return Placement(self.plan.engine.provider, note="LiteRT reports neither its kernels nor their precision")

    def _close(self) -> None:
        self._interpreters = SimpleQueue()


def _converter(artifact: Artifact, store: Path) -> Path:
    """Python of the converter's environment in a store.

    Raises:
        Unavailable: it is not there.
    """
    place = store / "tools" / f"{CONVERTER}-{VERSION}"
    python = place / "bin" / "python"
    if not python.exists():
        raise Unavailable(
            f"{artifact.backbone} is not converted for LiteRT yet, and the converter ({CONVERTER}) is not here.",
            "It needs an environment of its own, of 0.7 GB, and Python 3.12 or later to make it.",
            f"python3.12 -m venv {place} && {python} -m pip install {CONVERTER}=={VERSION}",
        )
    return python


def _interpreter() -> Any:
    """The class of LiteRT's interpreters."""
    return import_module("ai_edge_litert.interpreter").Interpreter


def _products(file: Path) -> int:
    """How many operators of a file multiply by weights."""
    made = _interpreter()(str(file))
    constants = {d["index"] for d in made.get_tensor_details()} - _written(made)
    return sum(
        op["op_name"] in PRODUCTS and op["inputs"][1] in constants
        for op in made._get_ops_details()  # its only way to list them
    )


def _written(interpreter: Any) -> set[int]:
    """The tensors that are no constants: the inputs, and what an operator writes."""
    inputs = {d["index"] for d in interpreter.get_input_details()}
    return inputs.union(*(map(int, op["outputs"]) for op in interpreter._get_ops_details()))
