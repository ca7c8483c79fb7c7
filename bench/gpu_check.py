"""``python -m bench.gpu_check`` (``make gpu-check``): what a GPU computes and what it costs, in the minutes that there
are.

Five steps (:mod:`bench.gpu.steps`), the most telling first; the last is one sweep over a GPU's engines. It is the
pipeline of ``bob run``, with its parity gate, child processes, records and resuming.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from export.command import add_store, console, new_parser
from export.errors import UserError

SWEEP = Path(__file__).parent / "sweep" / "gpu.yaml"
NAME = "gpu-check"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser(
        "bench.gpu_check",
        "Check this machine's GPU in five steps: tests, ONNX Runtime on CUDA, TensorRT, the preprocessing kernel, and "
        "the table backbone x precision x engine. Each leaves its result at once; a check that was stopped goes on.",
        "Exit code: 0 done or cut, 1 something failed, 2 no step can run here (the reasons are printed).",
    )
    p.add_argument("--minutes", type=float, default=240.0, metavar="N", help="end cleanly within N minutes (240)")
    p.add_argument("--config", type=Path, default=SWEEP, metavar="FILE", help="a sweep in YAML (bench/sweep/gpu.yaml)")
    p.add_argument("--out", type=Path, default=Path("results/gpu"), metavar="DIR", help="results (results/gpu)")
    add_store(p)
    p.add_argument("--json", action="store_true", help="print the result as JSON, not as Markdown")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Check, write the result and print it; the exit code.

    Raises:
        UserError: the minutes are too few, or the sweep cannot be read.
    """
    args = parser().parse_args(argv)
    from bench.gpu.check import RESERVE, run
    from bench.gpu.result import Result
    from bench.gpu.steps import Job
    from bench.gpu.summary import Summary
    from bench.sweep.spec import read
    from export.places import require_writable
    from export.progress import say
    from export.store import write_atomic

    if not args.minutes * 60 > 2 * RESERVE:
        raise UserError(
            f"{args.minutes:g} minutes are too few.", f"The last {RESERVE:.0f} s are for the summary.", "--minutes 12"
        )
    read(args.config)
    require_writable(args.out.resolve(), "--out", 0)
    out, store = args.out.resolve(), str(args.store.resolve()) if args.store else ""
    ended: list[Result] = []
    summary = Summary((), (), None)
    for result in run(lambda step: Job(step, str(args.config.resolve()), str(out), store), args.minutes):
        ended.append(result)
        say(f"{result.step}: {result.state}" + (f": {result.why}" if result.why else ""))
        summary = Summary.of(out, ended)
        write_atomic(out / f"{NAME}.md", f"{summary.markdown()}\n".encode())
        write_atomic(out / f"{NAME}.json", f"{json.dumps(summary.document(), indent=1)}\n".encode())
    print(json.dumps(summary.document(), indent=1) if args.json else summary.markdown())
    say(f"The result is in {args.out / NAME}.md and {args.out / NAME}.json; commit both to publish it.")
    return summary.exit_code


cli = console(main)

if __name__ == "__main__":
    cli()
