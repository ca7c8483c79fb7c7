from __future__ import annotations

from pathlib import Path

import pytest
from fakes import photograph

from export.convert.photographs import photographs
from export.errors import UserError
from export.lower.calibration import of_folder
from export.spec import PreprocessSpec
from export.store import Store


def test_one_of_them_that_is_cut_off_is_named(tmp_path: Path, store: Store) -> None:
    for number in range(8):
        (tmp_path / f"{number}.jpg").write_bytes(photograph(number))
    assert len(photographs(store, tmp_path)) == 8
    assert len(of_folder(tmp_path).pixels(["2.jpg"], PreprocessSpec(8, 8))) == 1
    (tmp_path / "2.jpg").write_bytes(photograph(2)[:-50])
    with pytest.raises(UserError, match=r"2\.jpg cannot be decoded\.\nIts JPEG data are damaged or cut off"):
        photographs(store, tmp_path)
    with pytest.raises(UserError, match=r"2\.jpg cannot be decoded\.\nIts JPEG data are damaged or cut off"):
        of_folder(tmp_path).pixels(["2.jpg"], PreprocessSpec(8, 8))
