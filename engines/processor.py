"""The processor as an engine finds it: its instructions, and the cores that this process may use.

An engine picks its kernels by the instructions, and kernels differ in more than speed: without VNNI, x86 multiplies
bytes into sums of 16 bits, which saturate. So they are part of the key of every plan that a processor runs.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path

from engines.cgroup import quota
from export.errors import UserError

TELLING = frozenset(
    {"avx2", "avx_vnni", "avx_vnni_int8", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16"}
    | {"amx_tile", "amx_int8", "amx_bf16", "amx_fp16"}
    | {"asimddp", "asimdhp", "i8mm", "bf16", "sve", "sve2", "sme"}
)
"""Linux's names; the last line is of Arm."""


MOST = 1 << 13
"""Linux knows no core of a higher number."""


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


def allowed() -> frozenset[int]:
    """The numbers of the cores that this process may run on: its affinity, which a container's cpuset narrows."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def cores(root: Path = Path("/")) -> int:
    """Cores that this process may use, at least 1: those it may run on, and no more than a container's quota is worth.

    A quota is rounded down. One thread more than it pays for, and all of them are stopped in every period.

    Args:
        root: where the system's files lie that say the quota.
    """
    return max(1, int(min(len(allowed()), quota(root) + 1e-6)))


def granted(threads: int, pinned_to: Collection[int]) -> int:
    """Threads of an engine that is asked for ``threads``, or, by 0, for as many as there are cores it is pinned to."""
    return threads or min(len(pinned_to), cores())


def pinned(texts: Sequence[str]) -> tuple[int, ...]:
    """The cores that ``("0-3", "6")`` names, each once, in order.

    Raises:
        UserError: a part is neither a number nor a range.
    """
    found: set[int] = set()
    for text in texts:
        first, dash, last = text.strip().partition("-")
        if not (first.isdecimal() and (last.isdecimal() or not dash) and int(first) <= int(last or first) < MOST):
            raise UserError(f"{text!r} does not name cores.", "", "numbers and ranges: --pin 0-3 or --pin 0,2")
        found.update(range(int(first), int(last or first) + 1))
    return tuple(sorted(found))


def ranges(numbers: Collection[int]) -> tuple[str, ...]:
    """Cores as :func:`pinned` reads them, in the shortest way: ``("0-3", "6")``."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and found[-1][-1] == number - 1:
            found[-1][1:] = [number]
        else:
            found.append([number])
    return tuple("-".join(map(str, ends)) for ends in found)


def require_pinnable(numbers: Sequence[int]) -> None:
    """Refuse cores that this process cannot be pinned to.

    Raises:
        UserError: the system pins no processes, or some of these cores are not this process's.
    """
    if numbers and not hasattr(os, "sched_setaffinity"):
        raise UserError(f"{platform.system()} cannot pin a process to cores.", "Linux can.", "leave out --pin")
    if missing := sorted(set(numbers) - allowed()):
        raise UserError(
            f"--pin names cores that cannot be used here: {', '.join(ranges(missing))}.",
            f"This process may run on {', '.join(ranges(allowed()))}.",
            f"--pin {','.join(ranges(set(numbers) & allowed() or allowed()))}",
        )


def pin(numbers: Collection[int]) -> None:
    """Keep this process on these cores: every thread that it has, and so all that they start. Linux alone can."""
    for task in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(task.name), numbers)
