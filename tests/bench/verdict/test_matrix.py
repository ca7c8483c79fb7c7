"""The table of backbone × precision × engine, from made-up records."""

from __future__ import annotations

from dataclasses import replace

from fake_records import CLOSE, Lab

from bench.records.parts import Keys
from bench.records.record import Record
from bench.records.results import Results
from bench.verdict.matrix import ALL, COLUMNS, machine_lines, matrix
from export.spec import Metric

BACKBONES = ("made_up_large", "made_up_small")


def timed(lab: Lab, engine: str, precision: str = "fp32", cosine: float = 0.99999) -> list[Record]:
    found: list[Record] = []
    for backbone in BACKBONES:
        for scenario in ("single_stream", "offline"):
            record = lab.timing(backbone, engine, scenario)
            found.append(
                replace(
                    record,
                    cell=replace(record.cell, precision=precision),
                    keys=Keys(plan=f"{backbone}{engine}{precision}"),
                    metrics=(*record.metrics, Metric.cost("device_memory_mib", 512.0, "MiB")),
                    parity=replace(CLOSE, cosine_min=cosine, passed=cosine > 0.9),
                    key=f"{record.key}-{precision}",
                )
            )
    return found


def absent(lab: Lab, engine: str, why: str = "Missing: the driver.", precision: str = "fp32") -> list[Record]:
    records = timed(replace(lab, engines={**lab.engines, engine: 1.0}), engine, precision)
    return [lab.failure(r, "skipped", f"{engine} cannot run {precision} here.", why) for r in records]


def test_one_line_a_cell_in_order_of_precision() -> None:
    lab = Lab()
    found = matrix(Results((*timed(lab, "ort:cpu", "int8", 0.99), *timed(lab, "ort:cpu"))))
    assert [(line.backbone, line.precision) for line in found.lines] == [
        (b, p) for b in BACKBONES for p in ("fp32", "int8")
    ]
    first = found.lines[0]
    assert set(first.numbers) == set(COLUMNS)
    assert first.cosine == 0.99999
    record = next(r for r in timed(lab, "ort:cpu") if r.cell.backbone == first.backbone)
    assert first.numbers["p50 ms"] == record.metrics[0].value
    assert first.numbers["p99 ms"] is None  # too few samples
    assert first.numbers["device MiB"] == 512
    assert found.lines[1].cosine == 0.99


def test_an_engine_that_does_not_run_is_one_line_with_the_reason() -> None:
    lab = Lab()
    found = matrix(Results((*timed(lab, "ort:cpu"), *absent(lab, "imaginary:gpu"))))
    assert len(found.lines) == len(BACKBONES) + 1
    last = found.lines[-1]
    assert (last.backbone, last.precision, last.engine) == (ALL, ALL, "imaginary:gpu")
    assert last.note == "Missing: the driver."
    assert set(last.numbers.values()) == {None}


def test_the_precision_that_was_asked_for_is_no_reason_of_its_own() -> None:
    """An engine's name may hold a precision's, and a reason too: neither is looked into."""
    lab, why = Lab(), "Missing: the int8 driver, and the fp32 one."
    gone = [record for p in ("fp32", "int8") for record in absent(lab, "my int8 engine:gpu", why, p)]
    [line] = matrix(Results(tuple(gone))).lines
    assert (line.backbone, line.precision, line.engine, line.note) == (ALL, ALL, "my int8 engine:gpu", why)


def test_cells_that_ran_are_never_gathered() -> None:
    lab = Lab()
    scored = [lab.score(backbone, "ort:cpu", "knn") for backbone in BACKBONES]
    assert [line.backbone for line in matrix(Results(tuple(scored))).lines] == list(BACKBONES)


def test_different_reasons_stay_apart() -> None:
    lab = Lab()
    gone = absent(lab, "imaginary:gpu")
    one = replace(gone[0], failure=replace(gone[0].failure, why="Another."))  # type: ignore[type-var]
    found = matrix(Results((*timed(lab, "ort:cpu"), one, *gone[2:])))
    assert [line.note for line in found.lines if line.engine == "imaginary:gpu"] == [
        "imaginary:gpu cannot run fp32 here. Another.",
        "imaginary:gpu cannot run fp32 here. Missing: the driver.",
    ]


def test_what_failed_parity_says_so_and_keeps_its_numbers() -> None:
    found = matrix(Results(tuple(timed(Lab(), "ort:cpu", "int8", 0.5))))
    assert all(line.numbers["p50 ms"] for line in found.lines)
    assert all("fails parity" in line.note for line in found.lines)


def test_what_is_only_emulated_says_so() -> None:
    said = "2 of 50 products run in int8, the others in fp32"
    records = [replace(r, emulated=said) for r in timed(Lab(), "ort:cpu", "int8")]
    found = matrix(Results(tuple(records)))
    assert all(f"emulated: {said}" in line.note for line in found.lines)


def test_what_was_only_timed_needs_no_excuse() -> None:
    lab = Lab()
    records = [replace(r, metrics=tuple(m for m in r.metrics if "noise" not in m.name)) for r in timed(lab, "ort:cpu")]
    assert {line.note for line in matrix(Results(tuple(records))).lines} == {""}


def test_markdown_can_be_pasted() -> None:
    lab = Lab()
    lines = matrix(Results((*timed(lab, "ort:cpu"), *absent(lab, "imaginary:gpu", "a | b")))).markdown().splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert lines[0] == table[0]
    assert len({line.replace("\\|", "").count("|") for line in table}) == 1
    assert table[0].startswith("| backbone | precision | engine | p50 ms | p90 ms | p99 ms | images/s | device MiB |")
    assert "| 0.99999 |" in table[2]


def test_the_machine_in_lines() -> None:
    environment = timed(Lab(), "ort:cpu")[0].environment
    gpu = {"name": "Imaginary GPU", "capability": "8.6", "driver": "999.1"}
    lines = machine_lines(replace(environment, gpu=gpu))
    assert lines[0] == "Imaginary GPU, compute capability 8.6, driver 999.1"
    assert lines[1] == "Imaginary CPU made-up-a, 2 cores"
    assert "onnxruntime 1.99" in lines[2]
    assert machine_lines(environment) == lines[1:]
