"""The scenarios on a clock that only the work moves: what they time is known to the nanosecond."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence

import numpy as np
import pytest
from fake_clock import Scripted
from fakes import MeanColour, PillowPath, photograph, plan

from bench.measure.clock import CLOCK, Series
from bench.measure.criterion import Stopped
from bench.measure.queries import Queries
from bench.measure.scenarios.base import Settings, Setup
from bench.measure.scenarios.catalog import scenario
from engines.base import Outputs, Pixels, Session

DECODE, RESIZE, RUN = 3_000_000, 2_000_000, 7_000_000
"""Nanoseconds that each takes, by the clock; a run takes them for every image."""
SETTINGS = Settings(1.0)
SHORT = Settings(seconds=0.02, samples=8)


class Slow(MeanColour):
    """A session whose work moves the clock, and whose first run takes five times as long."""

    def __init__(self, clock: Scripted) -> None:
        super().__init__(plan())
        self.clock = clock

    def _run(self, pixels: Pixels) -> Outputs:
        self.clock.pass_by(RUN * len(pixels) * (1 if self.seen else 5))
        return super()._run(pixels)


class Timed(Slow):
    """It times its device, which does half of the work."""

    def device_ms(self, pixels: Pixels, count: int) -> list[float]:
        return [RUN / 2e6] * count

    def bare_ms(self, pixels: Pixels, count: int) -> list[float]:
        return self.device_ms(pixels, count)


class SlowPath(PillowPath):
    """Preprocessing that moves the clock."""

    def __init__(self, clock: Scripted) -> None:
        super().__init__()
        self.clock = clock

    def decode(self, encoded: bytes) -> Pixels:
        self.clock.pass_by(DECODE)
        return super().decode(encoded)

    def resize(self, image: Pixels) -> Pixels:
        self.clock.pass_by(RESIZE)
        return super().resize(image)


class OnDevice(SlowPath):
    """The session preprocesses: what it is given was only decoded."""

    on_device = True

    def __call__(self, encoded: bytes) -> Pixels:
        return self.decode(encoded)

    def run(self, session: Session, images: Sequence[Pixels]) -> Outputs:
        return session.run(np.stack([PillowPath.resize(self, image) for image in images]))


@pytest.fixture
def clock() -> Scripted:
    return Scripted()


@pytest.fixture(scope="module")
def rotation() -> Queries:
    path, encoded = PillowPath(), [photograph(i) for i in range(5)]
    return Queries(np.stack([path(e) for e in encoded]), encoded)


def test_single_stream_times_runs_alone(clock: Scripted, rotation: Queries) -> None:
    session = Slow(clock)
    found = scenario("single_stream").run(Setup(session, rotation, SETTINGS, SlowPath(clock), clock.now))
    assert list(found) == ["latency"]
    latency = found["latency"]
    assert latency.first == 5 * RUN
    assert set(latency.samples) == set(latency.warm_up) == {RUN}
    assert len(latency.samples) == -(-(10**9) // RUN)
    assert latency.end_ns - latency.begin_ns == RUN * len(latency.samples)
    assert set(session.seen) == {1}
    metrics = {m.name: m.value for m in scenario("single_stream").metrics([found], SETTINGS)}
    assert metrics["latency_p50_ms"] == RUN / 1e6


def test_the_devices_own_times_have_the_window_of_the_series(clock: Scripted, rotation: Queries) -> None:
    found = scenario("single_stream").run(Setup(Timed(clock), rotation, SETTINGS, SlowPath(clock), clock.now))
    device, latency = found["device"], found["latency"]
    assert device.samples == [RUN // 2] * len(rotation)
    assert device.warm_up == []
    assert (device.begin_ns, device.end_ns, device.stopped) == (latency.begin_ns, latency.end_ns, latency.stopped)


def test_offline_shares_its_time_among_the_batches(clock: Scripted, rotation: Queries) -> None:
    found = scenario("offline").run(Setup(Slow(clock), rotation, SETTINGS, SlowPath(clock), clock.now))
    assert list(found) == ["batch_1", "batch_4"]
    for name, series in found.items():
        size = int(name.removeprefix("batch_"))
        assert set(series.samples) == {size * RUN}
        assert 0.5e9 <= series.end_ns - series.begin_ns < 0.5e9 + size * RUN
    assert found["batch_1"].end_ns <= found["batch_4"].begin_ns
    [best, *_] = scenario("offline").metrics([found], SETTINGS)
    assert best.value == pytest.approx(1e9 / RUN)


def test_end_to_end_is_the_sum_of_its_parts(clock: Scripted, rotation: Queries) -> None:
    found = scenario("end_to_end").run(Setup(Slow(clock), rotation, SETTINGS, SlowPath(clock), clock.now))
    assert list(found) == ["end_to_end", "decode", "preprocess"]
    whole, decode, resize = found.values()
    assert set(decode.samples) == {DECODE}
    assert set(resize.samples) == {RESIZE}
    assert whole.samples == [a + b + RUN for a, b in zip(decode.samples, resize.samples, strict=True)]
    assert whole.first == decode.first + resize.first + 5 * RUN
    assert len(decode.warm_up) == len(resize.warm_up) == len(whole.warm_up)
    for part in (decode, resize):
        assert (part.begin_ns, part.end_ns, part.stopped) == (whole.begin_ns, whole.end_ns, whole.stopped)
    metrics = {m.name: m.value for m in scenario("end_to_end").metrics([found], SETTINGS)}
    assert metrics["decode_ms"] == DECODE / 1e6
    assert metrics["preprocess_ms"] == RESIZE / 1e6
    assert metrics["end_to_end_p50_ms"] == (DECODE + RESIZE + RUN) / 1e6


def test_where_the_device_preprocesses_there_are_two_parts(clock: Scripted, rotation: Queries) -> None:
    found = scenario("end_to_end").run(Setup(Slow(clock), rotation, SETTINGS, OnDevice(clock), clock.now))
    assert list(found) == ["end_to_end", "decode"]
    assert set(found["end_to_end"].samples) == {DECODE + RUN}


def test_slow_queries_end_at_the_limit_and_say_so(clock: Scripted, rotation: Queries) -> None:
    [latency] = (
        scenario("single_stream").run(Setup(Slow(clock), rotation, Settings(0.05), SlowPath(clock), clock.now)).values()
    )
    assert latency.stopped.timeout
    assert latency.stopped.reason == f"timeout: {len(latency.samples)} of 64 samples"
    assert len(latency.samples) == -(-200_000_000 // RUN)


def test_by_default_it_is_the_systems_clock(rotation: Queries) -> None:
    before = CLOCK()
    [latency] = (
        scenario("single_stream").run(Setup(MeanColour(plan()), rotation, Settings(0.01), PillowPath())).values()
    )
    assert before < latency.begin_ns < latency.end_ns <= CLOCK()


class Able(MeanColour):
    """Streams, and has a device that takes 2 ms an image."""

    def __init__(self) -> None:
        super().__init__(plan())
        self.streamed: list[int] = []
        self.left = 0

    def stream(self, batches: Iterable[Pixels]) -> Generator[Outputs, None, None]:
        try:
            for batch in batches:
                self.streamed.append(len(batch))
                yield self.run(batch)
        finally:
            self.left += 1

    def device_ms(self, pixels: Pixels, count: int) -> list[float]:
        return [2.0 * len(pixels)] * count

    def bare_ms(self, pixels: Pixels, count: int) -> list[float]:
        return [2.0 * len(pixels)] * count


def test_a_session_that_streams_is_streamed_and_its_iterators_are_closed(rotation: Queries) -> None:
    session = Able()
    found = scenario("offline").run(Setup(session, rotation, SHORT, PillowPath()))
    assert set(found) == {"batch_1", "batch_4"}
    assert session.seen == session.streamed
    assert set(session.streamed) == {1, 4}
    assert session.left == 2


@pytest.mark.parametrize("order", [("single_stream", "offline"), ("offline", "single_stream")])
def test_scenarios_of_one_process_warm_a_batch_size_up_once(order: tuple[str, str], rotation: Queries) -> None:
    session, warm = MeanColour(plan()), dict[int, Series]()
    first, second = (scenario(name).run(Setup(session, rotation, SHORT, PillowPath(), warm=warm)) for name in order)
    assert set(warm) == {1, 4}
    assert all(series.warm_up for series in first.values())
    assert [name for name, series in second.items() if series.warm_up] == (["batch_4"] if order[1] == "offline" else [])


def test_streaming_is_warmed_up_by_itself(rotation: Queries) -> None:
    session, warm = Able(), dict[int, Series]()
    scenario("single_stream").run(Setup(session, rotation, SHORT, PillowPath(), warm=warm))
    found = scenario("offline").run(Setup(session, rotation, SHORT, PillowPath(), warm=warm))
    assert all(series.warm_up for series in found.values())


def test_a_session_that_does_not_stream_runs_batch_by_batch(rotation: Queries) -> None:
    session = MeanColour(plan())
    found = scenario("offline").run(Setup(session, rotation, SHORT, PillowPath()))
    assert {name for name, series in found.items() if series.samples} == {"batch_1", "batch_4"}
    assert set(session.seen) == {1, 4}


def seen(count: int, ns: int = RUN, rate: float = 0.0, given_up: bool = False) -> Series:
    return Series(ns, [], [ns] * count, True, 0, count * ns, Stopped(given_up, "", None), rate)


def test_the_energy_of_the_main_figure_comes_first() -> None:
    offline = {"batch_1": seen(20), "batch_4": seen(5, 4 * RUN), "batch_8": seen(9, 6 * RUN)}
    trials: dict[str, Series] = {}
    for number, (rate, broke) in enumerate(((10.0, False), (20.0, False), (40.0, True)), 1):
        trials |= {f"trial_{number}": seen(700, rate=rate, given_up=broke), f"delay_{number}": seen(700, 1)}
    camera = {"fps_5": seen(9), "fps_30": seen(9, given_up=True)}
    tenths = {f"tenth_{number}": seen(9) for number in range(1, 11)}
    settings = Settings(bundle=6)
    for name, run, expected in (
        ("single_stream", {"latency": seen(9), "device": seen(9)}, {"latency": 1}),
        ("offline", offline, {"batch_8": 8, "batch_1": 1, "batch_4": 4}),
        ("multi_stream", {"bundle": seen(9)}, {"bundle": 6}),
        ("server", trials, {"trial_2": 1}),
        ("camera", camera, {"fps_5": 1}),
        ("soak", tenths, {"tenth_10": 1, "tenth_1": 1}),
        ("end_to_end", {"end_to_end": seen(9), "decode": seen(9)}, {"end_to_end": 1}),
        ("search", {"search": seen(9)}, {}),
    ):
        assert list(scenario(name).metered([run], settings).items()) == list(expected.items()), name


def test_the_longest_series_decides_whether_energy_can_be_read() -> None:
    settings = Settings(seconds=4.0, fps=(5, 30), soak_seconds=600.0)
    lasts = {name: scenario(name).lasts(settings) for name in ("single_stream", "camera", "soak")}
    assert lasts == {"single_stream": 4.0, "camera": 64 / 5, "soak": 60.0}
