"""YAML as people write it: zoo files, sweeps, and what lies beside a finished ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from export.errors import UserError


def read_yaml(path: Path, what: str) -> Any:
    """A YAML document.

    Raises:
        UserError: the file cannot be read, is not YAML, or gives a field twice.
    """
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """YAML lets the last of two equal fields win, and says nothing."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            names = [key.value for key, _ in node.value if isinstance(key.value, str)]
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise yaml.YAMLError(f"{twice!r} is given twice, the second time near line {node.start_mark.line + 1}")
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(path.read_text("utf-8-sig"), Loader)
    except OSError as error:
        raise UserError(f"The {what} {path} cannot be read.", str(error)) from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise UserError(f"The {what} {path} is not YAML.", " ".join(str(error).split())) from error
