"""The results folder is checked before any work: what is wrong with it is a sentence."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.evaluation import evaluate
from bench.run import main
from bench.sweep.desk import Desk
from bench.sweep.spec import SweepSpec
from export.errors import UserError
from export.store import Store


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "photos" / "a").mkdir(parents=True)
    return tmp_path / "photos"


def sweep(data: Path) -> SweepSpec:
    return SweepSpec(("resnet18",), ("ort",), (str(data),), ("knn",), ())


def test_a_desk_is_where_it_was_whatever_the_working_folder_becomes(
    tmp_path: Path, data: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    desk = Desk.open(Path("results"), sweep(data), store)
    monkeypatch.chdir(data)
    assert desk.records == tmp_path / "results" / "records"
    assert not desk.folder.exists(), "a dry run leaves nothing"


def test_results_do_not_lie_in_the_data_or_in_place_of_the_store(tmp_path: Path, data: Path, store: Store) -> None:
    (tmp_path / "link").symlink_to(data)
    for folder in (data, data / "results", data / "a", tmp_path / "link" / "results"):
        with pytest.raises(UserError, match="lies in the data set"):
            Desk.open(folder, sweep(data), store)
    with pytest.raises(UserError, match=r"lies in the data set(.|\n)*--store DIR"):
        Desk.open(tmp_path / "out", sweep(data), Store(data / "store"))
    with pytest.raises(UserError, match="cannot be both the results and the store"):
        Desk.open(store.root, sweep(data), store)
    Desk.open(tmp_path, sweep(data), store)  # beside the data is fine


def test_a_wall_meter_s_file_is_read_before_any_work(tmp_path: Path, data: Path, store: Store) -> None:
    file = tmp_path / "meter.csv"
    metered = replace(sweep(data), meter=str(file))
    with pytest.raises(UserError, match=r"meter\.csv cannot be read"):
        Desk.open(tmp_path / "out", metered, store)
    file.write_text("time,watts\n2026-11-29T02:00:00,10\n")
    with pytest.raises(UserError, match=r"Line 2 .* no offset from UTC"):
        Desk.open(tmp_path / "out", metered, store)
    file.write_text("time,watts\n")
    Desk.open(tmp_path / "out", metered, store)  # nothing has been written yet


def test_two_runs_do_not_write_to_one_folder(tmp_path: Path, data: Path, store: Store) -> None:
    one, other = (Desk.open(tmp_path / "out", sweep(data), store) for _ in range(2))
    with one.alone(), pytest.raises(UserError, match="Another run writes to"), other.alone():
        pass
    with other.alone():
        pass
    assert not (tmp_path / "out").exists(), "nothing ran"


def test_cores_that_are_not_here_are_refused_before_the_data_are_opened(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be used here: 8000\."):
        main(["--data", "gone", "--pin", "8000", "--out", str(tmp_path / "out"), "--store", str(tmp_path / "store")])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["out", "store"])
@pytest.mark.parametrize("door", ["command", "python"])
def test_every_door_checks_before_the_data_are_opened(tmp_path: Path, option: str, door: str) -> None:
    """The data set does not exist: the place is complained of first."""
    (tmp_path / "file").touch()
    places = {"out": tmp_path / "out", "store": tmp_path / "store", option: tmp_path / "file" / "below"}
    line = ["--data", "gone", "--out", str(places["out"]), "--store", str(places["store"])]
    by_call = functools.partial(evaluate, data="gone", out=places["out"], store=places["store"])
    opened: dict[str, Callable[[], object]] = {"command": lambda: main(line), "python": by_call}
    with pytest.raises(UserError, match=f"cannot be a folder(.|\n)*--{option} DIR"):
        opened[door]()
