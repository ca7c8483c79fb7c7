"""Work in a process of its own: a crash, a full memory or an endless loop in a library costs that work alone."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from export import errors
from export.errors import CellError, UserError

ROOT = Path(__file__).parents[1]
_inside = False


def alone(target: str, job: Mapping[str, Any], what: str) -> Any:
    """Call a function in a child process.

    Args:
        target: ``module:function``; it is called with ``job``, which is made of JSON values, as is what it returns.
        what: what runs there, the subject of a sentence.

    Raises:
        UserError: what the function raised; a CellError where the process crashed, was killed or did not end.
        RuntimeError: a bug, with the child's traceback.
    """
    import msgspec

    with tempfile.TemporaryDirectory(prefix="backbones-") as place:
        asked, answered = Path(place, "job.json"), Path(place, "result.json")
        asked.write_bytes(msgspec.json.encode(dict(job)))
        done = subprocess.run(
            [sys.executable, "-c", f"from {__name__} import main; main()", target, str(asked), str(answered)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
            cwd=ROOT,  # from where it imports: never from the working folder, which may hold another onnx.py
        )
        if done.returncode or not answered.exists():
            raise _death(what, done.returncode, done.stderr.decode(errors="replace"))
        result = msgspec.json.decode(answered.read_bytes())
    if "error" in result:
        kind, *lines = result["error"]
        raise getattr(errors, kind, UserError)(*lines)
    if "bug" in result:
        raise RuntimeError(result["bug"])
    return result["value"]


def _death(what: str, code: int, said: str) -> CellError:
    if code == -signal.SIGALRM:
        return CellError(f"{what} does not end.", "It was stopped when its time was over.")
    if code == -signal.SIGKILL:
        return CellError(f"{what} was stopped by the system.", "Often: the memory of this machine is full.")
    last = (said.strip().splitlines() or ["it printed nothing"])[-1][:300]
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    return CellError(f"{what} crashes the library that it runs in.", f"Its process {how}: {last}.")


def deadline(seconds: int) -> None:
    """In a child, give what comes next so much time: the alarm ends the process even where no Python runs."""
    if _inside:
        signal.alarm(seconds)


def main() -> NoReturn:
    """In the child: call the function that the arguments name with the job (JSON), and write what came of it."""
    global _inside
    _inside = True
    import msgspec

    from export.registry import load_target

    target, asked, answered = sys.argv[1:4]
    with contextlib.suppress(OSError):  # where memory runs out, this process is to go, not the one that asked
        Path("/proc/self/oom_score_adj").write_text("1000")
    try:
        work: Any = load_target(target, "work")
        result: dict[str, Any] = {"value": work(msgspec.json.decode(Path(asked).read_bytes()))}
    except UserError as error:
        result = {"error": [type(error).__name__, error.what, error.why, error.remedy]}
    except Exception:
        result = {"bug": traceback.format_exc()}
    signal.alarm(0)
    Path(answered).write_bytes(msgspec.json.encode(result))
    sys.stderr.flush()
    os._exit(0)  # the answer is written: what a library does while it is taken down is nobody's concern
