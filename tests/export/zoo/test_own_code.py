from __future__ import annotations

import sys
from pathlib import Path

import pytest

from export.convert.onnx_from_torch import artifact_key
from export.store import Store
from export.zoo.backbones import resolve
from export.zoo.own_code import digest


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {
        "net.py": "import torch\nimport layers\nfrom parts import blocks\ndef make(): ...",
        "layers.py": "import json",
        "parts/__init__.py": "",
        "parts/blocks.py": "from . import norms\nfrom .deep.core import core\nimport other",
        "parts/norms.py": "",
        "parts/deep/__init__.py": "from ...nowhere import x",
        "parts/deep/core.py": "from ..norms import y\ndef core(): import late",
        "late.py": "",
        "unused.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_an_edit_of_any_file_that_it_uses_is_another_network(project: Path, store: Store) -> None:
    seen = {digest("net:make")}
    keys = {artifact_key(resolve("net:make"), store)}
    used = ["net.py", "layers.py", *(f"parts/{n}.py" for n in ("__init__", "blocks", "norms")), "late.py"]
    for name in [*used, "parts/deep/__init__.py", "parts/deep/core.py"]:
        with (project / name).open("a") as file:
            file.write("\n# changed")
        seen.add(digest("net:make"))
        keys.add(artifact_key(resolve("net:make"), store))
    assert len(seen) == len(keys) == 9
    (project / "unused.py").write_text("changed = True")
    assert digest("net:make") in seen
    assert not {"net", "layers", "parts.blocks"} & set(sys.modules), "reading sources imports nothing"


def test_a_module_in_a_package_is_found_with_the_packages_around_it(project: Path) -> None:
    before = digest("parts.deep.core:core")
    (project / "parts" / "__init__.py").write_text("changed = True")
    assert digest("parts.deep.core:core") != before


@pytest.mark.parametrize("target", ["no_such_module:make", "sys:exit", "a..b:c", ":"])
def test_what_has_no_source_has_no_digest(project: Path, target: str) -> None:
    assert digest(target) == ""


def test_of_an_installed_package_only_its_own_files_count() -> None:
    assert digest("timm.layers:to_2tuple")


def test_what_cannot_be_parsed_still_counts(project: Path) -> None:
    (project / "layers.py").write_text("def")
    before = digest("net:make")
    (project / "layers.py").write_text("def broken")
    assert digest("net:make") != before
