"""Which instructions this processor has that decide how a network is computed on it, and so what comes out.

An engine picks its kernels by them, and kernels differ in more than speed: without VNNI, x86 multiplies bytes into sums
of 16 bits, which saturate. So they are part of the key of every plan that a processor runs.
"""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path

TELLING = frozenset(
    {"avx2", "avx_vnni", "avx_vnni_int8", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16"}
    | {"amx_tile", "amx_int8", "amx_bf16", "amx_fp16"}
    | {"asimddp", "asimdhp", "i8mm", "bf16", "sve", "sve2", "sme"}
)
"""Linux's names; the last line is of Arm."""


@cache
def instructions(file: Path = Path("/proc/cpuinfo")) -> tuple[str, ...]:
    """The instruction sets of :data:`TELLING` that are here, sorted, after the architecture's name.

    Where the system does not list them (macOS), the processor's own name stands for them.
    """
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return platform.machine(), platform.processor()
    words = {word for line in lines if line.startswith(("flags", "Features")) for word in line.split(":")[1].split()}
    return platform.machine(), *sorted(words & TELLING)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
