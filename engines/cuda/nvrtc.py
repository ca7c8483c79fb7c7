"""CUDA source to device code at run time, for any GPU and without one: NVIDIA's NVRTC through cuda-bindings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from export.errors import CellError, Unavailable, first_line
from export.store import Store, key

REMEDY = "pip install cuda-bindings nvidia-cuda-nvrtc"
OPTIONS = ("--std=c++17", "--fmad=false", "--ptxas-options=-v")
"""No contraction: what is computed in floating point is to be the same as on the host."""


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


def capabilities() -> list[str]:
    """The compute capabilities that NVRTC here compiles for, as "8.6".

    Raises:
        Unavailable: it is not installed.
    """
    (found,) = _answer(_nvrtc().nvrtcGetSupportedArchs())
    return [f"{arch // 10}.{arch % 10}" for arch in found]


def program(source: str, name: str, capability: str, store: Store) -> Program:
    """The program from the store, compiled if it is not there: keyed by source, options, capability and NVRTC.

    Args:
        source: CUDA C++ that includes nothing. name: of its file, for messages.
        capability: as "8.6".

    Raises:
        Unavailable: NVRTC is not installed. CellError: it takes the source for wrong, or does not know the GPU.
    """
    nvrtc = _nvrtc()
    version = ".".join(map(str, _answer(nvrtc.nvrtcVersion())))
    entry_key = key("cubin", source=source, options=OPTIONS, capability=capability, nvrtc=version)

    def build(folder: Any) -> dict[str, Any]:
        cubin, log = _compiled(source, name, capability)
        (folder / "kernel.cubin").write_bytes(cubin)
        resources = {entry: asdict(found) for entry, found in resources_of(log).items()}
        return {"capability": capability, "nvrtc": version, "resources": resources}

    entry = store.obtain("cubin", entry_key, build)
    resources = {name: Resources(**found) for name, found in entry.fields["resources"].items()}
    return Program(entry_key, capability, entry.file("kernel.cubin").read_bytes(), resources)


def _compiled(source: str, name: str, capability: str) -> tuple[bytes, str]:
    if capability not in capabilities():
        raise CellError(
            f"NVRTC does not compile for compute capability {capability}.", f"It knows {', '.join(capabilities())}."
        )
    nvrtc = _nvrtc()
    (made,) = _answer(nvrtc.nvrtcCreateProgram(source.encode(), name.encode(), 0, [], []))
    try:
        options = [f"--gpu-architecture=sm_{capability.replace('.', '')}", *OPTIONS]
        (code,) = nvrtc.nvrtcCompileProgram(made, len(options), [option.encode() for option in options])
        log = bytearray(_answer(nvrtc.nvrtcGetProgramLogSize(made))[0])
        _answer(nvrtc.nvrtcGetProgramLog(made, log))
        text = log.rstrip(b"\0").decode(errors="replace")
        if int(code):
            line = next((at for at in text.splitlines() if "error" in at), str(code))
            raise CellError(f"NVRTC does not compile {name}.", line.strip()[:300])
        cubin = bytearray(_answer(nvrtc.nvrtcGetCUBINSize(made))[0])
        _answer(nvrtc.nvrtcGetCUBIN(made, cubin))
        return bytes(cubin), text
    finally:
        nvrtc.nvrtcDestroyProgram(made)


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


def _answer(answer: tuple[Any, ...]) -> tuple[Any, ...]:
    code, *rest = answer
    if int(code):
        raise CellError("NVRTC reports an error.", str(getattr(code, "name", code)))
    return tuple(rest)


def _nvrtc() -> Any:
    try:
        from cuda.bindings import nvrtc

        nvrtc.nvrtcVersion()  # the bindings look for the library only now
    except (ImportError, RuntimeError, OSError) as error:
        raise Unavailable("NVRTC is not installed.", first_line(error), REMEDY) from error
    return nvrtc
