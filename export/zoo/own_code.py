"""The sources of a module of the user's own, for keys: an edited function makes another network under the same name."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path


def digest(target: str) -> str:
    """SHA-256 over the file that a ``module:function`` lies in, and all that it imports from beside it.

    Nothing is imported but the top of a package. Empty where no source is found: loading it will say why.
    """
    module = target.partition(":")[0]
    root = _root(module.partition(".")[0])
    if root is None:
        return ""
    hashed = hashlib.sha256()
    for path in sorted(_closure(module, root)):
        hashed.update(f"{path.relative_to(root)}\0".encode("utf-8", "surrogateescape"))
        hashed.update(hashlib.sha256(path.read_bytes()).digest())
    return hashed.hexdigest()


def _root(top: str) -> Path | None:
    """The folder on Python's path that holds a module or package."""
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).parent
    return Path(spec.origin).parent if spec.has_location and spec.origin else None


def _closure(module: str, root: Path) -> set[Path]:
    found: set[Path] = set()
    waiting = [module]
    own = module.partition(".")[0]
    installed = root.name in ("site-packages", "dist-packages")
    while waiting:
        name = waiting.pop()
        if installed and name.partition(".")[0] != own:  # another package: its version is another matter
            continue
        for path, package in _files(name, root):
            if path not in found:
                found.add(path)
                waiting += _imports(path, package)
    return found


def _files(name: str, root: Path) -> Iterator[tuple[Path, str]]:
    """The files that an import of ``name`` runs, each with the package that its relative imports start from."""
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        place, above = root.joinpath(*parts[:depth]), ".".join(parts[:depth])
        if (place / "__init__.py").is_file():
            yield place / "__init__.py", above
        elif place.with_suffix(".py").is_file():
            yield place.with_suffix(".py"), above.rpartition(".")[0]


def _imports(path: Path, package: str) -> Iterator[str]:
    """Every module that a file may import, and every name that it takes out of one: it may be a module too."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".") if package else []
            base = parts[: len(parts) - node.level + 1] if node.level else []
            whole = ".".join([*base, *filter(None, [node.module])])
            yield from (f"{whole}.{alias.name}" if whole else alias.name for alias in node.names)
