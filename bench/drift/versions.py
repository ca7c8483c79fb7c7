"""Two versions of an engine's library, as wheels from the package index."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engines.base import Engine
from engines.catalog import REFERENCE
from export.errors import Unavailable, UserError, unknown

NEWEST = "newest"


@dataclass(frozen=True)
class Wheel:
    """One version of a library."""

    library: str
    version: str
    file: Path

    def __str__(self) -> str:
        return f"{self.library} {self.version}"


def parsed(texts: Sequence[str], option: str) -> dict[str, str]:
    """``LIBRARY=VERSION`` texts.

    Raises:
        UserError: one is none.
    """
    found = {}
    for text in texts:
        library, equals, version = text.partition("=")
        if not (library and equals and re.fullmatch(r"[0-9][\w.]*", version)):
            raise UserError(f"{option} takes LIBRARY=VERSION, not {text!r}.", "", f"{option} onnxruntime=1.23.2")
        found[library] = version
    return found


def library(engine: Engine) -> str:
    """The one distribution that an engine's sessions import.

    Raises:
        UserError: it has none, or several.
    """
    if len(engine.packages) != 1 or engine.name == REFERENCE:
        raise UserError(
            f"Engine {str(engine.spec)!r} has no library whose versions could be compared.",
            "It needs one package that runs in an environment without PyTorch.",
            "an engine on ONNX Runtime, OpenVINO, ncnn or LiteRT: --engines",
        )
    return engine.packages[0]


def require_known(given: Mapping[str, str], engines: Sequence[Engine], option: str) -> None:
    """Refuse versions of a library that none of the engines has.

    Raises:
        UserError: names the first.
    """
    libraries = [library(engine) for engine in engines]
    for name in given:
        if name not in libraries:
            raise unknown("library", name, libraries, f"{option} {libraries[0]}=VERSION")


def fetch(library: str, version: str, folder: Path) -> Wheel:
    """The wheel for this Python and machine, in ``folder``; :data:`NEWEST` is asked for again each time.

    Raises:
        UserError: the index has no such version for this Python. Unavailable: it cannot be reached.
    """
    wanted = library if version == NEWEST else f"{library}=={version}"
    there = sorted(folder.glob(f"{library.replace('-', '_')}-{version}-*.whl"))
    if there:
        return Wheel(library, version, there[0])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as part:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        done = subprocess.run(
            [*command, "--only-binary", ":all:", "--dest", part, wanted], capture_output=True, text=True
        )
        files = list(Path(part).glob("*.whl"))
        if done.returncode or len(files) != 1:
            raise _missing(wanted, library, done.stderr)
        file = files[0].replace(folder / files[0].name)
    return Wheel(library, file.name.split("-")[1], file)


def _missing(wanted: str, library: str, said: str) -> UserError:
    if "No matching distribution" not in said:
        last = (said.strip().splitlines() or ["pip gave no reason"])[-1]
        return Unavailable(f"{wanted} could not be downloaded.", last, "the same command again")
    versions = re.search(r"from versions: ([^)]*)\)", said)
    known = [v.strip() for v in versions[1].split(",")] if versions and versions[1] != "none" else []
    python = ".".join(map(str, sys.version_info[:2]))
    return UserError(
        f"The package index has no {wanted} for Python {python} on this machine.",
        f"It has {', '.join(known[-8:])}." if known else f"It has no {library} at all.",
        "another version, or another Python",
    )
