"""The arrows of the architecture, held by machines: who imports whom, and who may say whose name."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from itertools import permutations

import grimp
import pytest
from project import ROOMS, ROOT, sources

from engines.catalog import ENGINES
from engines.preprocess.catalog import PATHS
from export.registry import Registry
from tasks.catalog import TASKS

LONGEST = 400


def test_import_contracts() -> None:
    lint = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True, no_logo=True))"
    done = subprocess.run([sys.executable, "-c", lint], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*ROOMS, cache_dir=None)


@pytest.mark.parametrize("table", [ENGINES, PATHS, TASKS], ids=lambda table: table.kind)
def test_plugins_of_one_kind_do_not_know_one_another(table: Registry[object], graph: grimp.ImportGraph) -> None:
    modules = {table.get(name).__module__ for name in table}
    assert modules <= graph.modules
    for one, other in permutations(sorted(modules), 2):
        assert graph.find_shortest_chain(one, other) is None, f"{one} imports {other}"


def words(node: ast.expr) -> set[str]:
    """The names in a string such as ``"a:provider,b"``; nothing in any other value."""
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        return set()
    return {part.partition(":")[0].strip() for part in node.value.split(",")}


def named(source: str, names: set[str]) -> list[tuple[int, str]]:
    """Where a program says one of ``names``: line and name.

    A name is said by a string, and by what a function, class or variable is called. A docstring may give an example.
    A library may be called as its engine is: in the company of other libraries, the library is meant. So may a field of
    a class, which nothing is looked up by.
    """
    tree = ast.parse(source)
    meant_otherwise: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            meant_otherwise.add(id(node.value))
        elif isinstance(node, ast.ClassDef):
            meant_otherwise.update(id(part.target) for part in node.body if isinstance(part, ast.AnnAssign))
        elif isinstance(node, (ast.Tuple, ast.List)) and any(words(e) - names for e in node.elts):
            meant_otherwise.update(map(id, node.elts))
    found = []
    for node in ast.walk(tree):
        said: set[str] = set()
        if isinstance(node, ast.Constant) and id(node) not in meant_otherwise:
            said = words(node)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            said = {node.name}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and id(node) not in meant_otherwise:
            said = {node.id}
        found += [(node.lineno, name) for name in sorted(said & names)]  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize(("table", "room"), [(ENGINES, "engines"), (TASKS, "tasks")], ids=["engines", "tasks"])
def test_no_name_is_said_outside_its_room(table: Registry[object], room: str) -> None:
    found = [
        f"{name}:{line}: {word}"
        for path in sources()
        if (name := path.relative_to(ROOT).as_posix()).partition("/")[0] != room
        for line, word in named(path.read_text(), set(table))
    ]
    assert not found, "\n".join(found)


def test_a_name_that_is_said_is_found() -> None:
    program = """
def fast(x):
    "fast"
    if x == "fast:here" or x in ("slow", "fast"):
        slow = 1
    return x in ("slow", "numpy"), "a fast one"
class Kind:
    fast: int
    slow = 1
"""
    assert sorted(named(program, {"fast", "slow"})) == [
        (2, "fast"),
        (4, "fast"),
        (4, "fast"),
        (4, "slow"),
        (5, "slow"),
        (9, "slow"),
    ]


def test_no_circles(graph: grimp.ImportGraph) -> None:
    """Typing-only imports count: what two files say of each other belongs into a third."""
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    tuple(TopologicalSorter(imports).static_order())  # raises CycleError, with the circle


def test_tests_mirror_the_packages() -> None:
    """``tests/a/b/test_c.py`` is of ``a/b/c.py``; ``test_main.py`` of ``__main__.py``."""
    folders = [ROOT / "tests" / room for room in (*ROOMS, "requirements")]
    files = [file for folder in folders for file in sorted(folder.rglob("test_*.py"))]
    assert files
    without = []
    for file in files:
        name = file.stem.removeprefix("test_")
        source = file.relative_to(ROOT / "tests").with_name(f"{'__main__' if name == 'main' else name}.py")
        if not (ROOT / source).exists():
            without.append(f"{file.relative_to(ROOT)}: there is no {source}")
    assert not without, "\n".join(without)


def test_files_are_short() -> None:
    long = {str(p.relative_to(ROOT)): n for p in sources() if (n := len(p.read_text().splitlines())) > LONGEST}
    assert not long
