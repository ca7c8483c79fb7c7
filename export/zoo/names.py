"""The names of the zoo's rows, without a reader of YAML: a shell that completes one waits for nothing else."""

from __future__ import annotations

import re
from pathlib import Path


def names() -> list[str]:
    """The names in the order of zoo.yaml; rows of the user's own are not among them."""
    return re.findall(r"^- \{?name: ([^\s,}]+)", Path(__file__).with_name("zoo.yaml").read_text("utf-8"), re.MULTILINE)
