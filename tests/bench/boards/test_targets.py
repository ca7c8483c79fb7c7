from __future__ import annotations

import sys

import pytest

from bench.boards.targets import TARGETS, target
from bench.boards.wheels import locked
from export.errors import UserError


@pytest.mark.parametrize("name", TARGETS)
def test_the_lock_has_the_wheels_of_every_board(name: str) -> None:
    found = locked(TARGETS[name], ["onnxruntime", "openvino", "ncnn"])
    assert len({pin.name for pin in found}) == 8
    assert all(pin.hashes for pin in found)


def test_jetpack_6_has_the_last_versions_for_its_python() -> None:
    found = {pin.name: pin.version for pin in locked(TARGETS["jp6"], ["onnxruntime"])}
    assert (found["onnxruntime"], found["pillow"]) == ("1.23.2", "12.3.0")
    assert found["numpy"].startswith("2.2.")


def test_any_other_board_is_named_by_python_glibc_and_processor() -> None:
    found = target("py3.11-manylinux_2_28_aarch64")
    assert (found.python, found.glibc, found.machine) == ("3.11", (2, 28), "aarch64")
    assert found.platform == "manylinux_2_28_aarch64"


@pytest.mark.skipif(sys.platform != "linux", reason="kits are made for Linux")
def test_here_is_this_interpreter() -> None:
    assert target("here").python == f"{sys.version_info.major}.{sys.version_info.minor}"


def test_an_unknown_board_is_told_how_any_can_be_named() -> None:
    with pytest.raises(UserError, match="Unknown target 'pi55'") as error:
        target("pi55")
    assert "pi5" in error.value.why
    assert "py3.11-manylinux" in error.value.remedy


def test_an_engine_without_wheels_is_said_before_anything_is_written() -> None:
    with pytest.raises(UserError, match="has no made-up for Jetson, JetPack 6"):
        locked(TARGETS["jp6"], ["made-up"])
