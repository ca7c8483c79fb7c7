"""Work in a process of its own: a crash, a full memory or an endless loop in a library costs that work alone."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NoReturn

from export import errors
from export.errors import CellError, UserError

ROOT = Path(__file__).parents[1]
_inside = False


class Died(Exception):
    """A child process ended without an answer.

    Attributes:
        code: its exit code, a signal's number below 0; None where it was killed because its time was over.
        last: the last line that it printed.
    """

    def __init__(self, code: int | None, last: str) -> None:
        super().__init__(code, last)
        self.code, self.last = code, last

    @property
    def signal(self) -> str:
        """The name of the signal that ended it; empty where none did."""
        return signal.Signals(-self.code).name if self.code is not None and self.code < 0 else ""


def answer(
    command: Sequence[str],
    job: bytes,
    limit: float | None = None,
    watch: Callable[[int], AbstractContextManager[object]] = lambda pid: contextlib.nullcontext(),
    hear: Callable[[str], None] = lambda line: None,
) -> bytes:
    """What a Python process writes for a job.

    Args:
        command: Python's arguments; behind them come a file with the job, and the one for the answer.
        limit: seconds after which it is killed. watch: entered with its process id while it runs.
        hear: given each line that it prints to standard error, when it does.

    Raises:
        Died: it ended otherwise than with code 0 and an answer, or not in time.
    """
    with tempfile.TemporaryDirectory(prefix="backbones-") as place:
        asked, answered = Path(place, "job.json"), Path(place, "result.json")
        asked.write_bytes(job)
        with subprocess.Popen(
            [sys.executable, *command, str(asked), str(answered)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=ROOT,  # where it imports from: never the working folder, which may hold another onnx.py
            text=True,
            errors="replace",
        ) as child:
            lines: deque[str] = deque(maxlen=1)
            reader = threading.Thread(target=_read, args=(child.stderr, lines, hear), daemon=True)
            reader.start()
            try:
                with watch(child.pid):
                    child.wait(limit)
            except subprocess.TimeoutExpired:
                child.kill()
                raise Died(None, "") from None
            except BaseException:
                child.kill()
                raise
            reader.join()
        if child.returncode == 0 and answered.exists():
            return answered.read_bytes()
    raise Died(child.returncode, lines[-1] if lines else "it printed nothing")


def _read(stream: Iterable[str], lines: deque[str], hear: Callable[[str], None]) -> None:
    """Hear and keep the lines that say something."""
    for line in stream:
        if line.strip():
            lines.append(line.strip())
            hear(line.rstrip())


def alone(target: str, job: Mapping[str, Any], what: str, hear: Callable[[str], None] = lambda line: None) -> Any:
    """Call a function in a child process.

    Args:
        target: ``module:function``; it is called with ``job``, which is made of JSON values, as is what it returns.
        what: what runs there, the subject of a sentence.
        hear: as :func:`answer`.

    Raises:
        UserError: what the function raised; a CellError where the process crashed, was killed or did not end.
        RuntimeError: a bug, with the child's traceback.
    """
    import msgspec

    command = ["-c", f"from {__name__} import main; main()", target]
    try:
        result = msgspec.json.decode(answer(command, msgspec.json.encode(dict(job)), hear=hear))
    except Died as death:
        raise _death(what, death) from death
    if "error" in result:
        kind, *lines = result["error"]
        raise getattr(errors, kind, UserError)(*lines)
    if "bug" in result:
        raise RuntimeError(result["bug"].strip().splitlines()[-1]) from RuntimeError(result["bug"])
    return result["value"]


def _death(what: str, death: Died) -> CellError:
    if death.signal == "SIGALRM":
        return CellError(f"{what} does not end.", "It was stopped when its time was over.")
    if death.signal == "SIGKILL":
        return CellError(f"{what} was stopped by the system.", "Often: the memory of this machine is full.")
    how = f"was ended by {death.signal}" if death.signal else f"ended with code {death.code}"
    return CellError(f"{what} crashes the library that it runs in.", f"Its process {how}: {death.last[:300]}.")


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
    except Exception as error:
        said = errors.for_user(error)
        kind = {"error": [type(said).__name__, said.what, said.why, said.remedy]} if said else {}
        result = kind or {"bug": traceback.format_exc()}
    signal.alarm(0)
    Path(answered).write_bytes(msgspec.json.encode(result))
    sys.stderr.flush()
    os._exit(0)  # the answer is written: what a library does while it is taken down is nobody's concern
