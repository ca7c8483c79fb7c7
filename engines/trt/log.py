"""What the library says while it builds: all of it into a file, none of it on the console."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

INNER = re.compile(r"Error Code \d+: [\w ]+ \((?P<own>.*?)\.? In \S+ at ", re.DOTALL)
"""The sentence inside an error, between its code and the place in the library's sources."""
TRACE = re.compile(r"^\[[\w.]+:\d+: \w+\] ")
ASSERTION = re.compile(r"^Assertion failed: .*?\): ")
LAYER = re.compile(r"^Name: (?P<name>.*?), LayerType: (?P<type>\w+), (?P<rest>.*)$", re.MULTILINE)
TACTIC = re.compile(r"TacticName: (?P<tactic>[^,]*)")
DATATYPE = re.compile(r"Data[tT]ype: (\w+)")


def tidy(error: str) -> str:
    """The library's own sentence in one of its errors, without places in its sources; at most 300 characters."""
    inner = INNER.search(error)
    text = inner["own"] if inner else error
    if TRACE.match(text):  # the compiler's: further traces follow, each after a semicolon
        text = TRACE.sub("", text).partition("; [")[0]
    return " ".join(ASSERTION.sub("", text).split())[:300]


@contextmanager
def uncollected() -> Iterator[None]:
    """Python's cyclic garbage collector is off inside, and as it was afterwards.

    TensorRT holds a lock of its own while it sends a message, and takes the same one to free a builder. A collection
    that a message sets off, and that finds an earlier builder (a traceback had kept it), would wait for itself.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class BuildLog:
    """Severity and text of every message, in order; ``logger`` is what the library is given."""

    def __init__(self, library: Any) -> None:
        self.lines: list[tuple[str, str]] = []
        lines = self.lines

        class Logger(library.ILogger):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()

            def log(self, severity: Any, message: str) -> None:
                lines.append((severity.name, message))

        self.logger = Logger()

    def write(self, path: Path) -> None:
        """One message a line (some messages have several), its severity first."""
        path.write_text("\n".join(f"{severity} {message}" for severity, message in self.lines) + "\n", "utf-8")

    def reason(self) -> str:
        """Why a build failed: the first error, without the places in the library's sources; empty if none was said."""
        errors = [message for severity, message in self.lines if severity in ("ERROR", "INTERNAL_ERROR")]
        if not errors:
            return ""
        return tidy(errors[0])

    def inspection(self) -> dict[str, Any]:
        """The layers of the plan, as the engine inspector's JSON has them, from what the builder says of them.

        An inspector needs a loaded plan, which needs a driver; the builder reports the same without one. ``Datatype``
        of a layer's inputs, constants and outputs, and ``TacticName``; empty where the builder did not report it.
        """
        layers = []
        for severity, message in self.lines:
            if severity == "VERBOSE" and message.find("LayerType: ") >= 0:
                layers += [_layer(found) for found in LAYER.finditer(message)]
        return {"Layers": layers} if layers else {}


def _layer(found: re.Match[str]) -> dict[str, Any]:
    rest = found["rest"]
    head, _, tail = rest.partition("], Outputs: [")
    inputs, _, constants = head.partition("], Constants: [")
    tactic = TACTIC.search(tail)
    return {
        "Name": found["name"],
        "LayerType": found["type"],
        "Inputs": _tensors(inputs),
        "Constants": _tensors(constants),
        "Outputs": _tensors(tail.partition("], TacticName: ")[0]),
        "TacticName": tactic["tactic"].strip() if tactic else "",
    }


def _tensors(text: str) -> list[dict[str, str]]:
    return [{"Datatype": name} for name in DATATYPE.findall(text)]
