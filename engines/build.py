"""``python -m engines.build``: backbones → plans in the store, for the device here or for named ones."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from export.command import Failures, add_store, add_zoo, console, listed, new_parser, print_table, sizes

if TYPE_CHECKING:
    from engines.base import Plan

EXAMPLES = """\
examples:
  python -m engines.build vit_b --engines trt --precisions int8            for the GPU here
  python -m engines.build vit_b --engines trt-rtx --targets 8.6,8.9        for other GPUs; none is needed here
  python -m engines.build vit_b --engines trt:compatible --batches 1,8     for every GPU from Ampere on
  python -m engines.build vit_b --engines trt,trt:dynamic --batches 1,8    a profile for each batch size; one for all

Plans go into the store, named by their keys. bob run uses the plan for this machine's GPU.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser("engines.build", "Build engine plans of backbones, exporting to ONNX first where needed.", EXAMPLES)
    p.add_argument("names", nargs="+", metavar="NAME", help="backbones, named as for bob export")
    p.add_argument(
        "--engines",
        required=True,
        metavar="NAMES",
        help="engines (bob engines), as NAME or NAME:PROVIDER, comma-separated",
    )
    p.add_argument("--precisions", default="fp32", metavar="NAMES", help="fp32, fp16, bf16, int8, fp8 (fp32)")
    p.add_argument(
        "--targets",
        default="",
        metavar="DEVICES",
        help="compute capabilities or devices to build for, where the engine supports it (this machine's)",
    )
    p.add_argument("--batches", default="1", metavar="SIZES", help="batch sizes that the plan is tuned for (1)")
    add_zoo(p)
    add_store(p)
    p.add_argument("--json", action="store_true", help="print the table as JSON")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Build what the command line names; 1 if something could not be built."""
    args = parser().parse_args(argv)
    from dataclasses import replace

    from engines.base import EngineSpec, Profile
    from engines.catalog import engine
    from export.lower.precision import artifact, artifact_key, precision_of
    from export.store import Store
    from export.zoo.backbones import resolve_all

    profile = Profile(sizes(args.batches, "--batches"))
    targets = listed(args.targets)
    engines = [engine(replace(EngineSpec.parse(text), targets=targets)) for text in listed(args.engines)]
    precisions = [precision_of(text) for text in listed(args.precisions)]
    backbones = resolve_all(args.names, zoo_files=args.zoo)
    store = Store(args.store)
    rows: list[dict[str, Any]] = []
    failures = Failures()
    for backbone in backbones:
        for precision in precisions:
            for runner in engines:
                print(f"{backbone.name} · {runner.spec} · {precision}", file=sys.stderr, flush=True)
                start = time.perf_counter()
                with failures.kept():
                    if not runner.available("build").ok:  # then an export is wasted, unless the plan exists
                        known = runner.plan_key(artifact_key(backbone, store, precision=precision), profile)
                        if store.try_load("plan", known) is None:
                            runner.require("build")
                    made = artifact(backbone, store, precision=precision)
                    plan = runner.plan(made, profile, store)
                    rows.append(_row(plan, time.perf_counter() - start))
    if args.json:
        print(json.dumps(rows, indent=1))
    elif rows:
        _table(rows)
    errors = failures.errors
    if errors and not rows and len(errors) == 1:
        return errors[0].exit_code
    return 1 if errors else 0


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
        "parity_passed": plan.artifact.parity.passed if plan.artifact.parity else None,
        "path": str(plan.path),
        "log": str(log) if log.exists() else None,
    }


def _table(rows: Sequence[dict[str, Any]]) -> None:
    heads = ("backbone", "engine", "precision", "targets", ">plan MiB", ">build s", ">layers", "plan", "log")
    lines = [
        (
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
        for row in rows
    ]
    print_table(heads, lines)


cli = console(main)

if __name__ == "__main__":
    cli()
