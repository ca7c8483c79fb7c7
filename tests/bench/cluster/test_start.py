"""The whole command on two real nodes of one core each, one of which is killed: the records are the plain run's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from threading import Timer
from typing import Any

import pytest
from project import ROOT

pytestmark = pytest.mark.network  # the parity gate's photographs come in a package

OWN = ("started_at", "seconds", "extraction", "environment")
"""Of a score: when it was made, how long it took, and where."""
TIMED = (*OWN, "metrics", "series", "monitoring", "placement", "energy")


def records(folder: Path) -> dict[str, dict[str, Any]]:
    """Every record without what may differ between two runs, by file name."""
    found = {}
    for path in sorted((folder / "records").glob("*.json")):
        document = json.loads(path.read_text())
        own = OWN if document["kind"] == "score" else TIMED
        found[path.name] = {name: value for name, value in document.items() if name not in own}
    return found


def differences(a: dict[str, dict[str, Any]], b: dict[str, dict[str, Any]]) -> list[str]:
    """What two sets of records do not agree in: names of records, and of fields with both values."""
    found = [f"{name} is in one only" for name in sorted(a.keys() ^ b.keys())]
    for name in sorted(a.keys() & b.keys()):
        fields = sorted(a[name].keys() | b[name].keys())
        found += [
            f"{name} {field}: {str(a[name].get(field))[:300]} != {str(b[name].get(field))[:300]}"
            for field in fields
            if a[name].get(field) != b[name].get(field)
        ]
    return found


ON_ONE_CORE = """
import os, runpy, sys
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
sys.argv[0] = "bob"
runpy.run_module("bench.run", run_name="__main__")
"""
"""A machine with one core is another than one with two."""


def bob(
    arguments: list[str], environment: dict[str, str] | None = None, stdout: int = subprocess.PIPE
) -> subprocess.Popen[str]:
    """``bob run`` in a process of its own, with one core, as each node has."""
    command = [sys.executable, "-c", ON_ONE_CORE, *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=stdout, stderr=subprocess.PIPE, text=True)


def bring(store: Path, place: Path) -> None:
    """Make a store that has what was downloaded into another, and nothing that was made."""
    place.mkdir(parents=True)
    for kind in ("packages", "archives", "members"):
        if (store / kind).is_dir():
            (place / kind).symlink_to(store / kind)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plain-store")


@pytest.fixture(scope="module")
def plain(asked: list[str], store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder of the plain run, with everything scored and one scenario timed."""
    out = tmp_path_factory.mktemp("plain") / "out"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    run = bob([*asked, "--scenarios", "single_stream", "--store", str(store), "--out", str(out)], environment)
    _, errors = run.communicate(timeout=300)
    assert run.returncode == 0, errors
    return out


def test_two_nodes_one_killed_give_the_records_of_the_plain_run_and_a_second_driver_is_refused(
    nodes: Callable[..., Any], asked: list[str], plain: Path, store: Path, tmp_path: Path
) -> None:
    cluster = nodes({}, {})
    out = tmp_path / "out"
    where = ["--store", str(tmp_path / "store"), "--out", str(out), "--on", f"ray://{cluster.address}"]
    command = [*asked, "--scenarios", "single_stream", *where]
    bring(store, tmp_path / "store")
    first = bob(command, cluster.environment, subprocess.DEVNULL)
    assert first.stderr is not None
    said = []
    for line in first.stderr:
        said.append(line)
        if ": knn on " in line:
            cluster.tell("kill 1")
            second = bob(command, cluster.environment)
            break
    said += list(first.stderr)
    first.stderr.close()
    assert first.wait(300) == 0, "".join(said)
    text = "".join(said)
    assert "2 nodes" in text or text.count("\nnode ") == 2, text
    assert "the shared store" in text
    _, refusal = second.communicate(timeout=120)
    assert second.returncode == 2, refusal
    assert "Another run writes" in refusal

    assert not differences(records(out), records(plain))
    made = [one for one in records(plain).values() if one["kind"] == "score" and one["status"] == "ok"]
    assert text.count(": accuracy ") == len(made), "nothing finished is done again"
    done = {path: json.loads(path.read_text()) for path in (out / "records").glob("*.json")}
    done = {path: one for path, one in done.items() if one["status"] == "ok"}
    assert {one["kind"] for one in done.values()} == {"score", "timing"}
    assert {one["environment"]["node"] for one in done.values()} == {os.uname().nodename}

    before = {path: path.stat().st_mtime_ns for path in done}
    again = bob(command, cluster.environment)
    _, errors = again.communicate(timeout=300)
    assert again.returncode == 0, errors
    assert {path: path.stat().st_mtime_ns for path in done} == before, "nothing is done again"


def test_stores_of_their_own_an_engine_that_a_node_lacks_and_a_store_that_was_said_to_be_shared(
    nodes: Callable[..., Any], asked: list[str], plain: Path, store: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    (broken / "openvino").mkdir(parents=True)
    (broken / "openvino" / "__init__.py").write_text("raise ImportError('it is taken away')\n")
    places = []
    for name in ("one", "two", "driver"):
        places.append(tmp_path / name)
        bring(store, places[-1] / "backbones-deployed")
    path = os.pathsep.join([str(broken), str(ROOT / "tests")])
    cluster = nodes({"XDG_CACHE_HOME": str(places[0])}, {"XDG_CACHE_HOME": str(places[1]), "PYTHONPATH": path})
    driver = {**cluster.environment, "XDG_CACHE_HOME": str(places[2])}
    on = ["--scenarios", "none", "--on", f"ray://{cluster.address}"]

    promised = bob([*asked, *on, "--out", str(tmp_path / "no"), "--shared-store"], driver)
    _, errors = promised.communicate(timeout=300)
    assert promised.returncode == 2, errors
    assert errors.count("is left out: it does not see this store") == 2
    assert "error: No node of the cluster can do this sweep." in errors

    run = bob([*asked, *on, "--out", str(tmp_path / "out")], driver)
    _, errors = run.communicate(timeout=300)
    assert run.returncode == 0, errors
    assert errors.count("a store of its own") == 2
    assert "without openvino:cpu: " in errors
    scores = {name: one for name, one in records(plain).items() if one["kind"] == "score" and one["status"] == "ok"}
    done = {name: one for name, one in records(tmp_path / "out").items() if one["status"] == "ok"}
    assert not differences(done, scores)

    dry = bob([*asked, *on, "--out", str(tmp_path / "out"), "--dry-run", "--json"], driver)
    rows, errors = dry.communicate(timeout=300)
    assert dry.returncode == 0, errors
    found = {row["cell"].split(" · ")[1]: row["nodes"] for row in json.loads(rows)}
    assert found["ort:cpu"] == "all 2"
    assert found["openvino:cpu"] == os.uname().nodename


def test_where_no_cluster_is_one_sentence_says_so(asked: list[str], tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")

    run = bob([*asked, "--scenarios", "none", "--out", str(tmp_path / "out"), "--on", "ray://127.0.0.1:9"])
    out, errors = run.communicate(timeout=120)
    assert run.returncode == 2
    assert not out
    assert errors.startswith("error: There is no Ray cluster at 127.0.0.1:9.\n")
    assert len(errors.splitlines()) == 3

    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_node_killed_at_twenty_random_moments_costs_nothing_that_was_finished(
    nodes: Callable[..., Any], asked: list[str], plain: Path, store: Path, tmp_path: Path
) -> None:
    """Twenty sweeps: about eight minutes on two cores."""
    cluster, random = nodes({}, {}), Random(0)
    scores = {name: one for name, one in records(plain).items() if one["kind"] == "score" and one["status"] == "ok"}
    for kill in range(1, 21):
        out, own = tmp_path / f"out{kill}", tmp_path / f"store{kill}"
        bring(store, own)
        where = ["--scenarios", "none", "--store", str(own), "--out", str(out), "--on", f"ray://{cluster.address}"]
        run = bob([*asked, *where], cluster.environment, subprocess.DEVNULL)
        assert run.stderr is not None
        said = [next(line for line in run.stderr if line.startswith("node "))]
        moment = Timer(random.uniform(0, 12), lambda kill=kill: cluster.tell(f"kill {kill}"))
        moment.start()
        said += list(run.stderr)
        run.stderr.close()
        assert run.wait(300) == 0, "".join(said)
        moment.join()
        done = {name: one for name, one in records(out).items() if one["status"] == "ok"}
        assert not differences(done, scores)
        assert "".join(said).count(": accuracy ") == len(scores), "nothing finished is done again"
        shutil.rmtree(own)
        cluster.tell("add")
