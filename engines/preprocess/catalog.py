"""The preprocessing paths, by name. One line a path; listing imports nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from export.registry import Registry
from export.spec import PreprocessSpec

if TYPE_CHECKING:
    from engines.preprocess.cpu import CpuPreprocess

PATHS: Registry[Any] = Registry(
    "preprocessing path", {"cpu": "engines.preprocess.cpu:CpuPreprocess"}, "python -m bench.run --help"
)


def preprocess(name: str, spec: PreprocessSpec) -> CpuPreprocess:
    """The path ``name`` set up for ``spec``.

    Raises:
        UserError: there is no such path.
    """
    path: CpuPreprocess = PATHS.get(name)(spec)
    return path


def identity(name: str) -> dict[str, Any]:
    """What of the path ``name`` goes into keys: the implementation and its libraries, whatever the spec.

    Raises:
        UserError: there is no such path.
    """
    found: dict[str, Any] = PATHS.get(name).identity()
    return found
