"""A kit from end to end: packed here, run by an interpreter that has nothing but Python, merged and ranked."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from checkpoints import saved
from coloured import draw

from bench import rank, run
from bench.boards import results
from bench.kit import main
from bench.records.record import Record, ScoreRecord, TimingRecord, read
from export.errors import UserError

BARE = getattr(sys, "_base_executable", sys.executable)
"""An interpreter without this environment's packages."""

pytestmark = pytest.mark.network  # the wheels of the board come from the index


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kit")


@pytest.fixture(scope="module")
def what(place: Path) -> list[str]:
    """The options of a small sweep on a network that counts as trained."""
    model = [*saved(place / "mine.pth"), "--data", str(draw(place / "set"))]
    short = ["--tasks", "knn,classification", "--scenario", "single_stream,end_to_end", "--seconds", "0.05"]
    return [*model, "--engine", "ort", *short, "--repeats", "1"]


@pytest.fixture(scope="module")
def kit(place: Path, what: list[str]) -> Path:
    """Packed for this machine's own Python; nothing has run."""
    assert main(["pack", str(place / "packed"), "--target", "here", *what, "--store", str(place / "store")]) == 0
    return place / "packed"


@pytest.fixture
def board(kit: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a copy of the kit, in a folder whose modules have the names of ours."""
    shutil.copytree(kit, tmp_path / "copied")
    (tmp_path / "bench.py").write_text("raise SystemExit('the working folder is no place to import from')")

    def call(*words: str, python: str = BARE) -> subprocess.CompletedProcess[str]:
        command = [python, "copied/kit.pyz", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    return call


def records(folder: Path) -> list[Record]:
    return [read(path) for path in sorted((folder / "records").glob("*.json"))]


def test_a_kit_runs_without_a_framework_and_its_scores_are_those_made_on_the_spot(
    board: Callable[..., subprocess.CompletedProcess[str]],
    what: list[str],
    place: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ran = board("run")
    assert ran.returncode == 0, ran.stderr
    assert "3 of 3 networks are measured" in ran.stderr
    site = next((tmp_path / "copied" / "unpacked").glob("*/site"))
    assert not {"torch", "onnx", "timm", "scipy"} & {path.name for path in site.iterdir()}
    file, out = tmp_path / "copied" / "results" / "results.tar", tmp_path / "out"
    store = ["--store", str(place / "store")]
    assert main(["merge", str(file), "--out", str(out), "--name", "shelf", *store]) == 0
    brought = [r for r in records(out) if r.status == "ok"]
    scores = {r.subject.task: r for r in brought if isinstance(r, ScoreRecord)}
    timings = {(r.subject.scenario, r.subject.head, r.cell.engine) for r in brought if isinstance(r, TimingRecord)}
    assert len(timings) == 6, "two scenarios of the backbone, of it with its head, and of the baseline"
    again = ["--preprocess", "pillow", "--store", str(tmp_path / "another store"), "--out", str(tmp_path / "here")]
    assert run.main([*what, *again]) == 0
    here = {r.subject.task: r for r in records(tmp_path / "here") if isinstance(r, ScoreRecord) and r.status == "ok"}
    assert set(scores) == set(here) == {"knn", "classification"}
    for task, score in scores.items():
        assert score.per_sample == here[task].per_sample
        assert [m.value for m in score.metrics] == [m.value for m in here[task].metrics]
        assert score.environment.board.endswith("“shelf”")
    shutil.copytree(tmp_path / "here" / "records", out / "records", dirs_exist_ok=True)
    capsys.readouterr()
    assert rank.main([str(out), "--json"]) == 0
    rows = [row for row in json.loads(capsys.readouterr().out)["rows"] if row["latency_p50_ms"]]
    assert len({row["machine"] for row in rows}) == 2
    _as_if_of_another_board(file, tmp_path / "other.tar")
    with pytest.raises(UserError, match="another board"):
        main(["merge", str(tmp_path / "other.tar"), "--out", str(out), "--name", "shelf", *store])


def _as_if_of_another_board(file: Path, to: Path) -> None:
    from dataclasses import replace

    folder = to.with_suffix("")
    came = results.read(file, folder)
    results.write(replace(came, board="another"), (folder / "store").glob("*/*"), folder / "store", to)


def python_3_10() -> Path:
    """An interpreter of the system's, or of pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    for found in (shutil.which("python3.10"), *map(str, sorted(pyenv.glob("3.10.*/bin/python3.10")))):
        if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
            return Path(found)
    pytest.skip("there is no python3.10")


def test_the_same_on_python_3_10_with_jetpack_6_s_pins(what: list[str], place: Path, tmp_path: Path) -> None:
    """On x86-64: its interpreter, and the versions of its lock."""
    python = python_3_10()
    target = f"py3.10-manylinux_2_35_{os.uname().machine}"
    store = ["--store", str(place / "store")]
    assert main(["pack", str(tmp_path / "jp6"), "--target", target, *what, *store]) == 0
    assert {"onnxruntime-1.23.2", "numpy-2.2.6", "pillow-12.3.0"} <= {
        "-".join(wheel.name.split("-")[:2]) for wheel in (tmp_path / "jp6" / "wheels").iterdir()
    }
    ran = subprocess.run([python, tmp_path / "jp6" / "kit.pyz", "run"], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert main(["merge", str(tmp_path / "jp6" / "results" / "results.tar"), "--out", str(tmp_path / "o"), *store]) == 0
    scores = [r for r in records(tmp_path / "o") if isinstance(r, ScoreRecord) and r.status == "ok"]
    assert {r.subject.task for r in scores} == {"knn", "classification"}
    assert all(r.environment.libraries["onnxruntime"] == "1.23.2" for r in scores)


def test_a_power_cut_loses_nothing_that_was_finished(
    board: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    begun = subprocess.Popen(
        [BARE, "copied/kit.pyz", "run"], cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True
    )
    first = "results/*/*-0.json"
    try:
        while begun.poll() is None and not list((tmp_path / "copied").glob(first)):
            time.sleep(0.02)
    finally:
        os.killpg(begun.pid, signal.SIGKILL)
        begun.wait()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "copied" / "results").glob("*/[0-9]*.json")}
    assert kept
    ran = board("run")
    assert ran.returncode == 0, ran.stderr
    for path, written in kept.items():  # what other processes disturbed is measured again, and counted
        assert path.stat().st_mtime_ns == written or json.loads(path.read_bytes())["attempts"] > 1
    assert (tmp_path / "copied" / "results" / "results.tar").exists()


def test_what_is_merged_before_the_end_shadows_nothing_and_grows(
    board: Callable[..., subprocess.CompletedProcess[str]], place: Path, tmp_path: Path
) -> None:
    def merged(*only: str) -> dict[str, str]:
        ran = board("run", *only)
        assert ran.returncode == 0, ran.stderr
        file = tmp_path / "copied" / "results" / "results.tar"
        assert main(["merge", str(file), "--out", str(tmp_path / "out"), "--store", str(place / "store")]) == 0
        return {r.key: r.status for r in records(tmp_path / "out") if r.cell.engine != "null:cpu"}

    head = merged("--only", "with classification")
    assert head
    assert set(head.values()) == {"ok"}, "what the board has not come to is no record"
    whole = merged()
    assert head.items() < whole.items()
    assert set(whole.values()) == {"ok"}
    assert merged("--only", "with classification") == whole


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity") or (os.cpu_count() or 1) < 2, reason="needs two cores")
def test_results_of_two_states_of_a_machine_are_never_mixed(
    board: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    assert board("run", "--only", "null").returncode == 0
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        ran = board("run", "--only", "null")
    finally:
        os.sched_setaffinity(0, before)
    assert ran.returncode == 0, ran.stderr
    assert "kept from before" not in ran.stderr
    folder = tmp_path / "copied" / "results"
    came = [results.said(file) for file in sorted(folder.glob("*.tar"))]
    assert sorted(one.environment.cores for one in came if one) == [1, len(before)]
    assert "kept from before" in board("run", "--only", "null").stderr


def test_a_head_that_would_be_fitted_otherwise_now_is_refused(
    board: Callable[..., subprocess.CompletedProcess[str]],
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert board("run").returncode == 0
    monkeypatch.setattr("bench.sweep.keys.fit_key", lambda *_: "another fit")
    file, store = tmp_path / "copied" / "results" / "results.tar", str(place / "store")
    assert main(["merge", str(file), "--out", str(tmp_path / "out"), "--store", store]) == 1
    failed = {r.subject.name: r.failure for r in records(tmp_path / "out") if r.status == "failed"}
    assert [name for name in failed if name.startswith("classification")]
    assert all(failure and "fitted otherwise" in failure.what for failure in failed.values())


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--preprocess", "cpu"], "packed with the preprocessing path pillow"),
        (["--tasks", "none", "--scenario", "none"], "neither tasks nor scenarios"),
        (["--engine", "torch"], "has no torch"),
    ],
)
def test_what_no_board_could_do_is_refused_when_it_is_packed(
    more: list[str], said: str, what: list[str], place: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=said):
        main(["pack", str(tmp_path / "new"), "--target", "here", *what, *more, "--store", str(place / "store")])
    assert not (tmp_path / "new").exists()


def test_a_changed_file_is_named(board: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    pixels = next((tmp_path / "copied" / "store" / "pixels").glob("*/pixels.npy"))
    values = np.load(pixels, mmap_mode="r+")
    values[0, 0, 0, 0] ^= 1
    values.flush()
    ran = board("run")
    assert ran.returncode == 2
    assert "pixels.npy was changed after the kit was packed" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_changed_description_is_refused(
    board: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    text = tmp_path / "copied" / "kit.json"
    text.write_text(text.read_text().replace('"repeats": 1', '"repeats": 2'))
    ran = board("run")
    assert ran.returncode == 2
    assert "was changed after it was packed" in ran.stderr


def test_a_kit_for_another_board_is_refused_in_one_sentence(
    board: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    text = tmp_path / "copied" / "kit.json"
    machine = os.uname().machine
    for field, other, said in (
        ("python", '"3.2"', "It needs Python 3.2"),
        ("machine", '"m68k"', "It needs a processor of type m68k"),
        ("glibc", "[9, 9]", "It needs glibc 9.9"),
    ):
        kit = json.loads((tmp_path / "copied" / "kit.json").read_text())
        kit["target"][field] = json.loads(other)
        text.write_text(json.dumps(kit))
        ran = board("run")
        assert ran.returncode == 2
        assert said in ran.stderr
        assert len(ran.stderr.splitlines()) == 2
        kit["target"] |= {
            "python": f"{sys.version_info.major}.{sys.version_info.minor}",
            "machine": machine,
            "glibc": [2, 17],
        }
        text.write_text(json.dumps(kit))


def test_results_that_were_damaged_on_the_way_are_refused(tmp_path: Path, place: Path) -> None:
    (tmp_path / "results.tar").write_bytes(b"no archive")
    with pytest.raises(UserError, match="holds no results of a board"):
        main(["merge", str(tmp_path / "results.tar"), "--out", str(tmp_path / "out"), "--store", str(place / "store")])
    assert not (tmp_path / "out" / "records").exists()


def test_a_folder_that_is_there_is_not_overwritten(tmp_path: Path, what: list[str]) -> None:
    with pytest.raises(UserError, match="is there already"):
        main(["pack", str(tmp_path), "--target", "here", *what])
    with pytest.raises(UserError, match="Unknown target 'pi6'"):
        main(["pack", str(tmp_path / "new"), "--target", "pi6", *what])


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home folder of a board that ssh and scp find: these stand-ins run the same commands here."""
    home, programs = tmp_path / "home", tmp_path / "programs"
    home.mkdir()
    programs.mkdir()
    python = f'python3() {{ {BARE} "$@"; }}'
    (programs / "ssh").write_text(
        f'#!/bin/sh\n[ "$1" = -t ] && shift\n[ "$1" = me@board ] || exit 255\ncd {home} && {python} && eval "$2"\n'
    )
    (programs / "scp").write_text(
        '#!/bin/sh\nwhile [ "${1#-}" != "$1" ]; do shift; done\n'
        f"at() {{ case $1 in me@board:*) echo {home}/${{1#me@board:}};; *) echo $1;; esac; }}\n"
        'exec cp -r "$(at $1)" "$(at $2)"\n'
    )
    for program in programs.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return home


def test_over_ssh_a_kit_is_copied_run_fetched_and_merged(kit: Path, place: Path, ssh: Path, tmp_path: Path) -> None:
    where = ["--out", str(tmp_path / "out"), "--store", str(place / "store")]
    with pytest.raises(UserError, match="nobody@nowhere cannot be reached"):
        main(["run", str(kit), "--over", "nobody@nowhere", *where])
    assert main(["run", str(kit), "--over", "me@board", *where]) == 0
    assert {r.status for r in records(tmp_path / "out") if isinstance(r, TimingRecord)} == {"ok"}
    [copied] = ssh.iterdir()
    first = (copied / "results" / "results.tar").stat().st_mtime_ns
    assert main(["run", str(kit), "--over", "me@board", *where]) == 0, "what is on the board is not copied again"
    assert list(ssh.iterdir()) == [copied]
    assert (copied / "results" / "results.tar").stat().st_mtime_ns > first
