from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_records import Lab

from bench import report
from bench.records.archive import pack, unpack
from bench.records.record import ScoreRecord
from bench.records.results import Results
from bench.records.thumbnails import Shown, place, write
from bench.report import __main__ as command
from bench.report import photographs as room
from bench.report.answers import answers
from bench.report.cells import order
from bench.verdict.ranking import Ranking
from bench.verdict.table import rows, sheet

LAB = Lab(n_test=80)


def kept(folder: Path, size: int = 100, test: int = LAB.n_test) -> None:
    shown = [Shown(f"photo {number}.jpg", "cat") for number in range(test)]
    write(place(folder, LAB.digest), shown, {number: bytes([number]) * size for number in range(test)})


def shown(folder: Path | None) -> tuple[str, str, dict[int, int]]:
    """The sentence, the elements, and of each test image the pairs that disagree on it."""
    found, remarks = rows(Results(tuple(LAB.records())))
    ranking = Ranking(sheet(found, remarks))
    places = order(ranking)
    entries, _ = answers(ranking, places)
    said, elements = room.photographs(ranking, found, places, entries, folder)
    right = [np.stack([ranking.sheet.samples[places[p], j] for p in e["places"]]) > 50 for j, e in enumerate(entries)]
    pairs = sum(one.sum(axis=0) * (~one).sum(axis=0) for one in right)
    return said, elements, dict(enumerate(np.asarray(pairs).tolist()))


def chosen(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[int]:
    """The test images whose thumbnails the page takes."""
    taken: list[int] = []
    real = room._chosen

    def watched(*given: object) -> dict[str, dict[int, bytes]]:
        found = real(*given)  # type: ignore[arg-type]
        taken.extend(found.get(LAB.digest, {}))
        return found

    monkeypatch.setattr(room, "_chosen", watched)
    shown(folder)
    return taken


def test_all_photographs_are_taken_on_which_some_pair_disagrees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(tmp_path)
    said, elements, pairs = shown(tmp_path)
    wanted = {number for number, count in pairs.items() if count}
    assert 0 < len(wanted) < LAB.n_test
    assert said.startswith(
        f"Thumbnails of all {len(wanted)} test photographs on which cells disagree lie in this page."
    )
    assert 'id="photographs"' in elements
    assert 'id="thumbnails"' in elements
    assert set(chosen(monkeypatch, tmp_path)) == wanted


@pytest.mark.parametrize(("most", "size"), [(7, 100), (300, 140_000)])
def test_a_page_holds_so_many_and_so_much_at_most_and_says_what_is_left_out(
    most: int, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(tmp_path, size)
    monkeypatch.setattr(room, "MOST", most)
    said, _, pairs = shown(tmp_path)
    taken = chosen(monkeypatch, tmp_path)
    assert len(taken) == 7
    assert said.startswith(f"Thumbnails of 7 of the {sum(map(bool, pairs.values()))} test photographs")
    assert min(pairs[number] for number in taken) >= max(c for n, c in pairs.items() if n not in taken)


@pytest.mark.parametrize("test", [0, 79])
def test_without_thumbnails_of_this_very_set_nothing_is_shown(test: int, tmp_path: Path) -> None:
    if test:
        kept(tmp_path, test=test)
    for folder in (tmp_path, None):
        assert shown(folder)[:2] == (room.NONE, "")


def test_a_damaged_archive_costs_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place(tmp_path, LAB.digest).write_bytes(b"damaged")
    assert shown(tmp_path)[1] == ""
    assert "holds no thumbnails" in capsys.readouterr().err


def test_photographs_are_left_out_where_that_is_asked_for_and_never_published(tmp_path: Path) -> None:
    records = tuple(LAB.records())
    for record in records:
        record.write(tmp_path / "results" / "records")
    kept(tmp_path / "results" / "pictures")
    pages = {}
    for option in ((), ("--no-photographs",)):
        assert command.main([str(tmp_path / "results"), "--out", str(tmp_path / "page.html"), *option]) == 0
        pages[option] = (tmp_path / "page.html").read_text()
    assert 'id="thumbnails"' in pages[()]
    assert 'id="thumbnails"' not in pages["--no-photographs",]
    assert room.NONE in pages["--no-photographs",]
    scores = [r for r in records if isinstance(r, ScoreRecord)]
    published = Results(unpack(pack([replace(r, picture="") for r in scores], 10), "published"))
    assert room.NONE in report.write(published, tmp_path / "published.html").read_text()
