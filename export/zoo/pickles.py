"""Reads a file of ``torch.save`` with ``weights_only=True``: tensors are made, and no code of the file's choice runs.

Beside the tensors such files hold objects of any class: arguments, dates, configurations. None of these classes is
looked up. Each stands as an :class:`Unread` under its name, so that the tensors beside it can be read.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import warnings
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import OrderedDict
from pathlib import Path
from typing import Any

from export.errors import UserError, first_line

_RUNS = {"eval", "exec", "compile", "open", "__import__", "input", "breakpoint"}
_RUNNERS = {"os", "posix", "nt", "sys", "subprocess", "runpy", "pty", "importlib", "shutil", "socket", "webbrowser"}


class Unread:
    """An object of a class that is not looked up; ``module`` says that it had parts as a ``torch.nn.Module`` has."""

    name = ""
    module = False

    def __new__(cls, *args: Any, **kwargs: Any) -> Unread:
        return object.__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.module = isinstance(state, dict) and "_modules" in state


class _UnreadMapping:
    """Made in the place of a class whose objects are filled as a dictionary is."""

    def __new__(cls, *args: Any, **kwargs: Any) -> OrderedDict[Any, Any]:  # type: ignore[misc]
        return OrderedDict()


class _UnreadList:
    """Made in the place of a class whose objects are filled as a list is."""

    def __new__(cls, *args: Any, **kwargs: Any) -> list[Any]:  # type: ignore[misc]
        return []


def load(path: Path, zipped: bool) -> Any:
    """What the file holds, tensors on the CPU.

    Raises:
        UserError: the file is truncated or damaged, would run code, or has what PyTorch's safe reader does not read.
    """
    import torch

    try:
        protocol, names, modules = _globals(path, zipped)
    except (OSError, ValueError, KeyError, EOFError, IndexError, UnicodeDecodeError, zipfile.BadZipFile) as error:
        raise _damaged(path, error) from error
    if runs := sorted(name for name in names if _would_run(name)):
        raise UserError(
            f"The checkpoint {path.name} would run code when loaded, and is refused.",
            f"It calls {runs[0]}.",
            "save only the state_dict(), preferably as safetensors",
        )
    if protocol > 2:
        raise UserError(
            f"The checkpoint {path.name} was saved with pickle protocol {protocol}.",
            "PyTorch's safe reader (weights_only=True) reads protocol 2, the default of torch.save.",
            "save the state_dict() again with torch.save, or as safetensors",
        )
    if modules:
        raise pickled_class(path, modules[0], "module")
    classes: dict[str, type] = {name: _unread(name, Unread) for name in names}
    while True:
        known = [(made, name) for name, made in classes.items()]
        try:
            with warnings.catch_warnings(), torch.serialization.safe_globals([*_arrays(), *known]):
                warnings.simplefilter("ignore")
                with path.open("rb") as file:  # given a path, torch would look at its ending
                    return torch.load(file, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, TypeError, AttributeError, AssertionError, NotImplementedError) as error:
            if not _exchanged(classes, str(error)):
                raise _unreadable(path, error, names) from error
        except (RuntimeError, EOFError, OSError, ValueError, LookupError, MemoryError, OverflowError) as error:
            raise _damaged(path, error) from error


def _unread(name: str, base: type) -> type:
    return type(name, (base,), {"name": name, "__module__": "unread"})


def _exchanged(classes: dict[str, type], why: str) -> bool:
    """Where an object is filled as a dictionary or a list is, let one be made of it; False where that is not why."""
    base = _UnreadMapping if "SETITEM" in why else _UnreadList if "to lists" in why or "extend lists" in why else None
    for name, made in classes.items():
        if base and issubclass(made, Unread) and repr(made) in why:
            classes[name] = _unread(name, base)
            return True
    return False


def _arrays() -> list[tuple[Any, str]]:
    """What makes NumPy's arrays out of bytes: a state may be of arrays."""
    import numpy as np

    reconstruct = np.zeros(0).__reduce__()[0]
    kinds = {type(np.dtype(code)) for code in "?bBhHiIlLqQefdgFD"}
    return [(reconstruct, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")] + [
        (np.ndarray, "numpy.ndarray"),
        (np.dtype, "numpy.dtype"),
        *((kind, f"{kind.__module__}.{kind.__qualname__}") for kind in kinds),
    ]


def _globals(path: Path, zipped: bool) -> tuple[int, set[str], list[str]]:
    """The protocol of the pickle; every class and function that it names, NumPy's arrays apart; classes of modules.

    Before PyTorch 1.6 a pickled module stood behind ("module", its class, a file, its source code).
    """
    names: set[str] = set()
    modules: list[str] = []
    protocol = 0
    with path.open("rb") as file:
        streams: list[Any] = [file] * 4  # magic number, version, system, and then the object
        if zipped:
            with zipfile.ZipFile(file) as archive:
                member = next(n for n in archive.namelist() if n == "data.pkl" or n.endswith("/data.pkl"))
                streams = [io.BytesIO(archive.read(member))]
        for stream in streams:
            strings: list[str] = []
            last: list[tuple[str, Any]] = []
            for code, value, _ in pickletools.genops(stream):
                if code.name == "PROTO" and isinstance(value, int):
                    protocol = max(protocol, value)
                elif code.name == "GLOBAL" and isinstance(value, str):
                    names.add(_today(*value.split(" ", 1)))
                elif code.name == "STACK_GLOBAL" and len(strings) > 1:
                    names.add(_today(*strings[-2:]))
                elif isinstance(value, str):
                    strings.append(value)
                elif code.name == "BINPERSID" and len(last) == 5 and last[0][1] == "module" and last[1][0] == "GLOBAL":
                    modules.append(_today(*last[1][1].split(" ", 1)))
                if not code.name.endswith("PUT"):
                    last = [*last[-4:], (code.name, value)]
    return protocol, names - {name for _, name in _arrays()}, modules


def _today(module: str, name: str) -> str:
    """A name of Python 2's as Python 3 has it."""
    module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
    return f"{module}.{name}"


def _would_run(name: str) -> bool:
    module, _, function = name.rpartition(".")
    return module.split(".")[0] in _RUNNERS or (module == "builtins" and function in _RUNS)


def pickled_class(path: Path, name: str, kind: str) -> UserError:
    """An error for a file with an object of a class where a state dict is expected."""
    return UserError(
        f"The checkpoint {path.name} holds a pickled {kind} of the class {name}, and no state dict.",
        "A class is code, which is not executed.",
        "load it where it was made, and save its state_dict()",
    )


def _unreadable(path: Path, error: Exception, names: set[str]) -> UserError:
    others = sorted(name for name in names if not name.startswith(("torch._utils.", "torch.", "collections.")))
    return UserError(
        f"The checkpoint {path.name} cannot be read with weights_only=True.",
        f"It holds {', '.join(others[:3])}." if others else first_line(error),
        "save only the state_dict(), preferably as safetensors",
    )


def _damaged(path: Path, error: BaseException) -> UserError:
    return UserError(
        f"The checkpoint {path.name} is damaged or truncated.", first_line(error), "download or save it again"
    )
