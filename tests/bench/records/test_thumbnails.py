from __future__ import annotations

from pathlib import Path

import pytest

from bench.records.thumbnails import Shown, place, read, write
from export.errors import UserError

TEST = [Shown(f"Katze/ä {number}.jpg", "Katze") for number in range(5)]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = place(tmp_path, "d1" * 32)
    write(path, TEST, {1: b"one", 4: b"four"})
    found = read(path)
    assert found.test == tuple(TEST)
    assert found.places == {1, 4}
    assert found.read([4, 1]) == [b"four", b"one"]
    assert place(tmp_path, "d2" * 32) != path


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(18)])
def test_a_file_that_is_no_archive_of_thumbnails_gets_a_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "test_x.zip").write_bytes(content)
    with pytest.raises(UserError, match="holds no thumbnails"):
        read(tmp_path / "test_x.zip")


def test_a_damaged_thumbnail_gets_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "test_x.zip"
    write(path, TEST, {1: b"one", 4: b"four"})
    path.write_bytes(path.read_bytes().replace(b"four", b"five"))
    with pytest.raises(UserError, match="holds no thumbnails") as error:
        read(path)
    assert error.value.why == "4.webp is damaged"
