"""The project as files: what git knows, what pyproject.toml promises."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("export", "engines", "tasks", "bench")


def pyproject() -> dict[str, Any]:
    document: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return document


def sources() -> list[Path]:
    """Every Python file of the four rooms."""
    return [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def tracked(*folders: str) -> set[str]:
    """The files of these folders that git keeps, or would keep; skips the test where there is no git."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return {name for name in names if (ROOT / name).exists()}
