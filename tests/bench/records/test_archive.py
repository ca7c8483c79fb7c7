from __future__ import annotations

import gc
import lzma
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_records import Lab
from hypothesis import example, given
from hypothesis import strategies as st

from bench.records.archive import BITS, pack, unpack
from bench.records.parts import Failure
from bench.records.record import Record, ScoreRecord, TimingRecord
from bench.records.results import Results
from bench.records.stats import is_mean
from bench.verdict.ranking import Ranking
from bench.verdict.row import Row
from bench.verdict.table import rows, sheet_of
from export.errors import UserError

POEM = b'[{"kind": "poem", "schema": 3}]\n'
SCORE = Lab().score("made_up_base", "ort:cpu", "retrieval")


def write(records: Sequence[Record], path: Path, bits: int = BITS) -> int:
    return path.write_bytes(pack(records, bits))


def again(tmp_path: Path, record: ScoreRecord, bits: int = 10) -> ScoreRecord:
    write([record], tmp_path / "one.xz", bits)
    [found] = unpack((tmp_path / "one.xz").read_bytes(), "one.xz")
    assert isinstance(found, ScoreRecord)
    return found


def test_what_tables_show_survives_and_what_they_do_not_use_is_left_out(tmp_path: Path) -> None:
    records = Lab().records()
    size = write(records, tmp_path / "all.xz")
    assert size == (tmp_path / "all.xz").stat().st_size < 15_000
    folder = Results(tuple(records))
    file = Results.load(tmp_path / "all.xz")
    assert len(file.records) == len(records)
    before, after = Ranking(sheet_of(folder)), Ranking(sheet_of(file))
    assert [s.rank for s in after.standings] == [s.rank for s in before.standings]
    assert [s.z for s in after.standings] == pytest.approx([s.z for s in before.standings])
    assert after.foot() == before.foot()
    np.testing.assert_allclose(after.sheet.cost_values, before.sheet.cost_values, rtol=1e-6)

    def judged(row: Row) -> tuple[object, ...]:
        return str(row.cell), row.judge(), row.flags, row.about, row.parity

    assert list(map(judged, rows(file)[0])) == list(map(judged, rows(folder)[0]))
    timings = [r for r in file.records if isinstance(r, TimingRecord)]
    assert not any(series.samples for r in timings for series in r.series)


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    write(Lab().records(), tmp_path / "one.xz")
    write(Lab().records()[::-1], tmp_path / "two.xz")
    assert (tmp_path / "one.xz").read_bytes() == (tmp_path / "two.xz").read_bytes()


def test_right_and_wrong_answers_survive_exactly(tmp_path: Path) -> None:
    assert again(tmp_path, SCORE).per_sample == SCORE.per_sample
    draws = [100 * k / 200 for k in (150, 163, 171)]
    shares = np.linspace(0, 100, 101).tolist()
    found = again(tmp_path, replace(SCORE, per_sample=shares, per_draw=draws))
    assert found.per_sample == pytest.approx(shares)
    assert found.per_draw == pytest.approx(draws)


@given(st.lists(st.floats(0, 100), min_size=2, max_size=50), st.integers(8, 16))
@example([0.0, 2.0**-14], 8)
def test_other_scores_are_rounded_and_the_metric_stays_their_mean(
    tmp_path_factory: pytest.TempPathFactory, values: list[float], bits: int
) -> None:
    metric = replace(SCORE.main, value=float(np.mean(values)))
    found = again(tmp_path_factory.mktemp("a"), replace(SCORE, per_sample=values, metrics=(metric,)), bits)
    assert np.abs(np.array(found.per_sample) - values).max() <= np.ptp(values) / 2**bits + 1e-5
    assert is_mean(found.per_sample, found.main.value)


def test_a_metric_that_is_no_mean_is_left_alone(tmp_path: Path) -> None:
    found = again(tmp_path, replace(SCORE, per_sample=[1.234, 5.678], metrics=(replace(SCORE.main, value=50.0),)))
    assert found.main.value == 50


def test_no_path_and_no_traceback_of_the_machine_is_published(tmp_path: Path) -> None:
    about = replace(SCORE.about, source={"weights": "/home/somebody/weights.safetensors", "of": ["/a/b"]})
    failure = Failure("KeyError", "A bug", "", "", 'Traceback\n  File "/home/somebody/x.py"\nKeyError: 3\n')
    found = again(tmp_path, replace(SCORE, about=about, failure=failure))
    assert found.about.source == {"weights": "weights.safetensors", "of": ["b"]}
    assert found.failure == replace(failure, traceback="KeyError: 3")
    assert b"somebody" not in lzma.decompress((tmp_path / "one.xz").read_bytes())


@pytest.mark.parametrize("content", [b"", b"no xz", lzma.compress(b"{}"), lzma.compress(POEM)])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.xz").write_bytes(content)
    with pytest.raises(UserError, match="is not a file of records"):
        Results.load(tmp_path / "other.xz")
    assert gc.isenabled()
