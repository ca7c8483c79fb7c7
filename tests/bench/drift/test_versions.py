from __future__ import annotations

from pathlib import Path

import pytest

from bench.drift.versions import fetch, library, parsed, require_known
from engines.base import EngineSpec
from engines.catalog import BASELINE, REFERENCE, engine
from engines.ort.engine import OrtEngine
from export.errors import UserError

ORT = engine(EngineSpec(OrtEngine.name))


def test_versions_are_read_and_a_text_that_is_none_is_refused() -> None:
    assert parsed(["onnxruntime=1.23.2"], "--before") == {"onnxruntime": "1.23.2"}
    for text in ("onnxruntime", "=1.2", "onnxruntime=newest"):
        with pytest.raises(UserError, match="--before takes LIBRARY=VERSION"):
            parsed([text], "--before")


def test_a_version_of_a_library_that_no_engine_has_is_refused() -> None:
    require_known({"onnxruntime": "1"}, [ORT], "--after")
    with pytest.raises(UserError, match="Unknown library 'openvino'"):
        require_known({"openvino": "2025.4"}, [ORT], "--after")


@pytest.mark.parametrize("name", [BASELINE, REFERENCE])
def test_an_engine_without_a_library_of_its_own_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="no library whose versions could be compared"):
        library(engine(EngineSpec(name)))


def test_a_wheel_that_is_there_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "onnxruntime-1.23.2-cp311-cp311-manylinux_2_27_x86_64.whl"
    file.touch()
    assert fetch("onnxruntime", "1.23.2", tmp_path).file == file


@pytest.mark.network
def test_a_version_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no onnxruntime==0\.0\.1 for Python") as refused:
        fetch("onnxruntime", "0.0.1", tmp_path)
    assert "1.2" in refused.value.why
