"""The scenario search: the index that it says it is, and costs that are its own."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from fake_clock import Ticking
from fakes import MeanColour, PillowPath, photograph, plan

from bench.measure.clock import Series
from bench.measure.criterion import Stopped
from bench.measure.queries import Queries
from bench.measure.scenarios.base import Settings, Setup
from bench.measure.scenarios.catalog import SCENARIOS, scenario
from bench.measure.scenarios.search import SIZES, Floats, Search, indexes
from bench.sweep.expansion import expand
from bench.sweep.spec import SweepSpec
from export.errors import Unavailable, UserError
from export.store import Store
from tasks.scoring.features import l2_normalized, on_grid

faiss = pytest.importorskip("faiss")


def features(rows: int = 16, width: int = 20) -> Floats:
    return np.random.default_rng(0).standard_normal((rows, width)).astype(np.float32)


def queries(count: int = 6) -> Queries:
    path, encoded = PillowPath(), [photograph(i) for i in range(count)]
    return Queries(np.stack([path(e) for e in encoded]), encoded)


def test_every_scenario_can_be_had_by_its_name() -> None:
    for name in SCENARIOS:
        assert scenario(name).name == name
    with pytest.raises(UserError, match="Did you mean search"):
        scenario("serch")


@pytest.mark.parametrize("kind", SIZES)
def test_each_index_finds_a_feature_and_its_nearest_copies(kind: str) -> None:
    base = features()
    look = indexes(base, 20_000)[kind]
    for i in range(len(base)):
        scores, rows = look(base[i : i + 1])
        assert rows.shape == scores.shape == (1, 10)
        assert (rows % len(base) == i).all()


def test_the_float_index_is_an_exact_search() -> None:
    base, other = features(), features()[:1, ::-1].copy()
    _, [found] = indexes(base, len(base))["search"](other)
    similarity = on_grid(l2_normalized(other)) @ on_grid(l2_normalized(base)).T
    np.testing.assert_array_equal(found, np.argsort(-similarity[0])[:10])


@pytest.mark.parametrize("width", [3, 20, 64])
def test_the_bytes_are_those_that_faiss_holds(width: int) -> None:
    small, large = (Search().sizes(width, Settings(index_size=n)) for n in (1000, 3000))
    assert [m.name for m in small] == ["index_mib", "index_int8_mib", "index_binary_mib"]
    base = features(16, width)
    for at, index in enumerate((faiss.IndexFlatIP(width), eight(width), faiss.IndexBinaryFlat(8 * -(-width // 8)))):
        codes = np.packbits(base > 0, axis=1) if at == 2 else base
        write = faiss.serialize_index_binary if at == 2 else faiss.serialize_index
        before = len(write(index))
        for _ in range(125):
            index.add(codes)
        gained = (large[at].value or 0) - (small[at].value or 0)
        assert gained * 2**20 == pytest.approx(len(write(index)) - before)


def eight(width: int) -> object:
    index = faiss.IndexScalarQuantizer(width, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    index.train(features(64, width))
    return index


def test_a_run_gives_a_series_for_each_index_and_leaves_faiss_its_threads() -> None:
    session, threads = MeanColour(plan()), faiss.omp_get_max_threads()
    settings = Settings(0.02, index_size=300)
    found = Search().run(Setup(session, queries(), settings, PillowPath()))
    assert faiss.omp_get_max_threads() == threads
    assert list(found) == ["features", *SIZES]
    assert session.seen == [1] * 6, "the features are those that the session emits for the images in rotation"
    assert len(found["features"].warm_up) == 5
    assert all(len(found[kind].samples) >= settings.samples for kind in SIZES)
    names = [m.name for m in Search().metrics([found], settings)]
    assert names[0] == "search_p50_ms"
    assert {"search_int8_p50_ms", "search_binary_p50_ms", "search_p90_ms", "search_binary_p99_ms"} <= set(names)
    assert len(set(names)) == len(names)


def test_its_clock_is_the_one_that_it_is_given() -> None:
    """The clock moves by a millisecond whenever it is read, and by nothing else: each look-up has one."""
    settings = Settings(0.2, index_size=50)
    found = Search().run(Setup(MeanColour(plan()), queries(), settings, PillowPath(), Ticking().now))
    assert found["features"].warm_up == [1_000_000] * 5
    assert found["features"].samples == []
    for kind in SIZES:
        assert set(found[kind].samples) == {1_000_000}
        assert not found[kind].stopped.timeout
    windows = [(series.begin_ns, series.end_ns) for series in found.values()]
    assert all(end <= begin for (_, end), (begin, _) in pairwise(windows))


def test_percentiles_follow_the_rule_of_the_other_scenarios() -> None:
    stopped = Stopped(False, "", None)
    run = {kind: Series(0, [], [1_000_000 * (at + 1)] * 70, True, 0, 0, stopped) for at, kind in enumerate(SIZES)}
    found = {m.name: m for m in Search().metrics([run], Settings())}
    assert [found[f"{kind}_p50_ms"].value for kind in SIZES] == [1, 2, 3]
    assert found["search_int8_p90_ms"].value == 2
    assert found["search_int8_p99_ms"].value is None
    assert "662" in found["search_int8_p99_ms"].note


def test_a_session_that_computes_nothing_can_be_searched_too() -> None:
    looks = indexes(np.zeros((4, 8), np.float32), 50)
    assert all(len(look(np.zeros((1, 8), np.float32))) == 2 for look in looks.values())


def test_the_size_of_the_index_is_part_of_what_is_compared() -> None:
    assert Search().asks(Settings(index_size=7000)) == {"index_size": 7000, "neighbours": 10}
    assert scenario("offline").asks(Settings(index_size=7000)) == {}
    with pytest.raises(UserError, match="index_size must be at least 10"):
        SweepSpec(("a",), ("b",), ("c",), (), (), index_size=9)


def test_without_faiss_the_sweep_does_not_begin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    sweep = SweepSpec(("vit_t@random",), ("torch",), ("toy",), (), ("search",))
    with pytest.raises(Unavailable, match=r"needs faiss(.|\n)*pip install 'backbones-deployed\[search\]'"):
        expand(sweep, Store(tmp_path))
