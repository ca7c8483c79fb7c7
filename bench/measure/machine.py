"""What machine this is, as far as a timing depends on it. Read from the system; nothing is guessed."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.records.parts import Environment
from engines.cuda.device import device
from engines.processor import cores
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
    "nvidia-cudnn-cu12",
    "nvidia-cudnn-cu13",
    "tensorrt",
    "tensorrt-cu12",
    "tensorrt-cu13",
    "tensorrt-rtx",
    "tensorrt-rtx-cu12",
    "tensorrt-rtx-cu13",
    "pycuda",
)


def processor() -> str:
    """The processor's own name."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.lower().startswith(("model name", "hardware", "cpu model")):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def board() -> str:
    """The board's name where the device tree gives it (Jetson, Raspberry Pi), else empty."""
    try:
        return Path("/proc/device-tree/model").read_text().strip("\0\n ")
    except OSError:
        return ""


def libraries() -> dict[str, str]:
    """Installed versions of the libraries that a result may depend on."""
    found = {"backbones-deployed": __version__}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def environment() -> Environment:
    """This machine, with an id that names the hardware."""
    import psutil

    hardware: dict[str, Any] = {
        "processor": processor(),
        "board": board(),
        "architecture": platform.machine(),
        "cores": cores(),
        "memory_mib": round(psutil.virtual_memory().total / 2**20, -2),
    }
    gpu = device()
    named = {**hardware, "gpu": gpu.name} if gpu else hardware
    return Environment(
        id=key("machine", **named)[:8],
        **hardware,
        gpu=gpu.identity() if gpu else None,
        os=platform.platform(terse=True),
        python=platform.python_version(),
        libraries=libraries(),
    )
