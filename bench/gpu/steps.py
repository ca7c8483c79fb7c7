"""The five steps of the check of a GPU, in the order of what they tell. Each runs in a process of its own
(:mod:`bench.gpu.child`); what it needs loads there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.gpu.result import Notes
from export.child import ROOT
from export.errors import CellError, Unavailable, UserError

if TYPE_CHECKING:
    from bench.sweep.assembly import Assembly
    from bench.sweep.cells import Planned

ENGINES = Path(__file__).with_name("engines.yaml")
FEW = 2
"""Backbones, and precisions, of a step that comes before the whole table."""


@dataclass(frozen=True)
class Job:
    """What a step is given.

    Attributes:
        config: the sweep, a YAML file. out: the folder of results. store: the store's; empty for the user's.
        tests: the test files with tests that need a GPU; empty for all that there are.
    """

    step: str
    config: str
    out: str
    store: str = ""
    tests: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        about: what it finds out, for the summary.
        work: finds it out. It raises Unavailable where it cannot run here, and CellError where something failed.
        resumes: run again, it goes on by itself, from records; another is left alone once it is done.
    """

    about: str
    work: Callable[[Job, Notes], None]
    resumes: bool = True


def gpu_tests(job: Job, notes: Notes) -> None:
    """The tests that need a GPU: kernels against Pillow, bit for bit, and engines against the processor's features."""
    from engines.cuda.device import why_no_device

    if missing := why_no_device():
        raise Unavailable("The tests need a GPU.", f"{missing} is missing.")
    try:
        import pytest
    except ImportError as error:
        raise Unavailable("The tests need pytest.", str(error)) from error
    files = job.tests or tuple(map(str, marked(ROOT / "tests")))
    if not files:
        raise Unavailable("The tests are not here.", f"{ROOT} is no checkout of the project.")
    counted = Counted(notes)
    options = ["-v", "-m", "gpu", "--require", "gpu", "-p", "no:cacheprovider", "--rootdir", str(ROOT)]
    code = pytest.main([*options, "-c", str(ROOT / "pyproject.toml"), *files], plugins=[counted])
    if code == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise CellError("The tests could not be run.", f"pytest ended with code {int(code)}.", "read the step's log")
    if failed := counted.counts["failed"]:
        raise CellError(f"{failed} of {counted.counts.total()} tests failed.")
    if not counted.counts["passed"]:
        raise Unavailable("None of the tests can run here.", "; ".join(counted.reasons))


def marked(folder: Path) -> Iterator[Path]:
    """The files with tests that need a GPU: the others, which take long to import, are not even looked at. What is
    nearest to the device comes first."""
    found = [file for file in folder.rglob("test_*.py") if "mark.gpu" in file.read_text("utf-8")]
    nearest = ("preprocess", "cuda")
    return iter(sorted(found, key=lambda file: (file.parent.name not in nearest, file.parent.name, file.name)))


class Counted:
    """A plug-in of pytest that notes every outcome as it comes."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: Any) -> None:
        """An outcome: a test's own, or that of what goes before and after it, where this did not pass."""
        if report.when != "call" and report.outcome == "passed":
            return
        self.counts[report.outcome] += 1
        if report.outcome == "failed":
            crash = getattr(report.longrepr, "reprcrash", None)
            message = (crash.message if crash else str(report.longrepr)).strip().splitlines()
            self._notes.line(report.nodeid, f"failed: {message[0] if message else ''}")
        if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
            self.reasons[report.longrepr[2].removeprefix("Skipped: ")] += 1
            self._notes.line("skipped", "; ".join(f"{count} because {why}" for why, count in self.reasons.items()))
        self._notes.line("tests", ", ".join(f"{count} {outcome}" for outcome, count in self.counts.items()))


def ort_cuda(job: Job, notes: Notes) -> None:
    """ONNX Runtime on CUDA: two backbones, two precisions."""
    _sweep(job, notes, taken(job.step).__contains__, FEW)


def tensorrt(job: Job, notes: Notes) -> None:
    """TensorRT and TensorRT-RTX, with CUDA graphs: two backbones, two precisions."""
    _sweep(job, notes, taken(job.step).__contains__, FEW)


def table(job: Job, notes: Notes) -> None:
    """The whole sweep."""
    _sweep(job, notes, lambda name: True)


def taken(step: str) -> set[str]:
    """The engines that a step takes, as the catalog names them: ``engine:provider``."""
    import yaml

    from engines.catalog import engine

    return {str(engine(name).spec) for name in yaml.safe_load(ENGINES.read_text("utf-8"))[step]}


def _sweep(job: Job, notes: Notes, wanted: Callable[[str], bool], few: int | None = None) -> None:
    """The sweep's cells on the engines that are wanted, group by group: the records of a group are there before the
    next one begins.

    Args:
        few: of so many backbones and precisions alone, the first of the sweep.
    """
    from bench.sweep.pipeline import run

    asked, desk = _opened(job)
    groups = list(grouped(asked, wanted, few))
    if not groups:
        raise Unavailable("The sweep names no such engine.", f"Its engines: {', '.join(asked.cells[0].sweep.engines)}.")
    failed = 0
    with desk.alone():
        for number, group in enumerate(groups, 1):
            failed += run(replace(asked, cells=group), desk).failed
            notes.line("groups", f"{number} of {len(groups)} groups of cells (engine and precision)")
    if not any(cell.availability.ok for group in groups for cell in group if cell.engine.computes):
        raise Unavailable("None of its engines runs here.", groups[0][0].availability.reason)
    if failed:
        raise CellError(f"{failed} results failed.", "", "read the table's notes, or the step's log")


def _opened(job: Job) -> tuple[Assembly, Any]:
    from bench.sweep.assembly import assemble
    from bench.sweep.desk import Desk
    from bench.sweep.spec import read
    from export.progress import say
    from export.store import Store

    sweep, store = read(Path(job.config)), Store(Path(job.store) if job.store else None, say)
    desk = Desk.open(Path(job.out), sweep, store)
    return assemble(sweep, store), desk


def grouped(asked: Assembly, wanted: Callable[[str], bool], few: int | None = None) -> Iterator[tuple[Planned, ...]]:
    """The cells of each precision and engine that is wanted; where it runs, with the engine that does nothing."""
    computing = [cell for cell in asked.cells if cell.engine.computes and wanted(str(cell.engine.spec))]
    nothing = [cell for cell in asked.cells if not cell.engine.computes]
    backbones = list(dict.fromkeys(cell.cell.backbone for cell in asked.cells))[:few]
    precisions = list(dict.fromkeys(cell.precision for cell in asked.cells if cell.engine.computes))[:few]
    for precision in precisions:
        of = [cell for cell in computing if cell.precision == precision and cell.cell.backbone in backbones]
        for engine in dict.fromkeys(cell.engine.spec for cell in of):
            group = tuple(cell for cell in of if cell.engine.spec == engine)
            yield (*group, *nothing) if any(cell.availability.ok for cell in group) else group


def preprocessing(job: Job, notes: Notes) -> None:
    """The preprocessing kernel against the bandwidth of a copy and against torch; then what the harness costs on a
    device."""
    from bench.figures import gpu, gpu_preprocess
    from bench.sweep.rotation import chosen
    from engines.cuda.choice import open_driver
    from engines.cuda.nvimgcodec import PACKAGE, NvImageDecoder
    from engines.library import installed
    from export.picture import decode

    driver = open_driver()
    try:
        asked, _ = _opened(job)
        images, store = asked.data[0], asked.cells[0].store
        encoded = [images.read(name) for name in chosen(images, 0)]
        photographs = [decode(one) for one in encoded]
        batch = (photographs * gpu_preprocess.BATCH)[: gpu_preprocess.BATCH]
        try:
            for one in gpu_preprocess.figures(batch, store, driver):
                notes.figure(one)
            if installed(PACKAGE):
                with driver.active():
                    for one in gpu_preprocess.decoding(encoded, NvImageDecoder()):
                        notes.figure(one)
        except UserError as error:
            notes.line("left out", f"{error.what} {error.why}".strip())
    finally:
        driver.close()
    few: Sequence[Planned] = [cell for cells in grouped(asked, lambda name: True, FEW) for cell in cells]
    for one in gpu.figures(few, images, store):
        notes.figure(one)
    if not notes.result.figures:
        raise Unavailable("Nothing could be measured.", notes.result.lines.get("left out", ""))


STEPS = {
    "tests": Step("tests that need a GPU: kernels bit for bit, engines against the processor", gpu_tests, False),
    "ort-cuda": Step("ONNX Runtime on CUDA: two backbones in two precisions", ort_cuda),
    "tensorrt": Step("TensorRT and TensorRT-RTX: two backbones in two precisions", tensorrt),
    "preprocessing": Step("bandwidth and ratios of the preprocessing kernel, and of the harness", preprocessing, False),
    "table": Step("the whole sweep: backbone x precision x engine", table),
}
"""Name → step, in the order in which they run."""
