"""A page of a thousand cells: how long it takes to rank them, to open, and to answer a slider, in a real browser."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench import report
from bench.figures.browser import browser, missing
from bench.figures.crowd import CELLS, IMAGES, crowd
from bench.figures.figure import Figure, figure
from bench.verdict.ranking import Ranking
from bench.verdict.significance import DRAWS
from bench.verdict.table import sheet_of
from export.progress import say
from export.store import Store

REPEATS = 3
STEPS = 40
STEP = """
const range = document.querySelector("#budget-latency_p50_ms"), at = arguments[0], done = arguments[1];
const from = performance.now();
range.value = at;
range.dispatchEvent(new Event("input", { bubbles: true }));
const script = performance.now() - from;
requestAnimationFrame(() => { const channel = new MessageChannel();
  channel.port1.onmessage = () => done([performance.now() - from, script]); channel.port2.postMessage(0); });
"""
"""One step of the slider: milliseconds until the frame that shows it is drawn, and until the script is through."""
LOADED = """
const done = arguments[0];
requestAnimationFrame(() => setTimeout(() => done(performance.now()), 0));
"""
"""Milliseconds since the page was asked for, once a frame of it is drawn."""


def figures(store: Store, shared: Path) -> Iterator[Figure]:
    """Ranking, and, where there is a browser, opening the page and moving a slider; neither argument is needed."""
    say(f"page: making up {CELLS:,} cells")
    results = crowd()
    sheet = sheet_of(results)
    whole, cpu = [], []
    for _ in range(REPEATS):
        wall, used = time.perf_counter(), time.process_time()
        Ranking(sheet)
        whole.append(time.perf_counter() - wall)
        cpu.append(time.process_time() - used)
    how = f"{CELLS:,} cells, {len(sheet.settings)} settings, {IMAGES:,} test images, {DRAWS:,} resamples"
    how += f"; processor seconds {', '.join(f'{c:.1f}' for c in cpu)}"
    yield figure("Ranking a thousand cells, s", whole, "≤ 5", _most(5), how)
    if why := missing():
        say(f"page: left out: {why}")
        return
    with tempfile.TemporaryDirectory() as folder, browser() as driver:
        page = report.write(results, Path(folder) / "report.html")
        size = f"{page.stat().st_size / 1e6:.1f} MB, {CELLS:,} cells"
        opened = [_opened(driver, page) for _ in range(REPEATS)]
        yield figure("Opening the page of a thousand cells, s", opened, "≤ 2", _most(2), size)
        stops = int(driver.execute_script('return document.querySelector("#budget-latency_p50_ms").max'))
        steps = [driver.execute_async_script(STEP, stops * (k + 1) // (STEPS + 1)) for k in range(STEPS)]
        how = f"{STEPS} steps over the whole range; the script's part {max(s for _, s in steps):.0f} ms at most"
        yield figure("A slider's step, ms", [whole for whole, _ in steps], "≤ 100", _most(100), how)


def _opened(driver: Any, page: Path) -> float:
    driver.get("about:blank")
    driver.get(page.as_uri())
    return float(driver.execute_async_script(LOADED)) / 1000


def _most(limit: float) -> Callable[[float], bool]:
    return lambda value: value <= limit
