"""ncnn: a small runtime for the processors of phones and boards. pnnx, its converter, writes the plan's files.

pnnx is a program and is run as one: its Python package imports torch. It does not convert Q/DQ pairs.

fp32 switches off what ncnn narrows unasked (on Arm it computes in fp16 by default). fp16 is arithmetic only where the
processor has it (Arm's asimdhp); elsewhere ncnn computes in fp32 without a word. bf16 is how it stores weights and
tensors; products are in fp32, but for the kernels that use a processor's bf16 instructions. Both are reported as
emulated where they are. ncnn has no batch axis: images are run one after the other, on all threads.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.base import EngineSpec, Outputs, Pixels, Placement, Plan, Profile, Session
from engines.conversion import ConvertingEngine, refused
from engines.library import environment, failing, installed
from engines.preprocess.normalize import Normalizer
from engines.processor import instructions
from export.artifact import ONNX, Artifact
from export.errors import CellError, Unavailable
from export.spec import Precision
from export.store import Entry

EXTRA = "pip install 'backbones-deployed[ncnn]'"
PARAM, BIN, OPTIONS = "model.ncnn.param", "model.ncnn.bin", "options.json"
CONVERTED_BY = ["fp16=0"]
"""pnnx would store weights in fp16."""
NO_SPINNING = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
"""OpenMP's threads would spin while they wait for the next layer, and take the cores from whoever decodes images."""
NARROW = {
    Precision.FP32: (),
    Precision.FP16: ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic"),
    Precision.BF16: ("use_bf16_packed", "use_bf16_storage"),
}
"""Precision → the options of ncnn that are on; those of the other precisions are off."""
COMPLAINT = re.compile(r"^ignore |unsupported|not supported|not possible|can not|unknown")
"""In pnnx's log: something was left out, or will not run. It ends with code 0 all the same."""
PRODUCTS = frozenset(
    {"Convolution", "ConvolutionDepthWise", "Convolution1D", "Deconvolution", "DeconvolutionDepthWise"}
    | {"Gemm", "InnerProduct", "MultiHeadAttention"}
)
"""ncnn's names for what multiplies by weights."""
IN_BF16 = frozenset({"Convolution", "Gemm", "MultiHeadAttention"})
"""Those of them whose kernels use bf16 instructions, by ncnn's source."""


class NcnnEngine(ConvertingEngine):
    """ncnn on the processor. Its GPU (Vulkan) is not used."""

    name = "ncnn"
    title = "ncnn"
    precisions = frozenset(NARROW)
    concurrent = True
    packages = ("ncnn",)

    @property
    def session(self) -> type[Session]:
        return NcnnSession

    def _load(self) -> object:
        return _ncnn()

    def _conversion(self) -> dict[str, Any]:
        # pnnx's own version is not known on a board, which has none; it is released with ncnn, and noted
        return {"version": self.available().version, "options": CONVERTED_BY}

    def _convert(self, artifact: Artifact, folder: Path) -> Mapping[str, Any]:
        program, version = _pnnx(artifact)
        spec = artifact.preprocess
        size = [1, 3, spec.height, spec.width] if spec.layout == "NCHW" else [1, spec.height, spec.width, 3]
        with TemporaryDirectory(prefix="backbones-") as scratch:  # it writes eight files beside its input
            Path(scratch, ONNX).symlink_to(artifact.onnx.resolve())
            command = [str(program), ONNX, f"inputshape=[{','.join(map(str, size))}]", *CONVERTED_BY]
            done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, errors="replace")
            said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
            said = [line for line in said if "onnxruntime" not in line]  # it has one inside, which warns of the host
            param = Path(scratch, PARAM)
            if done.returncode or not param.exists():
                raise refused(artifact, "pnnx", f"It ended with code {done.returncode}: {said[-1] if said else ''}")
            kinds = _kinds(param)
            lib = _ncnn()
            if lacking := sorted(kind for kind in kinds if lib.layer_to_index(kind) < 0):
                raise refused(artifact, "pnnx", f"ncnn has no layer {', '.join(lacking)}.")
            if complaint := next((line for line in said if COMPLAINT.search(line)), ""):
                raise refused(artifact, "pnnx", f"It says: {complaint}")
            for name in (PARAM, BIN):
                (folder / name).write_bytes(Path(scratch, name).read_bytes())
        _require_all_read(artifact, folder)
        return {"pnnx": version, "products": {kind: n for kind, n in kinds.items() if kind in PRODUCTS}}

    def _assemble(self, converted: Artifact, folder: Path) -> None:
        for name in (PARAM, BIN):
            (folder / name).write_bytes((converted.path / name).read_bytes())
        options = {option: p is converted.precision for p, options in NARROW.items() for option in options}
        (folder / OPTIONS).write_text(json.dumps(options, indent=1))

    def _plan_of(self, entry: Entry, artifact: Artifact, profile: Profile) -> Plan:
        # asked here, of this processor
        plan = super()._plan_of(entry, artifact, profile)
        found: Counter[str] = Counter()
        for kind, count in entry.fields["products"].items():
            found[_computed_in(artifact.precision, kind)] += count
        return replace(plan, fields={**plan.fields, "arithmetic": dict(found)})


class NcnnSession(Session):
    """One network; an extractor for each image, of which any number may be under way."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._normalize = Normalizer(plan.artifact.preprocess)
        self._net = _net(plan.path, plan.engine)

    def _run(self, pixels: Pixels) -> Outputs:
        found: Outputs = {o.name: np.empty((len(pixels), *o.shape), np.float32) for o in self.outputs}
        for index, values in enumerate(self._normalize(pixels)):
            with failing("ncnn failed while running."):
                extractor = self._net.create_extractor()
                extractor.input("in0", mat(values))
                for number, output in enumerate(self.outputs):
                    failed, blob = extractor.extract(f"out{number}")
                    if failed:
                        raise CellError(f"ncnn failed while running: code {failed} for output {output.name}.")
                    given = np.asarray(blob)
                    if given.size != found[output.name][index].size:
                        what = f"ncnn gives {list(given.shape)} for {output.name}, which is {list(output.shape)}."
                        raise CellError(what, "Its converter, pnnx, read the network wrongly.")
                    found[output.name][index] = given.reshape(output.shape)
        return found

    def _placement(self) -> Placement:
        note = "ncnn does not report the precision of a layer"
        return Placement(self.plan.engine.provider, {"CPU": len(self._net.layers())}, note=note)

    def _close(self) -> None:
        self._net.clear()


def mat(values: npt.NDArray[np.float32]) -> Any:
    """float32 [c, h, w] as ncnn's own tensor. Of an array ncnn takes the bare memory: it ignores the strides, and does
    not keep it alive. So it is given one without gaps, and copies it.
    """
    whole = np.ascontiguousarray(values)
    return _ncnn().Mat(whole).clone()


@cache
def _ncnn() -> Any:
    """The library. Its OpenMP reads how threads wait when it is loaded, and never again."""
    with environment(NO_SPINNING):
        return import_module("ncnn")


def _pnnx(artifact: Artifact) -> tuple[Path, str]:
    """The converter's program and version.

    Raises:
        Unavailable: it is not installed.
    """
    version, found = installed("pnnx"), find_spec("pnnx")  # finds, and does not import
    if not version or found is None or not found.submodule_search_locations:
        raise Unavailable(
            f"{artifact.backbone} is not converted for ncnn yet, and the converter (pnnx) is not installed.",
            "The store has no conversion for this version of ncnn.",
            EXTRA,
        )
    return Path(found.submodule_search_locations[0], "pnnx"), version


def _kinds(param: Path) -> Counter[str]:
    """Kind of layer → how many, of a file of pnnx: a magic number, two counts, then one layer a line.

    A Gemm of two tensors that are both computed (attention's own) is not counted: it multiplies by no weights.
    """
    found: Counter[str] = Counter()
    for line in param.read_text().splitlines()[2:]:
        kind, *rest = line.split()
        found[kind] += kind != "Gemm" or bool({"4=1", "5=1"} & set(rest))  # one factor is constant
    return found


def _computed_in(precision: Precision, kind: str) -> str:
    """The precision in which this processor computes a layer that multiplies by weights."""
    native = {
        Precision.FP32: True,
        Precision.FP16: bool(_ncnn().cpu_support_arm_asimdhp()),
        Precision.BF16: kind in IN_BF16 and bool({"avx512_bf16", "bf16"} & set(instructions())),
    }
    return str(precision if native[precision] else Precision.FP32)


def _net(folder: Path, spec: EngineSpec) -> Any:
    """The network loaded; a stream's share of the threads.

    Raises:
        CellError: a file does not load.
    """
    net = _ncnn().Net()
    net.opt.num_threads = max(1, spec.thread_count // spec.streams)
    net.opt.openmp_blocktime = 0  # the same as NO_SPINNING, for LLVM's OpenMP
    net.opt.use_vulkan_compute = False
    for option, on in json.loads((folder / OPTIONS).read_text()).items():
        setattr(net.opt, option, on)
    for load, name in ((net.load_param, PARAM), (net.load_model, BIN)):
        if load(str(folder / name)) != 0:
            raise CellError(f"ncnn cannot load this plan ({name}).")
    return net


def _require_all_read(artifact: Artifact, folder: Path) -> None:
    """Refuse a conversion whose weights the network does not read to the end.

    Raises:
        CellError: it is one.
    """
    import ctypes

    lib = _ncnn()
    address = ctypes.pythonapi.PyCapsule_GetPointer
    address.restype, address.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]

    class Counting(lib.DataReader):  # type: ignore[misc, name-defined]  # the library carries no types
        """Reads a file, and counts."""

        def __init__(self, content: bytes) -> None:
            super().__init__()
            self.content, self.read_bytes = content, 0

        def read(self, buffer: object, size: int) -> int:
            """ncnn's hook: fill ``size`` bytes at ``buffer``; how many there were."""
            part = self.content[self.read_bytes : self.read_bytes + size]
            ctypes.memmove(address(buffer, None), part, len(part))
            self.read_bytes += len(part)
            return len(part)

    weights = Counting((folder / BIN).read_bytes())
    net = lib.Net()
    if net.load_param(str(folder / PARAM)) or net.load_model(weights):
        raise refused(artifact, "pnnx", "ncnn cannot load what it wrote.")
    if left := len(weights.content) - weights.read_bytes:
        raise refused(artifact, "pnnx", f"{left} bytes of the weights that it wrote belong to no layer.")
