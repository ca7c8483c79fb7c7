"""What machine this is, as far as a timing depends on it. Read from the system; nothing is guessed."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.measure import arm, clocks, jetson, sysfs, throttling
from bench.records.parts import Environment
from engines.cgroup import quota
from engines.cuda.device import device
from engines.processor import allowed, cores
from export import __version__
from export.store import key

LIBRARIES = (
    "numpy",
    "pillow",
    "torch",
    "timm",
    "onnx",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "ncnn",
    "ai-edge-litert",
    "nvidia-cuda-nvrtc",
    "nvidia-cuda-nvrtc-cu12",
    "nvidia-cudnn-cu12",
    "nvidia-cudnn-cu13",
    "tensorrt",
    "tensorrt-cu12",
    "tensorrt-cu13",
    "tensorrt-rtx",
    "tensorrt-rtx-cu12",
    "tensorrt-rtx-cu13",
    "cuda-bindings",
    "pycuda",
)


def processor(root: Path = Path("/")) -> str:
    """The processor's own name; of an Arm chip, its cores' (:mod:`bench.measure.arm`)."""
    cpuinfo = sysfs.text(root / "proc/cpuinfo")
    if cores_named := arm.name(cpuinfo):
        return cores_named
    for line in cpuinfo.splitlines():
        if line.lower().startswith(("model name", "hardware", "cpu model")):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def board(root: Path = Path("/")) -> str:
    """The board's name where the device tree gives it (Jetson, Raspberry Pi), else empty."""
    return sysfs.text(root / "proc/device-tree/model")


def libraries() -> dict[str, str]:
    """Installed versions of the libraries that a result may depend on."""
    return {"backbones-deployed": __version__, **versions(LIBRARIES)}


def versions(names: Iterable[str]) -> dict[str, str]:
    """Those of the distributions that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def environment(root: Path = Path("/")) -> Environment:
    """This machine, with an id that names the hardware and whatever limits it: two power modes are two machines.

    A machine that has none of this has the id that it always had. A limit that is there because the chip is hot passes,
    and makes no other machine.
    """
    import psutil

    hardware: dict[str, Any] = {
        "processor": processor(root),
        "board": board(root),
        "architecture": platform.machine(),
        "cores": cores(root),
        "memory_mib": round(psutil.virtual_memory().total / 2**20, -2),
    }
    gpu, clocked, mode, l4t = device(), clocks.policies(root), jetson.power_mode(root), jetson.release(root)
    hot = bool(throttling.state(root).cooling)
    granted = quota(root)  # one of more than the cores that there are limits nothing
    limits: dict[str, Any] = {
        "l4t": l4t,
        "power_mode": mode.name if mode else "",
        "clock_cap_mhz": () if hot else clocks.cap(clocked),
        "cpu_quota": round(granted, 3) if granted < len(allowed()) else 0.0,
    }
    named = hardware | {name: value for name, value in limits.items() if value}
    if gpu:
        named["gpu"] = gpu.name
    return Environment(
        id=key("machine", **named)[:8],
        **hardware,
        **limits,
        jetpack=jetson.JETPACKS.get(l4t, ""),
        governor=clocks.governor(clocked),
        gpu=gpu.identity() if gpu else None,
        os=platform.platform(terse=True),
        python=platform.python_version(),
        libraries=libraries(),
    )
