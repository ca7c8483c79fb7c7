from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.measure import sysfs


def test_space_and_the_zero_byte_around_a_value_are_not_of_it(tmp_path: Path) -> None:
    file = tmp_path / "model"
    file.write_bytes(b"Raspberry Pi 5\0\n")
    assert sysfs.text(file) == "Raspberry Pi 5"
    file.write_bytes(b"-274000\n")
    assert sysfs.number(file) == -274000


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"0x10", b"12 13"])
def test_what_is_no_number_is_none(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "value"
    file.write_bytes(content)
    assert sysfs.number(file) is None


def test_a_missing_file_and_a_folder_say_nothing(tmp_path: Path) -> None:
    assert sysfs.text(tmp_path / "missing") == sysfs.text(tmp_path) == ""


def test_a_sensor_that_says_try_again_says_nothing(tmp_path: Path) -> None:
    """A pipe whose writer is silent answers EAGAIN, as a sleeping sensor does."""
    pipe = tmp_path / "temp"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        assert sysfs.text(pipe) == ""
    finally:
        os.close(writer)
