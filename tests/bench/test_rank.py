from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_records import ODD, Lab

from bench import rank
from export.errors import UserError

FIGURES = """backbone,study,latency,birds,cars,error
one,A,10,70.1,80,30
two,B,5,71,-,20
three,C,2,60,75.5,40
four,D,20,50,60,50
"""
ARGUMENTS = ["--ignore", "study", "--lower", "error", "--cost", "latency"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Lab().write(tmp_path_factory.mktemp("results"))


@pytest.fixture
def figures(tmp_path: Path) -> Path:
    path = tmp_path / "figures.csv"
    path.write_text(FIGURES)
    return path


def test_the_whole_table_shows_every_cell_and_cuts_no_number(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rank.main([str(folder), "--all"]) == 0
    out = capsys.readouterr().out
    found = [line for line in out.splitlines() if ":cpu " in line and "  fp32  " in line]
    lines = {" ".join(line.split()[1:3]): line for line in found}
    assert len(lines) == 14
    assert "…" not in out.split("z: mean")[0]
    row = lines["made_up_base openvino:cpu"]
    assert row.split()[0] == "1–4"
    assert row.rstrip().endswith("●")
    assert " n/a" in row, "300 samples are too few for p99"
    assert lines["made_up_random ort:cpu"].split()[0] == "–"
    assert "skipped: made_up_random · openvino:cpu · fp32, made_up_random · ort:cpu · fp32: Untrained" in out


def test_the_table_is_folded_and_names_the_command_for_the_rest(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rank.main([str(folder), "--data", "drawings"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(":cpu" in line and "made_up" in line for line in lines) == 10
    text = " ".join(lines)
    assert "not ranked: 1 failed, 1 failed parity, 2 untrained" in text
    assert f"bob rank {folder} --data drawings --all" in text


def test_json_csv_and_parquet_hold_the_same_rows(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    files = {kind: tmp_path / f"ranks.{kind}" for kind in ("csv", "parquet", "json")}
    arguments = [part for kind, path in files.items() for part in (f"--{kind}", str(path))]
    assert rank.main([str(folder), *arguments]) == 0
    assert "rank" in capsys.readouterr().out
    assert rank.main([str(folder), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == json.loads(files["json"].read_text())
    rows = document["rows"]
    assert len(rows) == 14
    assert [r["status"] for r in rows[:10]] == ["ok"] * 10
    assert rows[0]["z"] == max(r["z"] for r in rows[:10])
    assert rows[0]["rank_low"] == 1
    assert sum(r["first_share"] for r in rows[:10]) == pytest.approx(1)
    assert rows[-1]["first_share"] is None
    assert parquet.read_table(files["parquet"]).to_pylist() == rows
    with files["csv"].open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [r["backbone"] for r in read] == [r["backbone"] for r in rows]
    assert float(read[0]["latency_p50_ms"]) == rows[0]["latency_p50_ms"]
    assert read[-1]["z"] == ""


def test_markdown_has_the_terminal_s_cells(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rank.main([str(folder), "--markdown", "--all"]) == 0
    text = capsys.readouterr().out
    assert rank.main([str(folder), "--markdown", str(tmp_path / "ranks.md"), "--all"]) == 0
    terminal = capsys.readouterr().out
    assert (tmp_path / "ranks.md").read_text() == text
    table, foot = text.strip().split("\n\n")
    heads, rule, *body = [line.strip("|").split("|") for line in table.splitlines()]
    names = ["rank", "backbone", "engine", "precision", "first %", "z", "mean rank"]
    assert [head.strip() for head in heads][:7] == names
    assert {len(line) for line in (heads, rule, *body)} == {len(heads)}
    assert len(body) == 14
    shown = " ".join(terminal.split())
    for line in body:
        assert " ".join(" ".join(line).split()) in shown
    for note in foot.splitlines():
        assert " ".join(note.removeprefix("- ").split()) in shown


def test_a_bar_in_a_name_does_not_end_a_cell(figures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures.write_text(FIGURES.replace("cars", "cars|vans"))
    assert rank.main(["--table", str(figures), *ARGUMENTS, "--markdown"]) == 0
    assert "| cars\\|vans |" in capsys.readouterr().out


def test_a_data_set_is_one_whatever_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside sets that are called as parts of its name."""
    labs = [Lab(data=name, digest=f"{n:08d}") for n, name in enumerate((ODD, "a", "a→b", "c@d"))]
    folder = labs[0].write(tmp_path)
    for lab in labs[1:]:
        for backbone in lab.backbones:
            lab.score(backbone, "ort:cpu", "knn").write(folder / "records")
    plain = {r["backbone"]: r["z"] for r in ranked(Lab().write(tmp_path / "plain"), capsys) if r["engine"] == "ort:cpu"}
    odd = ranked(folder, capsys, "--data", ODD)
    assert {r["backbone"]: r["z"] for r in odd if r["engine"] == "ort:cpu"} == plain
    assert {c for c in odd[0] if "@" in c} == {
        f"{task}@{ODD}{part}"
        for task in ("knn", "linear_probe", "retrieval")
        for part in ("", "_stderr", "_z", "_overlap")
    }
    alone = ranked(folder, capsys, "--setting", f"knn@{ODD}", "--by", f"knn@{ODD}")
    scores = [r[f"knn@{ODD}"] for r in alone if r["status"] == "ok"]
    assert len(scores) == 10
    assert scores == sorted(scores, reverse=True)
    assert [c for c in ranked(folder, capsys)[0] if c.startswith("knn") and c.count("_") == 0] == [
        f"knn@{name}" for name in ("a", "a→b", ODD, "c@d")
    ]
    assert rank.main([str(folder), "--data", ODD, "--csv", str(tmp_path / "ranks.csv"), "--all"]) == 0
    terminal = capsys.readouterr().out
    head = next(line for line in terminal.splitlines() if ODD in line)
    assert head.split()[2:5] == [ODD, ODD, ODD]
    assert f"failed: made_up_broken · ort:cpu · fp32: knn@{ODD}: The engine cannot build it." in terminal
    with (tmp_path / "ranks.csv").open(newline="") as file:
        assert float(next(csv.DictReader(file))[f"knn@{ODD}"]) == odd[0][f"knn@{ODD}"]
    assert rank.main([str(folder), "--data", ODD, "--markdown", "--all"]) == 0
    heads = capsys.readouterr().out.splitlines()[0]
    assert "| knn a→b\\|c@d % |" in heads
    assert heads.replace("\\|", "").count("|") == 16


def ranked(folder: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert rank.main([str(folder), "--json", *arguments]) == 0
    return list(json.loads(capsys.readouterr().out)["rows"])


def test_order_and_cost_are_chosen(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--json", "--by", "latency_p50_ms", "--cost", "throughput_images_per_s"]
    assert rank.main([str(folder), *arguments]) == 0
    document = json.loads(capsys.readouterr().out)
    ranked = [r for r in document["rows"] if r["status"] == "ok"]
    assert [r["latency_p50_ms"] for r in ranked] == sorted(r["latency_p50_ms"] for r in ranked)
    fastest = max(ranked, key=lambda r: r["throughput_images_per_s"])
    assert fastest["on_front"]
    with pytest.raises(UserError, match=r"Unknown cost column 'latency_p50'\.\n.*latency_p50_ms"):
        rank.main([str(folder), "--cost", "latency_p50"])
    with pytest.raises(UserError, match="Unknown setting 'knn'"):
        rank.main([str(folder), "--setting", "knn"])


def test_any_table_is_ranked_by_the_same_code(figures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rank.main(["--table", str(figures), *ARGUMENTS, "--json"]) == 0
    rows = {r["backbone"]: r for r in json.loads(capsys.readouterr().out)["rows"]}
    assert rows["two"]["status"] == "skipped"
    assert rows["two"]["why"] == "no score for cars"
    assert [rows[n]["rank_low"] for n in ("one", "three", "four")] == [1, 2, 3]
    assert [rows[n]["on_front"] for n in ("one", "three", "four")] == [True, True, False]
    assert rank.main(["--table", str(figures), *ARGUMENTS, "--missing", "average", "--ddof", "1", "--all"]) == 0
    out = capsys.readouterr().out
    assert "ddof 1" in out
    assert "are averaged over the settings they have" in out
    assert "significance is not tested" in out


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (FIGURES, [], "row 'one', column 'study': 'A' is not a number"),
        (FIGURES, ["--ignore", "studio"], "Unknown column 'studio'.*\n.*study"),
        (FIGURES, ["--ignore", "study", "--cost", "latenc"], "Unknown column 'latenc'"),
        ("backbone,a\none,inf\n", [], "column 'a': 'inf' is not a number"),
        ("backbone,a\none,1,2\n", [], "row 'one' has 3 cells"),
        ("backbone,a,a\none,1,2\n", [], "two columns are called 'a'"),
        ("backbone,a\none,1\none,2\n", [], "two rows are called 'one'"),
        ("backbone,a\n", [], "is not a table"),
        ("", [], "is not a table"),
        ("backbone,a\none,1\n", ["--cost", "a"], "no column to rank by"),
    ],
)
def test_a_table_that_cannot_be_ranked_is_refused(
    tmp_path: Path, content: str, arguments: list[str], message: str
) -> None:
    path = tmp_path / "table.csv"
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        rank.main(["--table", str(path), *arguments])


def test_files_that_are_not_there_or_not_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        rank.main(["--table", str(tmp_path / "absent.csv")])
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(UserError, match="cannot be read"):
        rank.main(["--table", str(tmp_path / "binary.csv")])
    with pytest.raises(UserError, match="no results folder"):
        rank.main([str(tmp_path / "absent")])
    with pytest.raises(UserError, match="are for --table"):
        rank.main([str(tmp_path), "--lower", "a"])


def test_a_place_that_cannot_be_written_is_said(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"Writing x\.csv failed(.|\n)*file: it is no folder"):
        rank.main([str(folder), "--csv", str(tmp_path / "file" / "x.csv")])


def test_exit_codes_are_those_of_the_convention(folder: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, check=False)

    good = run("bench.rank", str(folder), "--json")
    assert (good.returncode, good.stderr) == (0, "")
    json.loads(good.stdout)
    lost = run("bench.pick", str(tmp_path / "absent"))
    assert (lost.returncode, lost.stdout) == (2, "")
    assert lost.stderr.startswith("error: There is no results folder")
    assert "Try: bob run" in lost.stderr


@pytest.mark.parametrize(
    "module",
    ["rank", "pick", "compare", "correlations", "inversions", "robustness", "damage", "report.__main__"],
)
def test_help_loads_nothing_heavy(module: str) -> None:
    code = (
        f"import sys, importlib; m = importlib.import_module('bench.{module}')\n"
        "try: m.main(['--help'])\n"
        "except SystemExit as e: assert e.code == 0\n"
        "heavy = {'numpy', 'rich', 'pyarrow', 'scipy', 'torch', 'engines.base', 'tasks'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_two_machines_stand_in_one_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Lab().write(tmp_path)
    replace(Lab(), machine="made-up-b", day="2026-02-02").write(tmp_path)
    assert rank.main([str(tmp_path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    names = {row["machine"] for row in rows}
    assert len(names) == 2
    cells = [{(r["backbone"], r["engine"]) for r in rows if r["machine"] == name and r["z"]} for name in sorted(names)]
    assert cells[0] == cells[1] != set()
    for name in names:  # each has its own front
        assert any(row["on_front"] for row in rows if row["machine"] == name)


def test_one_machine_can_be_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Lab().write(tmp_path)
    replace(Lab(), machine="made-up-b", day="2026-02-02").write(tmp_path)
    assert rank.main([str(tmp_path), "--machine", "made-up-a", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 14
