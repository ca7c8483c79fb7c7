"""Errors that a reader can act on, and the exit codes that go with them.

An error is three short lines: what happened; why (what was asked, what is available); what to try.
Exit codes: 0 done, 1 some cell failed, 2 the user can fix it, 3 a bug (which keeps its traceback).
This module must import nothing but the standard library: every start-up pays for it.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Something that the user can fix: shown without traceback, exit code 2.

    Args:
        what: one sentence, what happened.
        why: one sentence, what was asked and what is available; may be empty.
        remedy: a command or an action, shown after ``Try:``; may be empty.
    """

    exit_code = 2

    def __init__(self, what: str, why: str = "", remedy: str = "") -> None:
        self.what, self.why, self.remedy = what, why, remedy
        super().__init__(str(self))

    @property
    def sentence(self) -> str:
        """What and why, in one line and without a remedy: for a table, or a process that reports to another."""
        return " ".join(part for part in (self.what, self.why) if part)

    def __str__(self) -> str:
        lines = [self.what, self.why, f"Try: {self.remedy}" if self.remedy else ""]
        return "\n".join(line for line in lines if line)

    def __reduce__(self) -> tuple[type[UserError], tuple[str, str, str]]:
        return type(self), (self.what, self.why, self.remedy)  # crosses process borders whole


class Unavailable(UserError):
    """An engine, a package, a device or a hub that this machine does not have."""


_TORCH = "torch torchvision timm onnx onnxscript onnxslim ml_dtypes safetensors huggingface_hub scipy hotcoco"
EXTRAS = {
    "": ("Every command needs", "argcomplete filelock msgspec numpy PIL psutil yaml rich"),
    "export": ("Exporting and scoring need", _TORCH),
    "cpu": ("The engine ort needs", "onnxruntime"),
    "gpu": ("An NVIDIA GPU needs", "pycuda tensorrt"),
    "nvrtc": ("Compiling for NVIDIA GPUs needs", "cuda"),
    "rtx": ("TensorRT-RTX needs", "tensorrt_rtx"),
    "keras": ("Keras' HDF5 files need", "h5py"),
    "lab": ("The lab needs", "cv2"),
    "loadgen": ("The judge of the issuer needs", "mlperf_loadgen"),
    "parquet": ("Parquet needs", "pyarrow"),
    "plot": ("A plot needs", "matplotlib"),
    "ray": ("A sweep over several machines needs", "ray"),
    "search": ("The scenario search needs", "faiss"),
    "study": ("Stable Diffusion's encoder needs", "diffusers"),
}
"""Extra of the package → what it is for, and the modules that it brings; the empty one is the plain package."""
_EXTRA_OF = {module: extra for extra, (_, modules) in EXTRAS.items() for module in modules.split()}


def not_installed(library: str, reason: object = "", what: str = "") -> Unavailable:
    """A library of :data:`EXTRAS` that is missing. ``what``: who needs it, if that is more than its extra says."""
    extra = _EXTRA_OF[library]
    package = f"'backbones-deployed[{extra}]'" if extra else "backbones-deployed"
    needs = what or EXTRAS[extra][0]
    return Unavailable(f"{needs} {library}, which is not installed.", str(reason), f"pip install {package}")


def for_user(error: BaseException) -> UserError | None:
    """An error in the words of the user's that can fix it: one of ours, or a library that is not installed.

    None for a bug; a missing module that is ours, or nobody's, is one.
    """
    if isinstance(error, UserError):
        return error
    if isinstance(error, ModuleNotFoundError):  # a distribution whose version is asked for is one too
        name = str(error.name).replace("-", "_")
        return not_installed(name) if name in _EXTRA_OF else None
    return None


class CellError(UserError):
    """One cell could not be completed; the sweep goes on, and ends with exit code 1."""

    exit_code = 1


class OutOfSpace(UserError):
    """The disk is full: nothing after it can succeed, so a sweep stops; what was finished before is kept."""


_PLACES = re.compile(
    r"Exception from |Check '|While validating |Summary:|FrontEnd API failed|Model wasn't fully|Loading input model"
    r"|Shape inference input|Node \S+ of type|Not Implemented:|Errors during|==> Context"
    r"|-- Conversion is failed|-- \S+ with a"
)
"""How the lines begin that say where in a library something happened, and not what."""
_FRAMES = (
    (re.compile(r"\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : "), ""),
    (re.compile(r"Load model from .*? failed: ?|Exception during initialization: "), ""),
    (re.compile(r"Fatal error: |This is an invalid model\. "), ""),
    (
        re.compile(r"Non-zero status code returned while running (\w+) node\. Name:'([^']*)' Status Message: "),
        r"\1 \2: ",
    ),
    (re.compile(r"Node ?\(([^)]*)\) Op \((\w+)\) \[\w+\] "), r"\2 \1: "),
    (re.compile(r"\S+\.(?:cc|cpp|h|hpp):\d+ (?:[^()]*\([^)]*\)(?: \[with [^\]]*\])? )?"), ""),
    (re.compile(r" +(?=:)|^-- "), ""),
)
"""What ONNX Runtime and OpenVINO put around their words: codes, paths, places in their sources."""


def first_line(error: BaseException) -> str:
    """The first line of an error that says something: a place in somebody's sources does not."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = next((line for line in lines if not _PLACES.match(line)), lines[0] if lines else type(error).__name__)
    for frame, words in _FRAMES:
        said = frame.sub(words, said)
    return said.strip()[:300] or type(error).__name__


def unknown(kind: str, name: str, known: Iterable[str], remedy: str = "") -> UserError:
    """An error for a name that is in no table, with its nearest neighbours."""
    names = sorted(known)
    near = get_close_matches(name.lower(), names, n=3, cutoff=0.5) or [n for n in names if name.lower() in n][:3]
    shown = ", ".join(names) if len(names) <= 12 else f"{', '.join(names[:8])} … ({len(names)} in all)"
    why = f"Did you mean {' or '.join(near)}?" if near else f"Available: {shown}."
    return UserError(f"Unknown {kind} {name!r}.", why, remedy)


def disk_full(error: OSError, doing: str) -> UserError:
    """Turn ``ENOSPC``/``EDQUOT`` into a sentence; raise the original for every other errno."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutOfSpace(
            f"No space left on the disk while {doing}.",
            f"{error.filename or 'The target'} could not be written; finished work is kept.",
            "free some space, or choose another folder with --store DIR / --out DIR, then run the same command again",
        )
    raise error


def _reason(error: OSError) -> str:
    """The system's words; they call a file in a folder's place "File exists"."""
    return "it is no folder" if error.errno in (errno.EEXIST, errno.ENOTDIR) else str(error.strerror)


def not_written(error: OSError, doing: str) -> UserError:
    """The same, and a sentence for a place that cannot be written or is not what it should be."""
    if error.errno in _OTHER_PLACE:
        return UserError(
            f"{doing[0].upper()}{doing[1:]} failed.",
            f"{error.filename or 'The target'}: {_reason(error)}.",
            "another folder or file",
        )
    return disk_full(error, doing)


_OTHER_PLACE = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENOENT,
    errno.EEXIST,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.ESTALE,
}
"""Errors of the system's that a user mends by another place."""
