"""Rank correlations: scipy's, over backbones and not over cells."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_records import ODD, Lab
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr

from bench.correlations import main
from bench.records import stats
from bench.records.results import Results
from bench.verdict.correlations import choose, correlations
from bench.verdict.sheet import Column, Sheet
from bench.verdict.table import sheet_of
from export.errors import UserError


def sheet(values: list[list[float]], parameters: list[float] | None = None, lower: int = -1) -> Sheet:
    numbers = np.array(values, float)
    n, s = numbers.shape
    return Sheet(
        labels=tuple({"backbone": f"b{i}", "engine": "ort:cpu", "precision": "fp32"} for i in range(n)),
        settings=tuple(Column(f"s{j}", higher_is_better=j != lower) for j in range(s)),
        values=numbers,
        errors=np.full(numbers.shape, np.nan),
        costs=(Column("parameters_m", "10⁶", False),) if parameters else (),
        cost_values=np.array(parameters or []).reshape(n, -1),
        status=tuple("ok" for _ in range(n)),
        why=("",) * n,
        flags=((),) * n,
    )


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-3, 3)), min_size=3, max_size=12))
def test_spearman_is_scipy_s_with_ties(pairs: list[tuple[int, int]]) -> None:
    x, y = np.array(pairs, float).T
    [found] = stats.spearman(x[None], y[None])
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(spearmanr(x, y).statistic, abs=1e-9)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-3, 3)), min_size=2, max_size=12))
def test_kendall_is_scipy_s_with_ties(pairs: list[tuple[int, int]]) -> None:
    x, y = np.array(pairs, float).T
    assert stats.kendall(x, y) == pytest.approx(kendalltau(x, y).statistic, abs=1e-9, nan_ok=True)


def test_rows_are_correlated_each_on_its_own() -> None:
    x, y = np.random.default_rng(0).integers(0, 6, size=(2, 30, 9)).astype(float)
    np.testing.assert_allclose(stats.spearman(x, y), [spearmanr(a, b).statistic for a, b in zip(x, y, strict=True)])


def test_tasks_and_sizes_are_paired_over_the_backbones_that_have_both() -> None:
    values = [[1.0, 5.0, np.nan], [2.0, 4.0, 1.0], [3.0, 3.0, 2.0], [4.0, 2.0, 3.0], [5.0, 1.0, 4.0], [6.0, 0.0, 5.0]]
    found = {(c.one, c.other): c for c in correlations(sheet(values, [1, 2, 3, 5, 4, 6]), range(6))}
    assert [(c.n, c.rho) for c in found.values()][:3] == [(6, -1), (5, 1), (5, pytest.approx(-1))]
    size = found["s0", "parameters_m"]
    assert size.rho == pytest.approx(spearmanr(range(6), [1, 2, 3, 5, 4, 6]).statistic)
    assert (size.low or 0) < 0.9 < (size.high or 0)
    assert ("parameters_m", "s0") not in found


def test_a_task_where_lower_is_better_counts_from_worse_to_better() -> None:
    values = [[float(i), float(i)] for i in range(6)]
    [found] = correlations(sheet(values, lower=1), range(6))
    assert found.rho == -1


@pytest.mark.parametrize(
    ("n", "values", "rho", "note"),
    [
        (2, [[1.0, 1], [2, 2]], None, "2 of the 3"),
        (4, [[1.0, 1], [2, 2], [3, 3], [4, 4]], 1, "no interval: 4 of the 5"),
        (5, [[1.0, 7], [2, 7], [3, 7], [4, 7], [5, 7]], None, "all equal"),
    ],
)
def test_what_cannot_be_told_is_said(n: int, values: list[list[float]], rho: float | None, note: str) -> None:
    [found] = correlations(sheet(values), range(n))
    assert (found.n, found.rho, found.low, found.high) == (n, rho, None, None)
    assert note in found.note


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Two independent columns: zero should lie inside in about 95 of 100 cases."""
    random = np.random.default_rng(0)
    inside = 0
    for seed in range(60):
        [found] = correlations(sheet(random.normal(size=(20, 2)).tolist()), range(20), seed)
        inside += (found.low or 0) <= 0 <= (found.high or 0)
    assert 50 <= inside <= 60


def test_one_cell_stands_for_a_backbone() -> None:
    found = sheet_of(Results(tuple(Lab().records())))
    choice = choose(found)
    assert (choice.engine, choice.precision) == ("openvino:cpu", "fp32")
    names = [found.labels[row]["backbone"] for row in choice.rows]
    assert sorted(names) == sorted(Lab().backbones)  # the untrained, the broken and the one off parity are no rows
    assert choose(found, "ort:cpu").engine == "ort:cpu"
    fewer = [r for r in Lab().records() if r.cell.engine == "ort:cpu" or r.cell.backbone != "made_up_tiny"]
    assert choose(sheet_of(Results(tuple(fewer)))).engine == "ort:cpu"


def test_the_command_prints_markdown_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Lab().write(tmp_path)
    assert main([str(folder), "--engine", "ort:cpu"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("5 backbones, fp32 on ort:cpu.")
    values = sheet_of(Results(tuple(Lab().records())))
    knn, linear = values.values[list(choose(values, "ort:cpu").rows), :2].T
    assert f"| knn@drawings | linear_probe@drawings | 5 | {spearmanr(knn, linear).statistic:.2f} | " in out
    assert "| knn@drawings | parameters_m | 5 |" in out
    assert main([str(folder), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["engine"], len(document["backbones"])) == ("openvino:cpu", 5)
    assert {c["other"] for c in document["correlations"]} >= {"gmacs", "latency_p50_ms", "parameters_m"}
    gmacs = [c for c in document["correlations"] if c["other"] == "gmacs"]
    assert {c["rho"] for c in gmacs} == {None}  # made up: all alike


def test_a_data_set_is_one_whatever_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = replace(Lab(), data=ODD).write(tmp_path)
    assert main([str(folder)]) == 0
    assert "| knn@a→b\\|c@d | linear_probe@a→b\\|c@d | 5 |" in capsys.readouterr().out
    assert main([str(folder), "--json"]) == 0
    odd = json.loads(capsys.readouterr().out)["correlations"]
    plain = correlations(found := sheet_of(Results(tuple(Lab().records()))), choose(found).rows)
    assert [c["rho"] for c in odd] == [c.rho for c in plain]
    assert (odd[0]["one"], odd[0]["other"]) == (f"knn@{ODD}", f"linear_probe@{ODD}")


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    folder = str(Lab().write(tmp_path / "all"))
    with pytest.raises(UserError, match="Unknown engine of a scored cell 'ort:gpu'"):
        main([folder, "--engine", "ort:gpu"])
    with pytest.raises(UserError, match="Unknown precision of a scored cell 'int8'"):
        main([folder, "--precision", "int8"])
    Lab().timing("made_up_base", "ort:cpu").write(tmp_path / "timed")
    with pytest.raises(UserError, match="no scored cell"):
        main([str(tmp_path / "timed")])
    untrained = replace(Lab().score("made_up_base", "ort:cpu", "knn"), cell=Lab().cell("made_up_base", "ort:cpu", True))
    untrained.write(tmp_path / "random")
    with pytest.raises(UserError, match=r"no scored cell(.|\n)*untrained"):
        main([str(tmp_path / "random")])
