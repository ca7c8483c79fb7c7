from __future__ import annotations

from pathlib import Path

import pytest

from bench.sweep.assembly import named_apart
from tasks.data.base import DataSet


def named(tmp_path: Path, *places: str) -> list[str]:
    given = []
    for place in places:
        path = tmp_path / place
        if "/" in place:
            path.mkdir(parents=True, exist_ok=True)
        ref = str(path) if "/" in place else place
        given.append((ref, DataSet(Path(place).name, (), (), "", lambda _: b"")))
    return [images.name for images in named_apart(given)]


@pytest.mark.parametrize(
    ("places", "names"),
    [
        (("a/photos", "b/pictures", "elpv"), ["photos", "pictures", "elpv"]),
        (("a/photos", "b/photos", "b/other"), ["a/photos", "b/photos", "other"]),
        (("a/x/photos", "b/x/photos"), ["a/x/photos", "b/x/photos"]),
        (("a/x/photos", "b/x/photos", "b/y/photos"), ["a/x/photos", "b/x/photos", "y/photos"]),
        (("mine/elpv", "elpv"), ["mine/elpv", "elpv"]),
    ],
)
def test_data_sets_of_one_name_are_named_with_their_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, places: tuple[str, ...], names: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert named(tmp_path, *places) == names
