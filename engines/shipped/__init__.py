"""How a shipped folder runs without this project: for each engine a file that opens ``model.onnx``.

The files are copied as they are, so they import nothing of this project. Each has one function, ``network(file,
options)``: the path of an ONNX file, and the options that :class:`engines.base.Standalone` carries, as JSON values. It
returns a function from one float32 array [1, …] to the outputs by name.
"""

from __future__ import annotations

from pathlib import Path

SHIPPED = Path(__file__).parent
"""Where these files lie."""
