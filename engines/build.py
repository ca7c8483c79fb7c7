"""``python -m engines.build``: backbones → plans in the store, for the device here or for named ones."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.errors import OutOfSpace, UserError, run_cli

if TYPE_CHECKING:
    from engines.base import Plan

EXAMPLES = """\
examples:
  python -m engines.build vit_b --engine trt --precision int8              for the GPU here
  python -m engines.build vit_b --engine trt-rtx --target 8.6,8.9          for other GPUs; none is needed here
  python -m engines.build vit_b --engine trt:compatible --batches 1,8      for every GPU from Ampere on
  python -m engines.build vit_b --engine trt,trt:dynamic --batches 1,8     a profile for each batch size; one for all

A plan lies in the store, named by its key. One for the GPU here is the one that python -m bench.run uses.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m engines.build",
        description="Build an engine's plans of backbones, exporting these first if that was not done.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("names", nargs="+", metavar="NAME", help="as for python -m export")
    p.add_argument(
        "--engine", required=True, metavar="NAMES", help="name[:provider], comma-separated: python -m engines"
    )
    p.add_argument("--precision", default="fp32", metavar="NAMES", help="fp32, fp16, bf16, int8, fp8 (fp32)")
    p.add_argument("--target", default="", metavar="DEVICES", help="devices to build for, where the engine can")
    p.add_argument("--batches", default="1", metavar="SIZES", help="batch sizes that the plan is tuned for (1)")
    p.add_argument("--zoo", action="append", type=Path, default=[], metavar="FILE", help="your own rows of backbones")
    p.add_argument("--store", type=Path, metavar="DIR", help="built things; by default the user's cache folder")
    p.add_argument("--json", action="store_true", help="print the table as JSON")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Build what the command line names; 1 if something could not be built."""
    args = parser().parse_args(argv)
    from dataclasses import replace

    from engines.base import EngineSpec, Profile
    from engines.catalog import engine
    from export.lower.precision import artifact, precision_of
    from export.store import Store
    from export.zoo.backbones import resolve

    profile = Profile(_batches(args.batches))
    targets = tuple(name.strip() for name in args.target.split(",") if name.strip())
    engines = [engine(replace(EngineSpec.parse(text), targets=targets)) for text in args.engine.split(",")]
    precisions = [precision_of(text) for text in args.precision.split(",")]
    backbones = [resolve(name, zoo_files=args.zoo) for name in args.names]
    store = Store(args.store)
    rows: list[dict[str, Any]] = []
    errors: list[UserError] = []
    for backbone in backbones:
        for precision in precisions:
            for runner in engines:
                print(f"{backbone.name} · {runner.spec} · {precision}", file=sys.stderr, flush=True)
                start = time.perf_counter()
                try:
                    runner.require_builder()
                    made = artifact(backbone, store, precision=precision)
                    plan = runner.plan(made, profile, store)
                except OutOfSpace:
                    raise
                except UserError as error:
                    errors.append(error)
                    print(f"error: {error}", file=sys.stderr)
                    continue
                rows.append(_row(plan, time.perf_counter() - start))
    if args.json:
        print(json.dumps(rows, indent=1))
    elif rows:
        _table(rows)
    if errors and not rows and len(errors) == 1:
        return errors[0].exit_code
    return 1 if errors else 0


def _batches(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(size) for size in text.split(","))
    except ValueError:
        raise UserError(f"--batches {text!r} is no list of batch sizes.", "", "--batches 1,8") from None


def _row(plan: Plan, seconds: float) -> dict[str, Any]:
    log = plan.path / "build.log"
    return {
        "backbone": plan.artifact.backbone,
        "engine": str(plan.engine),
        "precision": str(plan.artifact.precision),
        "batches": list(plan.profile.batches),
        "targets": list(plan.fields.get("targets", [])),
        "plan_mib": round(plan.plan_bytes / 2**20, 1),
        "build_seconds": plan.fields.get("build_seconds", round(seconds, 1)),
        "layers": plan.fields.get("layers"),
        "parity_passed": plan.artifact.parity.get("passed"),
        "path": str(plan.path),
        "log": str(log) if log.exists() else None,
    }


def _table(rows: Sequence[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("backbone", "engine", "precision", "targets", "plan MiB", "build s", "layers", "plan", "log"):
        table.add_column(
            column, no_wrap=True, justify="right" if column in ("plan MiB", "build s", "layers") else "left"
        )
    for row in rows:
        table.add_row(
            row["backbone"],
            row["engine"],
            row["precision"] + ("" if row["parity_passed"] is not False else " (failed parity)"),
            " ".join(row["targets"]) or "this device",
            f"{row['plan_mib']:.1f}",
            f"{row['build_seconds']:.1f}",
            "n/a" if row["layers"] is None else str(row["layers"]),
            row["path"],
            "build.log" if row["log"] else "",
        )
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 240, highlight=False, markup=False).print(table)


def cli() -> None:
    """The command."""
    run_cli(main)


if __name__ == "__main__":
    cli()
