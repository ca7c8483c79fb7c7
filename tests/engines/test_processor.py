"""Which of the processor's instructions are told, and that a plan's key knows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines import ov, torch_ref
from engines.base import Profile
from engines.catalog import engine
from engines.ort import engine as ort
from engines.processor import instructions


def test_x86_tells_what_its_kernels_depend_on(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("model name\t: some\nflags\t\t: fpu sse2 avx2 avx512f avx512_vnni\nflags\t: avx2\n")
    assert instructions(file)[1:] == ("avx2", "avx512_vnni", "avx512f")


def test_arm_tells_what_its_kernels_depend_on(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\n")
    assert instructions(file)[1:] == ("asimddp", "i8mm")


def test_a_system_that_lists_none_tells_its_processor(tmp_path: Path) -> None:
    assert len(instructions(tmp_path / "missing")) == 2


@pytest.mark.parametrize(("name", "module"), [("ort:cpu", ort), ("openvino:cpu", ov), ("torch:eager", torch_ref)])
def test_another_processor_means_another_plan(name: str, module: object, monkeypatch: pytest.MonkeyPatch) -> None:
    here = engine(name).plan_key("a", Profile((1,)))
    assert engine(name).plan_key("a", Profile((1,))) == here
    monkeypatch.setattr(module, "instructions", lambda: ("x86_64", "avx512_vnni", "amx_int8", "other"))
    assert engine(name).plan_key("a", Profile((1,))) != here
