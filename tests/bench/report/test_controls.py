"""The page in a real browser: sliders, filters, permalink, comparison, keyboard."""

from __future__ import annotations

import csv
import io
import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from fake_records import Lab

from bench import report
from bench.figures.browser import browser
from bench.figures.crowd import crowd
from bench.records.record import ScoreRecord
from bench.records.results import Results
from bench.records.thumbnails import Shown, place, write
from bench.report.cells import order
from bench.sweep.thumbnails import encoded_small
from bench.verdict.choose import ranking_of
from bench.verdict.picking import Field, Limit
from bench.verdict.ranking import Ranking

pytestmark = pytest.mark.browser

EVIL = "<img src=x onerror='window.ran = true'>"
COST, RATE = "latency_p50_ms", "throughput_images_per_s"
SLIDER, LEFT = f"#budget-{COST}", "\ue012"


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def ranking() -> Ranking:
    return ranking_of(made())


def made() -> Results:
    """Made-up cells, one with a name that is markup, two of which know each class."""
    lab = Lab(backbones={**Lab().backbones, EVIL: (2.3, 1.0, 1e6)})
    by_class = {"made_up_base": {"cat": 40.0, "dog": 60.0}, "made_up_small": {"cat": 45.0, "dog": 20.0}}
    records = [
        replace(r, by_class=[{"class": c, "iou": v} for c, v in by_class[r.cell.backbone].items()])
        if isinstance(r, ScoreRecord) and r.subject.task == "knn" and r.cell.backbone in by_class
        else r
        for r in lab.records()
    ]
    return Results(tuple(records))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    return report.write(made(), tmp_path_factory.mktemp("page") / "report.html").as_uri()


@pytest.fixture
def page(driver: Any, address: str) -> Any:
    """The driver, with the page as it opens."""
    return visit(driver, address)


def visit(driver: Any, address: str) -> Any:
    driver.get("about:blank")
    driver.get(address)
    wait(lambda: driver.execute_script("return document.body.dataset.ready"))
    return driver


def wait(done: Callable[[], Any]) -> Any:
    """What ``done`` gives, once that is something."""
    until = time.monotonic() + 30
    while not (found := done()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def ask(driver: Any, script: str, *values: Any) -> Any:
    return driver.execute_script(script, *values)


def rows(driver: Any) -> list[dict[str, Any]]:
    """What the table holds: each row's kind, its cell's name, and its texts."""
    return list(
        ask(
            driver,
            "return [...document.querySelectorAll('#rows tr')].map((row) => ({ kind: row.className, "
            "name: row.querySelector('input').getAttribute('aria-label').replace('compare ', ''), "
            "texts: [...row.cells].map((c) => c.textContent) }))",
        )
    )


def element(driver: Any, selector: str) -> Any:
    return driver.find_element("css selector", selector)


def test_moving_a_slider_greys_rows_out_and_names_the_new_pick(page: Any, ranking: Ranking) -> None:
    before = rows(page)
    assert not any(row["kind"] == "out" for row in before)
    values = sorted({float(v) for v in ranking.sheet.cost(COST)[1][ranking.ranked]})
    element(page, SLIDER).send_keys(LEFT * 6)
    limit = ask(page, "return bob.state.limits")[COST]
    assert values[-7] <= limit < values[-6]
    field = Field(ranking, COST)
    inside = field.inside([Limit(COST, limit)])
    pick, _, _ = field.choose(inside)
    after = {row["name"]: row["kind"] for row in rows(page)}
    assert {name for name, kind in after.items() if kind == "out"} == {
        ranking.sheet.name(int(row)) for row in field.rows[~inside]
    }
    assert [name for name, kind in after.items() if kind == "pick"] == [ranking.sheet.name(pick)]
    assert element(page, "#verdict").text == f"Ship {ranking.sheet.name(pick)}"
    assert f"{inside.sum()} of {len(inside)} ranked cells left within 1 limit" in element(page, "#left").text
    assert ask(page, "return document.querySelectorAll('#front .dot.out').length") == (~inside).sum()
    element(page, SLIDER).send_keys("\ue010")  # the end: no limit
    assert rows(page) == before
    assert ask(page, "return bob.state.limits") == {}


def test_every_stop_of_a_slider_can_be_reached_and_is_one_cell_from_the_next(driver: Any, tmp_path: Path) -> None:
    """However near two cells are: the rounding of a limit to a few digits may not swallow a stop."""
    visit(driver, report.write(crowd(60, 10), tmp_path / "crowd.html").as_uri())
    script = (
        "const range = document.querySelector(arguments[0]), found = []; for (let k = Number(range.max); k > 0; k--) { "
        "range.value = k - 1; range.dispatchEvent(new Event('input')); "
        "found.push([Number(range.value), document.querySelectorAll('#rows .out').length]); } return found"
    )
    for column in (COST, RATE):
        found = ask(driver, script, f"#budget-{column}")
        stops = [stop for stop, _ in found]
        assert stops == list(range(len(found) - 1, -1, -1))
        assert all(later > earlier for (_, earlier), (_, later) in itertools.pairwise(found))
        ask(driver, "document.getElementById('reset').click()")


def test_a_budget_that_nothing_meets_names_the_nearest_cell(page: Any, ranking: Ranking) -> None:
    ask(page, "bob.state.limits = arguments[0]; bob.update()", {COST: 0.001})
    assert element(page, "#verdict").text == "No ranked cell is left"
    values = ranking.sheet.cost(COST)[1]
    nearest = min(ranking.ranked, key=lambda row: values[row])
    assert element(page, "#why").text.startswith(f"The nearest is {ranking.sheet.name(nearest)}: latency p50 ")


def test_script_and_python_choose_the_same_whatever_the_budget(driver: Any, tmp_path: Path) -> None:
    results = crowd(120, 30)
    ranking = ranking_of(results)
    field, random = Field(ranking, COST), np.random.default_rng(1)
    visit(driver, report.write(results, tmp_path / "crowd.html").as_uri())
    budgets: list[dict[str, float]] = [{}]
    for _ in range(60):
        columns = random.choice([COST, RATE, "peak_memory_mib", "parameters_m"], random.integers(1, 4), replace=False)
        values = {str(c): ranking.sheet.cost(str(c))[1][random.choice(ranking.ranked)] for c in columns}
        budgets.append({c: float(v) for c, v in values.items()})
    script = (
        "return arguments[0].map((limits) => { const f = bob.choose(bob.inside(limits)); "
        "return [f.pick, f.best, f.tied, f.front, [...f.contenders].sort((a, b) => a - b)]; })"
    )
    place, empty = {int(row): p for p, row in enumerate(field.rows)}, 0
    for limits, (pick, best, tied, front, contenders) in zip(budgets, ask(driver, script, budgets), strict=True):
        inside = field.inside([Limit(c, v, ranking.sheet.cost(c)[0].higher_is_better) for c, v in limits.items()])
        if not inside.any():
            empty += 1
            assert pick is None
            continue
        row, most, equal = field.choose(inside)
        assert (pick, best, tied) == (place[row], place[most], [place[r] for r in equal])
        assert front == field.front(inside).tolist()
        assert contenders == field.contenders(inside).tolist()
        assert set(front) <= set(contenders)
    assert empty < 30


def test_the_permalink_restores_all_that_was_chosen(page: Any, address: str) -> None:
    element(page, SLIDER).send_keys(LEFT * 5)
    element(page, "#text").send_keys("made_up")
    ask(page, "document.querySelector('[data-menu=engine] input').click()")
    ask(page, "document.querySelector('[data-menu=columns] input[value=mean_rank]').click()")
    ask(page, "document.querySelector('[data-sort=z]').click()")
    for name, value in (("x", RATE), ("y", "knn@drawings"), ("a", "1"), ("b", "3"), ("theme", "dark")):
        ask(page, "const s = document.getElementById(arguments[0]); s.value = arguments[1]; "
            "s.dispatchEvent(new Event('change'))", name, value)  # fmt: skip
    link = ask(page, "return bob.address()")
    wait(lambda: page.current_url.endswith(f"#{link}"))
    chosen, held, verdict = ask(page, "return bob.state"), rows(page), element(page, "#verdict").text
    assert len(chosen["filters"]["engine"]) == 1
    assert chosen["limits"]
    visit(page, f"{address}#{link}")
    assert ask(page, "return bob.state") == chosen
    assert rows(page) == held
    assert element(page, "#verdict").text == verdict
    assert ask(page, "return getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"
    ask(page, "document.getElementById('reset').click()")
    assert ask(page, "return bob.address()") == ""


def test_a_link_of_another_page_is_read_as_far_as_it_fits(driver: Any, address: str) -> None:
    visit(driver, f"{address}#max=colour%3D3&max={RATE}%3D5&min=x&sort=colour&x=z&join=size&a=nobody&max={COST}%3D9")
    state = ask(driver, "return bob.state")
    assert state["limits"] == {COST: 9}
    assert (state["sort"], state["x"], state["join"], state["a"]) == ("rank", COST, "", None)


def test_filters_columns_and_sorting_change_what_is_shown_and_downloaded(page: Any, ranking: Ranking) -> None:
    everything = rows(page)
    element(page, "#text").send_keys("made_up_large ort")
    assert [row["name"] for row in rows(page)] == ["made_up_large · ort:cpu · fp32"]
    assert (
        ask(page, "return [...document.querySelectorAll('#front .dot')].filter((d) => d.checkVisibility()).length") == 1
    )
    ask(
        page,
        "document.getElementById('reset').click(); document.querySelector(`[data-sort='${arguments[0]}']`).click()",
        COST,
    )
    values = {ranking.sheet.name(row): ranking.sheet.cost(COST)[1][row] for row in ranking.ranked}
    names = [row["name"] for row in rows(page)]
    assert names[: len(values)] == sorted(values, key=values.__getitem__)
    assert sorted(names) == sorted(row["name"] for row in everything)
    assert ask(page, "return document.querySelector('th[aria-sort]').getAttribute('aria-sort')") == "ascending"
    ask(page, "document.querySelector('[data-menu=columns] input[value=family]').click()")
    heads = ask(page, "return [...document.querySelectorAll('#heads button')].map((b) => b.dataset.sort)")
    assert "family" in heads
    as_json, as_csv = (download(page, name) for name in ("json", "csv"))
    table = json.loads(as_json)
    assert [row["cell"] for row in table] == names
    assert [row[COST] for row in table[: len(values)]] == sorted(values.values())
    again = list(csv.DictReader(io.StringIO(as_csv)))
    assert [row["cell"] for row in again] == names
    assert float(again[0][COST]) == min(values.values())


def download(page: Any, kind: str) -> str:
    """The text of the file that a button saves."""
    path = page.downloads / f"cells.{kind}"
    element(page, f"#{kind}").click()
    return str(wait(lambda: path.read_text() if path.is_file() else ""))


def test_two_cells_are_compared_image_by_image(page: Any, ranking: Ranking) -> None:
    places = order(ranking)
    names = [ranking.sheet.name(row) for row in places]
    a, b = (names.index(f"made_up_{size} · ort:cpu · fp32") for size in ("base", "small"))
    for chosen in (a, b):
        ask(page, "document.querySelector(`[data-compare='${arguments[0]}']`).click()", chosen)
    text = wait(lambda: "Costs" in element(page, "#pair").text and element(page, "#pair").text)
    assert "made_up_base · ort:cpu · fp32 is significantly more accurate over all settings." in text
    assert ask(page, "return [bob.state.a, bob.state.b]") == [a, b]
    script = "const [id, a, b, done] = arguments; bob.difference(bob.columns.get(id), a, b).then(done)"
    for j, setting in enumerate(ranking.sheet.settings):
        shown = page.execute_async_script(script, setting.name, a, b)
        value, low, high = ranking.difference_in(j, places[b], places[a])
        ends = [float(end.replace("−", "-")) for end in shown[4].split(" … ")]
        assert float(shown[3].replace("−", "-")) == pytest.approx(value, abs=0.06)
        assert ends == pytest.approx([low, high], abs=0.12 * (high - low) + 0.1)
        assert (shown[5] == "A is better") == (ends[1] < 0)
        one, other = (ranking.sheet.samples[places[p], j] for p in (a, b))
        if set(one) | set(other) <= {0.0, 100.0}:
            assert shown[6] == f"{(one > other).sum()} / {(other > one).sum()} of {len(one)}"
    assert "knn@drawings, class by class" in text
    classes = ask(page, "return [...document.querySelectorAll('#pair table')].at(-1).innerText")
    assert classes.index("dog\t60.0\t20.0\t−40.0") < classes.index("cat\t40.0\t45.0\t+5.0")


def test_the_photographs_on_which_two_cells_disagree_are_shown(driver: Any, ranking: Ranking, tmp_path: Path) -> None:
    lab = Lab()
    shown = [Shown(f"{number}.jpg", EVIL if number % 2 else "cat") for number in range(lab.n_test)]
    encoded = encoded_small(np.full((40, 60, 3), 90, np.uint8))
    write(place(tmp_path, lab.digest), shown, dict.fromkeys(range(lab.n_test), encoded))
    page = report.write(replace(made(), pictures=tmp_path), tmp_path / "report.html").as_uri()
    places = order(ranking)
    names = [ranking.sheet.name(row) for row in places]
    a, b = (f"made_up_{size} · ort:cpu · fp32" for size in ("base", "small"))
    visit(driver, f"{page}#{urlencode({'a': a, 'b': b})}")
    wait(lambda: "Costs" in element(driver, "#pair").text)
    strips = (
        "return [...document.querySelectorAll('#pair .strip')].map((strip) => [strip.getAttribute('aria-label'), "
        "strip.tabIndex, [...strip.querySelectorAll('li')].map((li) => [li.querySelector('img').title, li.innerText, "
        "li.querySelector('img').alt])])"
    )
    ask(driver, "for (const d of document.querySelectorAll('#pair details')) d.open = true")
    found = ask(driver, strips)
    probe = next(j for j, setting in enumerate(ranking.sheet.settings) if setting.task == "linear_probe")
    one, other = (ranking.sheet.samples[places[names.index(name)], probe] for name in (a, b))
    for way, words in ((one > other, "only A is right"), (other > one, "only B is right")):
        wanted = np.flatnonzero(way)
        [(_, reached, photos)] = [
            strip for strip in found if strip[0].startswith(f"linear probe drawings [%], {words}")
        ]
        assert reached == 0, "the keyboard scrolls it"
        assert len(photos) == min(len(wanted), 60) > 0
        assert {name for name, _, _ in photos} <= {f"{number}.jpg" for number in wanted}
        for name, text, alt in photos:
            label = shown[int(name.partition(".")[0])].label
            assert (text, alt) == (label, f"{label}, {words}; {name}")
    assert next(label for label, _, _ in found).startswith("knn"), "in the order of the table"
    sizes = "return [...document.querySelectorAll('.strip img')].map((i) => [i.naturalWidth, i.naturalHeight])"
    wait(lambda: all(size == [60, 40] for size in ask(driver, sizes)))
    assert "test photographs on which cells disagree lie in this page" in element(driver, "main").text
    assert not ask(driver, "return window.ran ?? false")
    assert driver.get_log("browser") == []


def test_the_keyboard_reaches_everything(page: Any) -> None:
    from selenium.webdriver import ActionChains

    reached: list[str] = []
    name = (
        "const e = document.activeElement; return e.id || e.dataset.sort || e.dataset.compare || "
        "e.parentElement.dataset.menu || e.getAttribute('aria-label') || e.tagName"
    )
    for _ in range(150):
        ActionChains(page).send_keys("\ue004").perform()
        reached.append(ask(page, name))
        if reached[-1] == "BODY" or reached.count("skip") > 1:
            break
    wanted = f"skip {SLIDER[1:]} text reset link theme x y csv json a b engine columns rank z 0 1"
    assert set(wanted.split()) <= set(reached)
    assert "latency p50 [ms]: limit as a number" in reached
    unnamed = ask(
        page,
        "return [...document.querySelectorAll('button, input, select, summary')].filter((e) => e.checkVisibility() && "
        "!(e.innerText || e.getAttribute('aria-label') || e.labels?.[0]?.innerText)).map((e) => e.outerHTML)",
    )
    assert unnamed == []
    menu = element(page, "[data-menu=engine] summary")
    menu.send_keys("\ue007")
    assert ask(page, "return document.querySelector('[data-menu=engine]').open")
    menu.send_keys("\ue00c")
    assert not ask(page, "return document.querySelector('[data-menu=engine]').open")


def test_the_page_draws_fits_and_runs_no_name(page: Any) -> None:
    assert ask(page, "return document.querySelectorAll('#front .dot').length") == 12
    assert ask(page, "return document.querySelectorAll('#rows tr').length") > 12
    ask(page, "for (const d of document.querySelectorAll('details')) d.open = true")
    wait(lambda: ask(page, "return document.querySelectorAll('#latency .curve').length"))
    wait(lambda: ask(page, "return [...document.querySelectorAll('[data-packed]')].every((d) => d.childElementCount)"))
    for width in (390, 700, 1280):
        page.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
        )
        assert ask(page, "return document.documentElement.scrollWidth <= document.documentElement.clientWidth"), width
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert not ask(page, "return window.ran ?? false")
    assert page.get_log("browser") == []


def test_points_are_joined_along_the_input_size(driver: Any, tmp_path: Path) -> None:
    visit(driver, report.write(crowd(100, 20), tmp_path / "crowd.html").as_uri() + "#join=size")
    assert ask(driver, "return bob.state.join") == "size"
    found = ask(driver, "return [...document.querySelectorAll('.join title')].map((t) => t.textContent)")
    assert found
    assert any(text.endswith(": 128x128, 160x160, 192x192, 224x224") for text in found)
