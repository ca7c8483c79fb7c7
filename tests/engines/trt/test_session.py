"""Execution of TensorRT plans: on a device that keeps the rules, and, where there is a GPU, on that."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fakes
import numpy as np
import pytest
from fake_trt import SIDE, Stage, plan_in, wanted
from hypothesis import given
from hypothesis import strategies as st

from engines.base import EngineSpec, Pixels, Profile
from engines.catalog import engine
from engines.cuda import device as cuda_device
from engines.cuda.nvrtc import Program
from engines.trt.flavour import RTX
from engines.trt.session import TrtSession
from export.artifact import Artifact
from export.errors import CellError, Unavailable, UserError
from export.reference import resize_and_crop
from export.store import Store


def drawn(count: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.fixture(params=[True, False], ids=["graphs", "no graphs"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Stage:
    return Stage(tmp_path, graphs=request.param)


def test_features_at_every_batch_size_and_nothing_is_left(stage: Stage) -> None:
    with stage.open() as session:
        for seed, batch in enumerate((1, 4, 1, 4)):
            pixels = drawn(batch, seed)
            np.testing.assert_array_equal(session.run(pixels)["features"], wanted(pixels))
        assert stage.driver.graphs == (2 if stage.graphs else 0)
        allocated = len(stage.driver.memory)
        session.run(drawn(4))
        assert len(stage.driver.memory) == allocated == 4  # pixels and features of each batch size, once
        assert session.placement().nodes == {"gpu": 1}
    assert not stage.driver.memory
    assert stage.driver.graphs == 0
    assert stage.driver.closed


def test_results_belong_to_the_caller(stage: Stage) -> None:
    with stage.open() as session:
        first = session.run(drawn(1, 1))["features"]
        kept = first.copy()
        session.run(drawn(1, 2))
        np.testing.assert_array_equal(first, kept)


@given(seed=st.integers(0, 2**32), sizes=st.lists(st.sampled_from([1, 4]), max_size=12), graphs=st.booleans())
def test_streaming_never_mixes_batches(
    tmp_path_factory: pytest.TempPathFactory, seed: int, sizes: list[int], graphs: bool
) -> None:
    stage = Stage(tmp_path_factory.mktemp("plan"), graphs, seed=seed)
    batches = [drawn(size, number) for number, size in enumerate(sizes)]
    with stage.open() as session:
        found = [result["features"] for result in session.stream(iter(batches))]
    assert len(found) == len(batches)
    for features, pixels in zip(found, batches, strict=True):
        np.testing.assert_array_equal(features, wanted(pixels))
    assert not stage.driver.memory


def test_two_queries_are_in_flight_and_an_iterator_may_be_left(stage: Stage) -> None:
    taken: list[int] = []

    def endless() -> Iterator[Pixels]:
        for number in range(100):
            taken.append(number)
            yield drawn(1, number)

    with stage.open() as session:
        results = session.stream(endless())
        np.testing.assert_array_equal(next(results)["features"], wanted(drawn(1, 0)))
        assert taken == [0, 1, 2]  # two are under way when the first comes back
        results.close()
        assert not any(stream.queue for stream in stage.driver.streams.values())
        np.testing.assert_array_equal(session.run(drawn(4, 9))["features"], wanted(drawn(4, 9)))


def test_several_threads_may_call(tmp_path: Path) -> None:
    stage = Stage(tmp_path, streams=2)
    failed: list[str] = []
    with stage.open() as session:

        def work(seed: int) -> None:
            for number in range(20):
                pixels = drawn(4, 100 * seed + number)
                if not np.array_equal(session.run(pixels)["features"], wanted(pixels)):
                    failed.append(f"{seed} {number}")

        # the fake's streams are not made for threads: the device runs whatever is queued when one of them waits
        work(0)
        threads = [threading.Thread(target=work, args=(seed,)) for seed in (1,)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failed


def test_the_devices_own_time(tmp_path: Path) -> None:
    stage = Stage(tmp_path, tick_ms=1e-6)
    with stage.open() as session:
        assert isinstance(session, TrtSession)
        assert session.device_ms(drawn(1), 5) == pytest.approx([1e-6] * 5)
        assert session.bare_ms(drawn(1), 3) == pytest.approx([1e-6] * 3)


def test_events_that_tell_more_than_has_passed_are_refused(tmp_path: Path) -> None:
    stage = Stage(tmp_path, tick_ms=1e6)
    with stage.open() as session, pytest.raises(CellError, match="more time than has passed"):
        session.device_ms(drawn(1), 3)


def test_too_little_memory_is_a_sentence_and_nothing_is_left(tmp_path: Path) -> None:
    stage = Stage(tmp_path, size=10_000)
    with stage.open() as session:
        with pytest.raises(CellError, match="out of memory: 0 MiB were needed") as failure:
            session.run(drawn(4))
        assert "--batches 1" in failure.value.remedy
        np.testing.assert_array_equal(session.run(drawn(1))["features"], wanted(drawn(1)))
    assert not stage.driver.memory
    tight = Stage(tmp_path, size=100)
    with pytest.raises(CellError, match="GPU is out of memory"):
        tight.open()
    assert not tight.driver.memory
    assert tight.driver.closed


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"loads": False}, "does not load this plan"),
        ({"opens": False}, "cannot open this plan"),
        ({"fails": True}, "failed while running"),
        ({"tensors": {"pixels": "float", "features": "float"}}, "does not belong to this network"),
        ({"tensors": {"pixels": "uint8", "logits": "float"}}, "does not belong to this network"),
        ({"batches": (2, 8)}, "has no profile for batches of 1"),
    ],
)
def test_what_the_library_refuses_is_a_sentence(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    stage = Stage(tmp_path)
    for name, value in change.items():
        setattr(stage.library, name, value)
    with pytest.raises(CellError, match=sentence) as failure:
        stage.open()
    assert failure.value.why or sentence.startswith("has no profile")
    assert not stage.driver.memory
    assert stage.driver.closed


def test_a_wrong_batch_is_refused_before_anything_is_enqueued(stage: Stage) -> None:
    with stage.open() as session:
        for call in (session.run, lambda p: next(session.stream([p])), lambda p: session.device_ms(p, 1)):
            with pytest.raises(UserError, match="not built for batches of 3"):
                call(drawn(3))
    with pytest.raises(UserError, match="closed"):
        session.run(drawn(1))


def test_without_a_driver_there_is_a_sentence(tmp_path: Path) -> None:
    if cuda_device.device() is not None:
        pytest.skip("there is a GPU")
    pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT-RTX is not installed")
    with pytest.raises(Unavailable, match="driver"):
        TrtSession(plan_in(tmp_path), RTX)


@pytest.mark.gpu
@pytest.mark.parametrize("provider", ["gpu", "nograph", "dynamic"])
@pytest.mark.parametrize("name", ["trt", "trt-rtx"])
def test_a_real_gpu_computes_what_the_processor_does(
    name: str, provider: str, artifact: Artifact, room: Store, pixels: Pixels
) -> None:
    runner = engine(EngineSpec(name, provider))
    found = runner.available()
    if not found.ok:
        pytest.skip(found.reason)
    plan = runner.plan(artifact, Profile((1, 4)), room)
    reference = engine("ort:cpu")
    with runner.load(plan) as session, reference.load(reference.plan(artifact, Profile((1, 4)), room)) as known:
        close = known.run(pixels)["features"]
        assert isinstance(session, TrtSession)
        np.testing.assert_allclose(session.run(pixels)["features"], close, rtol=1e-2, atol=1e-3)
        for result in session.stream([pixels] * 5):
            np.testing.assert_allclose(result["features"], close, rtol=1e-2, atol=1e-3)
        assert len(session.device_ms(pixels, 10)) == 10
        assert session.placement().nodes


# -- photographs, preprocessed on the device -------------------------------------------------------------------------


def taken(count: int, seed: int, largest: int = 90) -> list[Pixels]:
    draw = np.random.default_rng(seed)
    return [draw.integers(0, 256, (*draw.integers(1, largest, 2), 3), dtype=np.uint8) for _ in range(count)]


def wanted_of(photographs: list[Pixels]) -> Any:
    return wanted(np.stack([resize_and_crop(photograph, fakes.SPEC) for photograph in photographs]))


def test_photographs_of_any_size_become_features_in_one_graph(stage: Stage, host_code: Program) -> None:
    with stage.open() as session:
        for seed, (batch, largest) in enumerate([(1, 40), (4, 90), (1, 400), (4, 30), (4, 300), (1, 2)]):
            photographs = taken(batch, seed, largest)
            found = session.run_photographs(photographs, host_code)["features"]
            np.testing.assert_array_equal(found, wanted_of(photographs))
            pixels = drawn(batch, seed)  # and what is given as pixels is still that
            np.testing.assert_array_equal(session.run(pixels)["features"], wanted(pixels))
        assert stage.driver.graphs == (4 if stage.graphs else 0)
    assert stage.driver.memory == {}
    assert stage.driver.graphs == 0


@given(seed=st.integers(0, 30))
def test_threads_with_photographs_do_not_mix_them_up(
    seed: int, host_code: Program, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stage = Stage(tmp_path_factory.mktemp("plan"), streams=2, seed=seed)
    with stage.open() as session:
        given = [taken(4, 10 * seed + i) for i in range(3)]
        found: dict[int, Any] = {}
        lock = threading.Lock()  # the fake device is no thread's but one's at a time

        def work(i: int) -> None:
            with lock:
                found[i] = session.run_photographs(given[i], host_code)["features"]

        threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for i, photographs in enumerate(given):
            np.testing.assert_array_equal(found[i], wanted_of(photographs))


def test_photographs_that_do_not_fit_say_so_and_leave_nothing(stage: Stage, host_code: Program) -> None:
    session = stage.open()
    too_large = [np.zeros((4000, 4000, 3), np.uint8)]
    with pytest.raises(CellError, match="MiB were needed"):
        session.run_photographs(too_large, host_code)
    photographs = taken(1, 3)
    np.testing.assert_array_equal(session.run_photographs(photographs, host_code)["features"], wanted_of(photographs))
    session.close()
    assert stage.driver.memory == {}


@pytest.mark.parametrize(
    ("photographs", "message"),
    [
        ([np.zeros((4, 4), np.uint8)], "uint8 \\[h, w, 3\\]"),
        ([np.zeros((4, 4, 3), np.float32)], "float32"),
        ([np.zeros((0, 4, 3), np.uint8)], "uint8 \\[h, w, 3\\]"),
        ([np.zeros((4, 4, 3), np.uint8)] * 3, "not built for batches of 3"),
    ],
)
def test_what_is_no_batch_of_photographs_is_refused(
    stage: Stage, host_code: Program, photographs: list[Any], message: str
) -> None:
    with stage.open() as session, pytest.raises(UserError, match=message):
        session.run_photographs(photographs, host_code)


def test_a_closed_session_takes_no_photographs(stage: Stage, host_code: Program) -> None:
    session = stage.open()
    session.close()
    with pytest.raises(UserError, match="closed"):
        session.run_photographs(taken(1, 0), host_code)


def test_preprocessing_and_inference_are_timed_as_one(tmp_path: Path, host_code: Program) -> None:
    stage = Stage(tmp_path, tick_ms=0.25)
    session = stage.open()
    assert session.photographs_ms(taken(4, 1), host_code, 5) == [0.25] * 5
    session.close()
