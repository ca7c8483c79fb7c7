from __future__ import annotations

import errno
import pickle

import pytest

from export.errors import CellError, OutOfSpace, UserError, disk_full, unknown


def test_an_error_is_three_short_lines() -> None:
    assert str(UserError("It broke.", "Because.", "fix it")) == "It broke.\nBecause.\nTry: fix it"
    assert str(UserError("It broke.")) == "It broke."


def test_errors_cross_process_borders_whole() -> None:
    error = pickle.loads(pickle.dumps(CellError("a", "b", "c")))
    assert (type(error), error.what, error.why, error.remedy) == (CellError, "a", "b", "c")


def test_unknown_suggests_the_nearest() -> None:
    assert "vit_b" in unknown("backbone", "vit-b", ["vit_b", "resnet50"]).why
    assert "resnet50" in unknown("backbone", "zzz", ["vit_b", "resnet50"]).why


def test_only_a_full_disk_is_a_full_disk() -> None:
    assert isinstance(disk_full(OSError(errno.EDQUOT, "quota"), "writing"), OutOfSpace)
    with pytest.raises(OSError, match="broken"):
        disk_full(OSError(errno.EIO, "broken"), "writing")
