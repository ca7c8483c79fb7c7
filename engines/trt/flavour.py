"""The two libraries that share one interface: TensorRT, and TensorRT-RTX, which needs no GPU to build."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from engines.library import installed
from export.errors import Unavailable, first_line

NOT_A_TARGET = ("NONE", "CURRENT")


@dataclass(frozen=True)
class Flavour:
    """One of the libraries.

    Attributes:
        engine: the engine's name. title: the library's.
        module: what is imported, or ``module_bindings``, where the package above the bindings is not installed.
        distributions: the packages that may have brought it.
        targetable: builds for compute capabilities that are named, on a machine without GPU and driver.
        times_tactics: measures kernels while it builds, so that a timing cache helps (for RTX the calls are no-ops).
        remedy: what installs it.
    """

    engine: str
    title: str
    module: str
    distributions: tuple[str, ...]
    targetable: bool
    times_tactics: bool
    remedy: str

    def installed(self) -> str:
        """The installed version, empty where there is none.

        Nothing is imported where a package says it; a system's own package (JetPack's) may have left no word of it.
        """
        packaged = next((found for name in self.distributions if (found := installed(name))), "")
        if packaged or not any(find_spec(name) for name in (self.module, f"{self.module}_bindings")):
            return packaged
        try:
            return str(self.load().__version__)
        except Unavailable:
            return ""

    def load(self) -> Any:
        """The library's module.

        Raises:
            Unavailable: it is not installed, or does not import.
        """
        for name in (self.module, f"{self.module}_bindings"):
            try:
                return import_module(name)
            except ModuleNotFoundError as error:
                if error.name != name:
                    raise Unavailable(f"{self.title} does not import.", first_line(error), self.remedy) from error
            except (ImportError, OSError, RuntimeError) as error:
                raise Unavailable(f"{self.title} does not import.", first_line(error), self.remedy) from error
        raise Unavailable(f"{self.title} is not installed.", "", self.remedy)

    def targets(self) -> dict[str, Any]:
        """Compute capability ("8.6") → the library's own value for it; empty where targets cannot be named."""
        if not self.targetable:
            return {}
        members = self.load().ComputeCapability.__members__
        return {f"{name[2:-1]}.{name[-1]}": value for name, value in members.items() if name not in NOT_A_TARGET}


TENSORRT = Flavour(
    engine="trt",
    title="TensorRT",
    module="tensorrt",
    distributions=("tensorrt", "tensorrt-cu13-bindings", "tensorrt-cu12-bindings"),
    targetable=False,
    times_tactics=True,
    remedy="pip install 'backbones-deployed[gpu]'; on a Jetson, apt install python3-libnvinfer",
)
RTX = Flavour(
    engine="trt-rtx",
    title="TensorRT-RTX",
    module="tensorrt_rtx",
    distributions=("tensorrt-rtx-cu13-bindings", "tensorrt-rtx-cu12-bindings", "tensorrt-rtx"),
    targetable=True,
    times_tactics=False,
    remedy="pip install 'backbones-deployed[rtx]'",
)
