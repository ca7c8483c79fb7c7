"""Which turns are measured again, in which order, how often, and which attempt is kept. Children are made up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench.measure import rounds
from bench.measure.clock import Series
from bench.measure.criterion import Stopped
from bench.measure.rounds import ATTEMPTS, EXTRA, Turn, measured, read, takes
from bench.measure.scenarios.base import Settings
from bench.measure.worker import Job, Outcome
from bench.records.parts import Failure, Monitoring

SECOND = 1_000_000_000
FINE, BUSY = Monitoring(0.01), Monitoring(0.3, disturbed=True)


def outcome(*windows: Monitoring, latency: int = 100, seconds: int = 4) -> Outcome:
    """A child that saw one series of four seconds beside ``windows``."""
    series = Series(1, [], [latency], True, SECOND, (1 + seconds) * SECOND, Stopped(False, "", None))
    return Outcome({"single_stream": {"latency": series}}, monitoring={"single_stream": windows})


class Bench:
    """Jobs whose children see what ``script`` says, by job and turn, one after another; then nothing to complain of."""

    def __init__(self, folder: Path, jobs: int, repeats: int, script: dict[tuple[int, int], list[Outcome]]) -> None:
        self.folder, self.script, self.ran = folder, script, list[tuple[int, int]]()
        job = Job(str(folder), "null", "cpu", 0, "", (1,), "cpu", "", (), Settings(), repeats)
        self.jobs = [tuple(replace(job, onnx_key=f"{j}/{t}") for t in range(repeats)) for j in range(jobs)]

    def run(self, job: Job) -> Outcome:
        place = int(job.onnx_key.split("/")[0]), int(job.onnx_key.split("/")[1])
        self.ran.append(place)
        said = self.script.get(place)
        return said.pop(0) if said else outcome(FINE)

    def part(self, index: int, turn: int) -> Path:
        return self.folder / f"{index}-{turn}.json"

    def turns(self, left_out: Callable[[int], bool] = lambda index: False) -> Iterator[tuple[Turn, Outcome]]:
        return measured(self.jobs, self.part, 0, left_out)

    @property
    def kept(self) -> dict[tuple[int, int], Outcome]:
        places = [(j, t) for j, turns in enumerate(self.jobs) for t in range(len(turns))]
        return {place: read([self.part(*place)])[0] for place in places if self.part(*place).exists()}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Bench]:
    def make(
        jobs: int, repeats: int, script: dict[tuple[int, int], list[Outcome]] | None = None, extra: float = 100.0
    ) -> Bench:
        monkeypatch.setattr(rounds, "EXTRA", extra)
        monkeypatch.setattr(rounds, "ATTEMPTS", ATTEMPTS)
        made = Bench(tmp_path, jobs, repeats, script or {})
        monkeypatch.setattr(rounds, "run", made.run)
        return made

    return make


def test_a_quiet_machine_measures_each_turn_once_in_an_order_drawn_for_each_round(bench: Callable[..., Bench]) -> None:
    made = bench(4, 3)
    turns = [turn for turn, _ in made.turns()]
    assert sorted(made.ran) == [(j, t) for j in range(4) for t in range(3)]
    assert [t for _, t in made.ran] == [0] * 4 + [1] * 4 + [2] * 4, "the first of every job before the second of any"
    assert len({tuple(j for j, _ in made.ran[4 * r : 4 * r + 4]) for r in range(3)}) > 1
    assert [str(turn) for turn in turns][:2] == ["[1/12]", "[2/12]"]
    assert [turn.complete for turn in turns] == [False] * 8 + [True] * 4


def test_jobs_may_have_different_numbers_of_turns_or_none(bench: Callable[..., Bench]) -> None:
    made = bench(3, 3)
    made.jobs = [made.jobs[0], made.jobs[1][:1], made.jobs[2][:2]]
    turns = [turn for turn, _ in made.turns()]
    assert sorted(made.ran) == [(0, 0), (0, 1), (0, 2), (1, 0), (2, 0), (2, 1)]
    assert [turn.turn for turn in turns] == sorted(turn.turn for turn in turns)
    assert ([turn.number for turn in turns], {turn.total for turn in turns}) == (list(range(1, 7)), {6})
    assert {turn.index: turn.turn for turn in turns if turn.complete} == {0: 2, 1: 0, 2: 1}
    assert list(measured([], made.part, 0, lambda index: False)) == []


def test_a_disturbed_turn_is_measured_again_at_the_end_of_its_round(bench: Callable[..., Bench]) -> None:
    made = bench(4, 2, {(2, 0): [outcome(BUSY)], (1, 1): [outcome(BUSY), outcome(BUSY)]})
    turns = list(made.turns())
    assert made.ran[4] == (2, 0)
    assert made.ran[9:] == [(1, 1), (1, 1)]
    assert [str(turn) for turn, _ in turns if turn.attempt > 1] == ["[attempt 2]", "[attempt 2]", "[attempt 3]"]
    assert {place: seen.attempts for place, seen in made.kept.items() if seen.attempts > 1} == {(2, 0): 2, (1, 1): 3}
    assert not any(seen.doubtful for seen in made.kept.values())
    complete = [turn.index for turn, _ in turns if turn.complete]
    assert sorted(complete) == [0, 1, 2, 3]
    assert complete[-1] == 1, "not before its last attempt"


def test_what_stays_disturbed_is_tried_after_each_round_until_its_attempts_are_spent(
    bench: Callable[..., Bench],
) -> None:
    made = bench(2, 3, {(0, 0): [outcome(BUSY)] * 9})
    turns = [turn for turn, _ in made.turns()]
    assert made.ran[2] == made.ran[5] == (0, 0)
    assert len(made.ran) == 6 + ATTEMPTS - 1
    assert (made.kept[0, 0].attempts, made.kept[0, 0].doubtful) == (ATTEMPTS, True)
    assert sorted(turn.index for turn in turns if turn.complete) == [0, 1]


@pytest.mark.parametrize(("jobs", "repeats", "more"), [(1, 1, 1), (1, 3, 1), (8, 1, 2), (8, 3, 6), (5, 2, 3)])
def test_further_attempts_take_a_quarter_of_the_time_on_a_machine_that_is_always_busy(
    bench: Callable[..., Bench], jobs: int, repeats: int, more: int, capsys: pytest.CaptureFixture[str]
) -> None:
    everywhere = {(j, t): [outcome(BUSY)] * 9 for j in range(jobs) for t in range(repeats)}
    made = bench(jobs, repeats, everywhere, extra=EXTRA)
    list(made.turns())
    assert len(made.ran) == jobs * repeats + more
    assert sum(seen.attempts for seen in made.kept.values()) == len(made.ran)
    assert "stay disturbed: further attempts may take 25% of the time" in capsys.readouterr().err


def test_the_worst_are_first_and_a_throttled_one_is_worse_than_a_disturbed_one(bench: Callable[..., Bench]) -> None:
    hot = Monitoring(throttled=True)
    stolen = Monitoring(0.04, stolen=True, stolen_share=0.2)
    script = {(0, 0): [outcome(BUSY)], (3, 0): [outcome(FINE, stolen)], (5, 0): [outcome(hot, FINE)]}
    made = bench(6, 1, script)
    list(made.turns())
    assert made.ran[6:] == [(5, 0), (0, 0), (3, 0)]


@pytest.mark.parametrize("better_first", [True, False])
def test_the_least_disturbed_attempt_is_kept_and_never_the_fastest(
    bench: Callable[..., Bench], better_first: bool
) -> None:
    better = outcome(Monitoring(0.1, disturbed=True), latency=900)
    both = [better, outcome(Monitoring(0.4, disturbed=True), latency=10)]
    made = bench(1, 1, {(0, 0): [*(both if better_first else both[::-1]), outcome(BUSY, latency=5)]})
    list(made.turns())
    assert made.kept[0, 0].series == better.series
    assert (made.kept[0, 0].attempts, len(made.ran)) == (3, 3)


def test_of_equally_disturbed_attempts_the_first_is_kept(bench: Callable[..., Bench]) -> None:
    made = bench(1, 1, {(0, 0): [outcome(BUSY, latency=latency) for latency in (7, 5, 9)]})
    list(made.turns())
    assert made.kept[0, 0].series == outcome(latency=7).series


def test_a_run_that_was_killed_goes_on_with_its_attempts_and_its_limit(bench: Callable[..., Bench]) -> None:
    always = {(0, 0): [outcome(BUSY)] * 9}
    made = bench(2, 2, always)
    for turn, _ in made.turns():
        if turn.attempt == 2:
            break  # killed in the middle of the first round's end
    assert made.kept[0, 0].attempts == 2
    again = bench(2, 2, always)
    turns = [turn for turn, _ in again.turns()]
    assert [turn.kept for turn in turns if turn.turn == 0 and turn.attempt == 1] == [True, True]
    assert again.ran.count((0, 0)) == 1, "the third attempt"
    assert again.kept[0, 0].attempts == 3
    assert bench(2, 2, always).ran == []
    finished = bench(2, 2, always)
    list(finished.turns())
    assert finished.ran == []
    spent = bench(2, 2, {(0, 1): [outcome(BUSY)] * 9}, extra=EXTRA)
    (spent.folder / "0-1.json").unlink()
    list(spent.turns())
    assert spent.ran == [(0, 1)], "the time of further attempts was taken before"


def test_a_child_that_fails_is_not_tried_again_and_a_further_attempt_that_fails_costs_nothing(
    bench: Callable[..., Bench],
) -> None:
    died = Outcome(failure=Failure("ChildDied", "It died."))
    made, failed = bench(3, 2, {(0, 0): [died], (1, 0): [outcome(BUSY), died, died]}), set[int]()
    for turn, seen in made.turns(failed.__contains__):
        if seen.failure:
            failed.add(turn.index)
    assert failed == {0}
    assert made.ran.count((0, 0)) == 1
    assert (0, 1) not in made.ran
    assert (made.kept[1, 0].attempts, made.kept[1, 0].failure) == (3, None)


def test_a_part_of_another_version_is_measured_anew(bench: Callable[..., Bench]) -> None:
    made = bench(1, 1)
    made.part(0, 0).write_text('{"monitoring": 1}')
    assert [turn.complete for turn, _ in made.turns()] == [True]
    assert made.ran == [(0, 0)]


def test_a_line_of_progress_says_what_was_the_worst() -> None:
    assert rounds.trouble(outcome(FINE)) == ""
    hot = Monitoring(throttled=True, throttling=("under-voltage",))
    assert rounds.trouble(outcome(FINE, BUSY)) == " (single_stream: other processes took 30% of the cores)"
    assert rounds.trouble(outcome(BUSY, hot)) == " (single_stream: throttled (under-voltage))"


def test_what_is_to_come_is_told_in_minutes() -> None:
    settings = Settings(1.0, soak_seconds=600)
    job = Job("", "null", "cpu", 0, "", (1,), "cpu", "", ("single_stream", "soak"), settings, repeats=3)
    assert takes(job.turns) == "about 10 min"
    assert takes(job.turns[:3]) == "about 15 s"
