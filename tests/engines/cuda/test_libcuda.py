"""The signatures, compared with NVIDIA's own: the header, and the declarations of cuda-bindings, where they are."""

from __future__ import annotations

import ctypes
import re
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from engines.cuda import libcuda
from engines.cuda.libcuda import SIGNATURES, Cuda
from export.errors import CellError

TYPES = {
    "int": ctypes.c_int,
    "unsigned int": ctypes.c_uint,
    "size_t": ctypes.c_size_t,
    "unsigned long long": ctypes.c_uint64,
    "CUresult": ctypes.c_int,
    "CUdevice": ctypes.c_int,
    "CUdevice_attribute": ctypes.c_int,
    "CUstreamCaptureMode": ctypes.c_int,
    "CUdeviceptr": ctypes.c_uint64,
    "float*": ctypes.POINTER(ctypes.c_float),
    "char*": ctypes.c_char_p,
    "void*": ctypes.c_void_p,
}
HANDLES = ("CUcontext", "CUstream", "CUevent", "CUgraph", "CUgraphExec", "CUmodule", "CUfunction")


def type_of(parameter: str) -> Any:
    """``"const void* srcHost"`` → the type in ctypes."""
    text = re.sub(r"\bconst\b", "", parameter)
    text = re.sub(r"\s*\*\s*", "*", text).strip()
    text = re.sub(r"\*(?=\w)", "* ", text)
    kind = text.rpartition(" ")[0].strip() or text
    if kind in TYPES:
        return TYPES[kind]
    if kind in HANDLES:
        return ctypes.c_void_p
    assert kind.endswith("*"), parameter
    return ctypes.POINTER(type_of(f"{kind[:-1]} x"))


def bare(name: str) -> str:
    """The name that a programmer writes."""
    return re.sub(r"_v\d$|WithFlags$", "", name)


def test_types_are_those_of_cuda_bindings() -> None:
    spec = find_spec("cuda.bindings") if find_spec("cuda") else None
    if spec is None or spec.origin is None:
        pytest.skip("cuda-bindings is not installed")
    text = Path(spec.origin).with_name("cydriver.pxd").read_text()
    for name, types in SIGNATURES.items():
        match = re.search(rf"CUresult {bare(name)}\((.*?)\) except", text)
        assert match is not None, name
        assert [type_of(parameter) for parameter in match[1].split(", ")] == list(types), name


def test_versions_are_those_of_the_header() -> None:
    """A name without a version is meant as it stands; a newer version of one that we call must be known here."""
    header = next(Path(sysconfig.get_path("purelib")).glob("nvidia/*/include/cuda.h"), None)
    if header is None:
        pytest.skip("no cuda.h here: a package of NVIDIA's CUDA runtime brings it")
    meant = dict(re.findall(r"#define (cu\w+) +(?:__CUDA_API_PTSZ\()?(\w+)\)?", header.read_text()))
    older = {"cuEventElapsedTime": "of CUDA 13; JetPack 6's driver has only the first, and both take the same"}
    for name in SIGNATURES:
        assert meant.get(bare(name), bare(name)) == name or name in older, name


def test_every_function_is_exported_by_the_library_of_the_tests(fake_libcuda: ctypes.CDLL) -> None:
    assert [name for name in SIGNATURES if not hasattr(fake_libcuda, name)] == []


def test_a_driver_that_is_too_old_says_so() -> None:
    libc = libcuda.typed(ctypes.CDLL(None))
    with pytest.raises(CellError, match="has no cuGraphInstantiateWithFlags") as failure:
        Cuda(libc)("cuGraphInstantiateWithFlags", None, None, 0)
    assert "update the NVIDIA driver" in failure.value.remedy
