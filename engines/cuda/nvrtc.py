"""CUDA source to device code at run time, for any GPU and without one: NVIDIA's NVRTC, by ctypes.

A driver loads code of its own CUDA and of earlier ones: a cubin of CUDA 13 has another ELF format than one of CUDA 12,
and NVIDIA promises nothing across a major version. So the major version is part of what is asked for, and both
libraries may be installed side by side.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ctypes import CDLL, POINTER, byref, c_char_p, c_int, c_size_t, c_void_p, create_string_buffer
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

from export.errors import CellError, Unavailable, first_line
from export.store import Entry, Store, key

DISTRIBUTIONS = {13: "nvidia-cuda-nvrtc", 12: "nvidia-cuda-nvrtc-cu12"}
"""Major version of CUDA → the package that has its NVRTC; the newest first."""
NEWEST = next(iter(DISTRIBUTIONS))
OPTIONS = ("--std=c++17", "--fmad=false", "--ptxas-options=-v")
"""No contraction: what is computed in floating point is to be the same as on the host."""
CUBIN = "kernel.cubin"
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "nvrtcVersion": (POINTER(c_int), POINTER(c_int)),
    "nvrtcGetNumSupportedArchs": (POINTER(c_int),),
    "nvrtcGetSupportedArchs": (POINTER(c_int),),
    "nvrtcCreateProgram": (
        POINTER(c_void_p),
        c_char_p,
        c_char_p,
        c_int,
        POINTER(c_char_p),
        POINTER(c_char_p),
    ),
    "nvrtcDestroyProgram": (POINTER(c_void_p),),
    "nvrtcCompileProgram": (c_void_p, c_int, POINTER(c_char_p)),
    "nvrtcGetProgramLogSize": (c_void_p, POINTER(c_size_t)),
    "nvrtcGetProgramLog": (c_void_p, c_char_p),
    "nvrtcGetCUBINSize": (c_void_p, POINTER(c_size_t)),
    "nvrtcGetCUBIN": (c_void_p, c_char_p),
}
"""Function → types of its arguments, as in ``nvrtc.h``; each gives an nvrtcResult, 0 for success."""


@dataclass(frozen=True)
class Resources:
    """What a kernel takes of a multiprocessor: registers a thread, bytes of shared memory a block, bytes spilled."""

    registers: int
    shared_bytes: int
    spilled_bytes: int


@dataclass(frozen=True)
class Program:
    """Device code for one compute capability.

    Attributes:
        key: what it was made from, as one hash.
        cubin: the code. resources: kernel → what it takes.
    """

    key: str
    capability: str
    cubin: bytes
    resources: Mapping[str, Resources]

    @classmethod
    def of(cls, entry: Entry) -> Program:
        """Read an entry of the store's shelf ``cubin``."""
        resources = {name: Resources(**found) for name, found in entry.fields["resources"].items()}
        return cls(entry.key, entry.fields["capability"], entry.file(CUBIN).read_bytes(), resources)


def capabilities(cuda: int = NEWEST) -> list[str]:
    """The compute capabilities that NVRTC of that CUDA compiles for, as "8.6".

    Raises:
        Unavailable: it is not installed.
    """
    nvrtc, count = library(cuda), c_int()
    nvrtc.nvrtcGetNumSupportedArchs(byref(count))
    found = (c_int * count.value)()
    nvrtc.nvrtcGetSupportedArchs(found)
    return [f"{arch // 10}.{arch % 10}" for arch in found]


def program_key(source: str, capability: str, cuda: int = NEWEST) -> str:
    """The key of compiled code: source, options, capability and CUDA's major version. It is the same on a machine that
    has no NVRTC; of which release the code is stands in the manifest."""
    return key("cubin", source=source, options=OPTIONS, capability=capability, cuda=cuda)


def compiled(source: str, name: str, capability: str, store: Store, cuda: int = NEWEST) -> Entry:
    """The compiled code from the store, compiled if it is not there: only then NVRTC is asked for.

    Args:
        source: CUDA C++ that includes nothing. name: of its file, for messages.
        capability: as "8.6". cuda: the major version; drivers of it and of later ones load the code.

    Raises:
        Unavailable: NVRTC is not installed. CellError: it takes the source for wrong, or does not know the GPU.
    """

    def build(folder: Path) -> dict[str, Any]:
        nvrtc, major, minor = library(cuda), c_int(), c_int()
        nvrtc.nvrtcVersion(byref(major), byref(minor))
        cubin, log = _compiled(source, name, capability, cuda)
        (folder / CUBIN).write_bytes(cubin)
        resources = {entry: asdict(found) for entry, found in resources_of(log).items()}
        return {"capability": capability, "nvrtc": f"{major.value}.{minor.value}", "resources": resources}

    return store.obtain("cubin", program_key(source, capability, cuda), build)


def _compiled(source: str, name: str, capability: str, cuda: int) -> tuple[bytes, str]:
    nvrtc, known = library(cuda), capabilities(cuda)
    if capability not in known:
        raise CellError(
            f"NVRTC of CUDA {cuda} does not compile for compute capability {capability}.",
            f"It knows {', '.join(known)}.",
        )
    made = c_void_p()
    _must(nvrtc.nvrtcCreateProgram(byref(made), source.encode(), name.encode(), 0, None, None), name)
    try:
        options = [f"--gpu-architecture=sm_{capability.replace('.', '')}", *OPTIONS]
        given = (c_char_p * len(options))(*(option.encode() for option in options))
        code = nvrtc.nvrtcCompileProgram(made, len(options), given)
        log = _answer(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog, made)
        text = log.rstrip(b"\0").decode(errors="replace")
        if code:
            line = next((at for at in text.splitlines() if "error" in at), f"nvrtcResult {code}")
            raise CellError(f"NVRTC does not compile {name}.", line.strip()[:300])
        return _answer(nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN, made), text
    finally:
        nvrtc.nvrtcDestroyProgram(byref(made))


def _answer(size_of: Any, get: Any, made: c_void_p) -> bytes:
    size = c_size_t()
    size_of(made, byref(size))
    found = create_string_buffer(size.value)
    get(made, found)
    return found.raw


def _must(code: int, name: str) -> None:
    if code:
        raise CellError(f"NVRTC does not compile {name}.", f"nvrtcResult {code}")


ENTRY = re.compile(r"Compiling entry function '(\w+)'")
SPILLED = re.compile(r"(\d+) bytes spill stores")
USED = re.compile(r"Used (\d+) registers(?:.*?(\d+) bytes smem)?")


def resources_of(log: str) -> dict[str, Resources]:
    """Kernel → what it takes, from the assembler's words in NVRTC's log."""
    found: dict[str, Resources] = {}
    entry, spilled = "", 0
    for line in log.splitlines():
        if match := ENTRY.search(line):
            entry = match[1]
        elif (match := SPILLED.search(line)) and entry not in found:
            spilled = int(match[1])
        elif (match := USED.search(line)) and entry not in found:
            found[entry] = Resources(int(match[1]), int(match[2] or 0), spilled)
    return found


@cache
def library(cuda: int) -> CDLL:
    """NVRTC of a major version of CUDA: of its package, else of the machine's own toolkit (JetPack has one).

    Raises:
        Unavailable: it is not installed.
    """
    package = DISTRIBUTIONS[cuda]
    try:
        listed = [Path(str(file.locate())) for file in files(package) or ()]
    except PackageNotFoundError:
        listed = []
    try:
        for builtins in (file for file in listed if file.name.startswith("libnvrtc-builtins.so.")):
            CDLL(str(builtins))  # NVRTC itself looks for it by name alone, and finds what is loaded
        own = next((str(file) for file in listed if file.name == f"libnvrtc.so.{cuda}"), f"libnvrtc.so.{cuda}")
        found = CDLL(own)
    except OSError as error:
        raise Unavailable(
            f"NVRTC of CUDA {cuda} is not installed.", first_line(error), f"pip install {package}"
        ) from error
    for name, types in SIGNATURES.items():
        function = getattr(found, name)
        function.argtypes, function.restype = types, c_int
    return found
