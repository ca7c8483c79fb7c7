"""Help, listings and the reading of results start without the heavy libraries: each command in a process of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOMS, ROOT

from bench.__main__ import COMMANDS
from export.errors import EXTRAS

HEAVY = {
    "matplotlib",
    "onnx",
    "onnxruntime",
    "openvino",
    "pandas",
    "polars",
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

WITH_PYTHON = {"__main__", "_distutils_hack", "_virtualenv", "sitecustomize", "usercustomize"}
"""What an environment may load at every start."""

COMPLETIONS = [
    ("bob ", set(COMMANDS)),
    ("bob r", {"run", "rank", "report", "robustness"}),
    ("bob run --eng", {"--engines"}),
    ("bob run --engines openvino,tor", {"openvino,torch"}),
    ("bob run --models vit_", {"vit_s", "vit_b"}),
    ("bob run --data e", {"elpv", "eurosat"}),
    ("bob run --tasks knn,", {"knn,linear_probe", "knn,retrieval"}),
    ("bob run --scenarios s", {"single_stream", "search"}),
    ("bob run --precisions ", {"fp32", "int8"}),
    ("bob run --preprocess c", {"cpu", "cuda"}),
    ("bob damage --models mobile", {"mobilenetv2"}),
    ("bob export resnet50_a", {"resnet50_augnet"}),
    ("bob tasks --data ci", {"cifar10", "cifar100"}),
    ("bob pick --m", {"--max", "--min", "--machine"}),
]

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


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS)], ids=" ".join)
def test_help_loads_nothing_but_the_standard_library(words: list[str], tmp_path: Path) -> None:
    modules, printed = loaded(COMMAND, ["bench", *words, "--help"], tmp_path)
    assert printed.startswith("usage: ")
    assert modules - {*sys.stdlib_module_names, *ROOMS} <= WITH_PYTHON


@pytest.mark.parametrize(("line", "completed"), COMPLETIONS, ids=[line for line, _ in COMPLETIONS])
def test_completion_loads_nothing_but_its_own_library(line: str, completed: set[str], tmp_path: Path) -> None:
    answer = tmp_path / "answer.txt"
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": " ", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "bench"],
        cwd=ROOT,
        env={**os.environ, **asked, "_ARGCOMPLETE_STDOUT_FILENAME": str(answer)},
        capture_output=True,
        text=True,
    )  # the process ends at once, so that nothing in it could tell its modules
    assert done.returncode == 0, done.stderr
    found = set(answer.read_text().split())
    assert completed <= found
    assert all(name.startswith(line.split(" ")[-1]) for name in found)
    modules = {name.partition(".")[0] for name in re.findall(r"\|\s*([\w.]+)$", done.stderr, re.MULTILINE)}
    assert "argcomplete" in modules
    assert modules - {*sys.stdlib_module_names, *ROOMS} <= WITH_PYTHON | {
        "argcomplete",
        "org",
    }  # pickle looks for Jython


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


def test_records_are_read_without_what_only_exporting_needs(tmp_path: Path) -> None:
    """The commands run in one process, which cannot import it."""
    code = """
import json, sys
without, commands = json.loads(sys.argv.pop(1))
sys.modules.update(dict.fromkeys(without))
from bench.__main__ import main
for words in commands:
    assert main(words) == 0, words
"""
    commands = [
        ["rank", "--published"],
        ["pick", "--published", "--max", "latency_p50_ms=20"],
        ["correlations", "--published"],
        ["report", "--published", "--out", str(tmp_path / "report.html")],
        ["engines"],
    ]
    _, printed = loaded(code, [json.dumps([EXTRAS["export"][1].split(), commands])], tmp_path)
    assert "mobilenetv2" in printed
    assert (tmp_path / "report.html").stat().st_size > 100_000


def test_a_command_that_exports_names_the_extra_where_it_is_missing(tmp_path: Path) -> None:
    code = "import sys; sys.modules['onnx'] = sys.modules['torch'] = None; from bench.__main__ import cli; cli()"
    done = subprocess.run(
        [sys.executable, "-c", code, "export", "vit_s@random", "--store", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stderr
    assert "which is not installed.\nTry: pip install 'backbones-deployed[export]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_heavy_import_is_seen(tmp_path: Path) -> None:
    assert {"sklearn", "scipy"} <= loaded("import sklearn", [], tmp_path)[0]
