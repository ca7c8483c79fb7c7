"""The preprocessing paths, by name. One line a path; listing imports nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from export.errors import UserError
from export.registry import Registry

if TYPE_CHECKING:
    from engines.base import Engine
    from engines.preprocess.base import Preprocess
    from export.picture import Orientation
    from export.spec import PreprocessSpec
    from export.store import Store

PATHS: Registry[Any] = Registry(
    "preprocessing path",
    {
        "cpu": "engines.preprocess.cpu:CpuPreprocess",
        "pillow": "engines.preprocess.pillow:PillowPreprocess",
        "cuda": "engines.preprocess.cuda:CudaPreprocess",
        "nvimgcodec": "engines.preprocess.nvimgcodec:NvImageCodecPreprocess",
    },
    "bob run --help",
)


def orientation(name: str) -> Orientation:
    """How the path ``name`` reads photographs: as stored, or (``cpu:exif``) turned upright by their EXIF orientation.

    Raises:
        UserError: there is no such path, or it cannot turn them.
    """
    path, _, asked = name.partition(":")
    if asked not in ("", "exif") or name.endswith(":"):
        raise UserError(f"{name!r} is not a preprocessing path.", "The form is PATH or PATH:exif.", "bob run --help")
    wanted: Orientation = "exif" if asked else "stored"
    if wanted not in PATHS.get(path).orientations:
        raise UserError(
            f"The path {path} does not apply EXIF orientation.", "It decodes without Pillow.", "--preprocess cuda:exif"
        )
    return wanted


def _path(name: str) -> Any:
    return PATHS.get(name.partition(":")[0])


def preprocess(name: str, spec: PreprocessSpec, store: Store) -> Preprocess:
    """The path ``name`` set up for ``spec``; what it compiles is kept in ``store``.

    Raises:
        UserError: there is no such path.
    """
    path: Preprocess = _path(name)(spec, store, orientation(name))
    return path


def refusal(name: str, engine: Engine, store: Store) -> tuple[str, str]:
    """Why the path ``name`` cannot feed an engine here, and how to change that; both empty where it can.

    Raises:
        UserError: there is no such path.
    """
    found: tuple[str, str] = _path(name).refusal(engine, store)
    return found


def identity(name: str) -> dict[str, Any]:
    """What of the path ``name`` goes into keys: the implementation, its libraries, how files are read; not the spec.

    Raises:
        UserError: there is no such path.
    """
    found: dict[str, Any] = _path(name).identity(orientation(name))
    return found
