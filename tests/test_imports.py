"""Help, listings and the reading of results start without the heavy libraries: each command in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOT, command_modules

HEAVY = {
    "onnx",
    "onnxruntime",
    "openvino",
    "plotly",
    "pyarrow",
    "pycuda",
    "scipy",
    "sklearn",
    "tensorrt",
    "tensorrt_bindings",
    "tensorrt_rtx",
    "tensorrt_rtx_bindings",
    "timm",
    "torch",
    "torchvision",
}

LISTINGS = [["export", "--list"], ["export", "--list", "--json"], ["tasks"], ["tasks", "--json"]]

WATCH = """
import atexit, json, sys
seen = sys.argv.pop(1)
atexit.register(lambda: open(seen, "w").write(json.dumps(sorted({name.partition(".")[0] for name in sys.modules}))))
"""
COMMAND = "import runpy; runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"


def loaded(code: str, arguments: list[str], folder: Path) -> tuple[set[str], str]:
    """The top-level modules that a process had imported when it ended well, and what it printed."""
    seen = folder / "modules.json"
    command = [sys.executable, "-c", WATCH + code, str(seen), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(json.loads(seen.read_text())), done.stdout


@pytest.mark.parametrize("module", command_modules())
def test_help_loads_nothing_heavy(module: str, tmp_path: Path) -> None:
    modules, printed = loaded(COMMAND, [module, "--help"], tmp_path)
    assert f"python -m {module.removesuffix('.__main__')}" in printed
    assert not modules & (HEAVY | {"numpy", "PIL", "rich"})


@pytest.mark.parametrize("arguments", LISTINGS, ids=" ".join)
def test_listings_load_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    modules, printed = loaded(COMMAND, arguments, tmp_path)
    assert printed
    assert not modules & HEAVY


def test_asking_what_runs_here_loads_no_framework(tmp_path: Path) -> None:
    runtimes = {
        "onnxruntime",
        "openvino",
        *(name for name in HEAVY if name.startswith("tensorrt")),
    }  # they know devices
    assert not loaded(COMMAND, ["engines", "--json"], tmp_path)[0] & (HEAVY - runtimes)


def test_an_engine_is_imported_without_its_library(tmp_path: Path) -> None:
    code = "from engines.catalog import ENGINES; print([ENGINES.get(name) for name in ENGINES])"
    assert not loaded(code, [], tmp_path)[0] & HEAVY


def test_a_heavy_import_is_seen(tmp_path: Path) -> None:
    assert {"sklearn", "scipy"} <= loaded("import sklearn", [], tmp_path)[0]
