"""The preprocessing paths, by name. One line a path; listing imports nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from export.registry import Registry

if TYPE_CHECKING:
    from engines.base import Engine
    from engines.preprocess.base import Preprocess
    from export.spec import PreprocessSpec
    from export.store import Store

PATHS: Registry[Any] = Registry(
    "preprocessing path",
    {
        "cpu": "engines.preprocess.cpu:CpuPreprocess",
        "cuda": "engines.preprocess.cuda:CudaPreprocess",
        "nvimgcodec": "engines.preprocess.nvimgcodec:NvImageCodecPreprocess",
    },
    "bob run --help",
)


def preprocess(name: str, spec: PreprocessSpec, store: Store) -> Preprocess:
    """The path ``name`` set up for ``spec``; what it compiles is kept in ``store``.

    Raises:
        UserError: there is no such path.
    """
    path: Preprocess = PATHS.get(name)(spec, store)
    return path


def refusal(name: str, engine: Engine) -> str:
    """Why the path ``name`` cannot feed an engine here; empty where it can.

    Raises:
        UserError: there is no such path.
    """
    found: str = PATHS.get(name).refusal(engine)
    return found


def identity(name: str) -> dict[str, Any]:
    """What of the path ``name`` goes into keys: the implementation and its libraries, not the spec.

    Raises:
        UserError: there is no such path.
    """
    found: dict[str, Any] = PATHS.get(name).identity()
    return found
