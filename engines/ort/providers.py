"""ONNX Runtime's execution providers: their options, whether they really start here, and where their nodes ran.

The list of available providers says what a package was built with, not what this machine has: a provider whose
libraries or device are missing is left out with a line of log, and the processor does its work. So a provider counts
as available when it has been started, and as used when every node says so.
"""

from __future__ import annotations

import ctypes
import io
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from export.errors import CellError, first_line

EMPTY = (
    b"\x08\x08"  # ir_version 8
    b'\x3a\x33\x12\x05empty\x2a\x13\x08\x01\x10\x01"\x04\x00\x00\x00\x00B\x07nothing'  # graph: initializer
    b"b\x15\n\x07nothing\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01"  # graph: output, float [1]
    b"B\x04\n\x00\x10\x11"  # opset 17
)
"""An ONNX file without input and without nodes: starting it costs nothing but the provider."""


@dataclass(frozen=True)
class Provider:
    """One row of what may be asked for.

    Attributes:
        name: in ONNX Runtime's own words.
        library: what its shared library is called; empty where it is part of ONNX Runtime's own.
        device: where inputs and outputs are bound; empty where they are handed over with each call.
        options: the provider's own; part of the plan's key.
        cache: the option that names the folder of what it compiles; empty where it compiles nothing that is kept.
        environment: what must be set while it compiles, because no option says it.
    """

    name: str
    library: str = ""
    device: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    cache: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def bound(self) -> bool:
        """Whether it takes uint8 pixels from buffers that are bound once."""
        return bool(self.device)

    @property
    def gpu(self) -> bool:
        return self.device == "cuda"

    def settings(self, folder: Path) -> dict[str, str]:
        """The options for a session whose compiled engine lies, or shall lie, in ``folder``."""
        return {**self.options, self.cache: str(folder)} if self.cache else dict(self.options)


def _cuda(graphs: bool) -> Provider:
    options = {
        "device_id": "0",
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        "do_copy_in_default_stream": "1",
        "use_tf32": "0",  # an fp32 file means fp32
        "enable_cuda_graph": str(int(graphs)),
    }
    return Provider("CUDAExecutionProvider", "cuda", "cuda", options)


def _tensorrt(graphs: bool) -> Provider:
    options = {
        "device_id": "0",
        "trt_engine_cache_enable": "1",
        # without flags the network is strongly typed: its precisions are the file's
        "trt_fp16_enable": "0",
        "trt_int8_enable": "0",
        "trt_cuda_graph_enable": str(int(graphs)),
    }
    # TensorRT's own switch for TF32 is not among the provider's options
    return Provider(
        "TensorrtExecutionProvider",
        "tensorrt",
        "cuda",
        options,
        "trt_engine_cache_path",
        {"NVIDIA_TF32_OVERRIDE": "0"},
    )


PROVIDERS = {
    "cpu": Provider("CPUExecutionProvider"),
    "cuda": _cuda(graphs=True),
    "cuda-nograph": _cuda(graphs=False),
    "tensorrt": _tensorrt(graphs=True),
    "tensorrt-nograph": _tensorrt(graphs=False),
}
"""What a user may write → what is meant. With CUDA graphs and without are two cells."""


def misplaced(assigned: Iterable[tuple[str, str, str]], wanted: str) -> list[str]:
    """The nodes that are not where they were asked to be, as ``"Conv stem/conv on CPUExecutionProvider"``.

    Args:
        assigned: provider, operator and name of each node.
        wanted: the only provider that may have nodes.
    """
    return [f"{operator} {name or '(unnamed)'} on {where}" for where, operator, name in assigned if where != wanted]


def require_placed(assigned: Iterable[tuple[str, str, str]], wanted: str) -> None:
    """Refuse a session some of whose nodes run elsewhere.

    Raises:
        CellError: names the first of them, and how many there are.
    """
    elsewhere = misplaced(assigned, wanted)
    if elsewhere:
        more = f" and {len(elsewhere) - 3} more" if len(elsewhere) > 3 else ""
        raise CellError(
            f"ONNX Runtime did not place {len(elsewhere)} nodes on {wanted}.",
            f"{', '.join(elsewhere[:3])}{more}.",
        )


def assignment(session: Any) -> list[tuple[str, str, str]] | None:
    """Provider, operator and name of each node of an ``InferenceSession``; None if this version reports none."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return None
    return [
        (group.ep_name, node.op_type, node.name)
        for group in session.get_provider_graph_assignment_info()
        for node in group.get_nodes()
    ]


@cache
def preload() -> None:
    """Load the libraries of CUDA, cuDNN and TensorRT that were installed as Python packages: ONNX Runtime finds those
    alone that are loaded already, or that the system's linker knows."""
    import onnxruntime

    with redirect_stdout(io.StringIO()), suppress(Exception):  # it prints what it did not find; `why_not` says it
        onnxruntime.preload_dlls()
    with suppress(Exception):  # importing it loads its libraries
        import_module("tensorrt")


@cache
def why_not(name: str, library: str) -> tuple[str, str]:
    """Why the provider ``name`` does not start here, and how to change that; both empty where it does start.

    It is really started, on a network without nodes.
    """
    import onnxruntime

    preload()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    onnxruntime.set_default_logger_severity(4)
    error = ""
    try:
        session = onnxruntime.InferenceSession(EMPTY, options, providers=[name], enable_fallback=0)
        if session.get_providers()[0] == name:
            return "", ""
    except Exception as failure:
        error = first_line(failure)
    finally:
        onnxruntime.set_default_logger_severity(2)  # its own default: what was set before cannot be asked
    missing = _missing_library(Path(onnxruntime.__file__).parent, library)
    if missing:
        return (
            f"{name} does not start: {missing} does not load.",
            _remedy(missing, str(getattr(onnxruntime, "cuda_version", ""))),
        )
    return f"{name} does not start here{f': {error}' if error else ''}.", ""


def _missing_library(package: Path, library: str) -> str:
    """The library for lack of which a provider's own does not load; asked of the linker, which names the first one.

    Only after ONNX Runtime itself has tried to load it: it hands the provider what that needs while it loads.
    """
    file = package / "capi" / f"libonnxruntime_providers_{library}.so"
    if not library or not file.exists():
        return ""
    try:
        ctypes.CDLL(str(file))
    except OSError as error:
        return str(error).partition(":")[0]
    return ""


def _remedy(library: str, cuda: str) -> str:
    """What brings a missing library: ``libnvinfer.so.10`` is TensorRT 10's."""
    stem, _, version = library.partition(".so.")
    if stem in ("libnvinfer", "libnvonnxparser") and version.isdigit():
        return f"pip install 'tensorrt-cu{cuda.partition('.')[0] or '13'}<{int(version) + 1}'"
    if stem == "libcuda":
        return "install NVIDIA's driver"
    return "pip install 'onnxruntime-gpu[cuda,cudnn]'"
