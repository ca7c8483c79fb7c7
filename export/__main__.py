"""``python -m export``: backbones by name → ONNX files with a manifest, held against PyTorch on real photographs."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.errors import OutOfSpace, UserError, run_cli

if TYPE_CHECKING:
    from export.artifact import Artifact

EXAMPLES = """\
examples:
  python -m export --list                              the zoo
  python -m export vit_b resnet50 --out models         from the model hub
  python -m export resnet50_augnet --precision fp32,fp16,bf16,int8
  python -m export vit_s --weights my_vit_s.safetensors
  python -m export vit_b@random                        random weights: for timing, never for accuracy
  python -m export mymodule:make_backbone              a function that returns a torch.nn.Module

Writes DIR/NAME/model.onnx (DIR/NAME.int8/model.onnx, …), manifest.json and preprocess.yaml for each backbone.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m export",
        description="Export backbones to ONNX and hold them against eager PyTorch on real photographs.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument(
        "names", nargs="*", metavar="NAME", help="zoo name, timm id, NAME@random, module:function, FILE.onnx"
    )
    p.add_argument("--list", action="store_true", help="show the zoo and stop")
    p.add_argument(
        "--backbone", action="append", default=[], metavar="MODULE:FUNCTION", help="your own module; repeatable"
    )
    p.add_argument("--weights", type=Path, metavar="FILE", help="a local checkpoint (with one NAME)")
    p.add_argument("--precision", default="fp32", metavar="A,B", help="fp32 (default), fp16, bf16, int8, fp8")
    p.add_argument(
        "--calibration",
        type=Path,
        metavar="DIR",
        help="photographs from which a lower precision is made and judged, instead of the published",
    )
    p.add_argument("--maps", action="store_true", help="also export multi-scale maps, or tokens of a plain ViT")
    p.add_argument(
        "--zoo", action="append", type=Path, default=[], metavar="FILE", help="a YAML file with your own rows"
    )
    p.add_argument(
        "--images", type=Path, metavar="DIR", help="photographs for the parity gate, instead of the published"
    )
    p.add_argument("--out", type=Path, default=Path("models"), metavar="DIR", help="where the files go (models)")
    p.add_argument("--store", type=Path, metavar="DIR", help="built things; by default the user's cache folder")
    p.add_argument("--json", action="store_true", help="print the table as JSON")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Export what the command line names; the exit code."""
    args = parser().parse_args(argv)
    from export.zoo.backbones import listing, resolve

    if args.list:
        _list(listing(args.zoo), args.json)
        return 0
    names = [*args.names, *args.backbone]
    if not names:
        raise UserError("No backbone was named.", "", "python -m export --list")
    if args.weights and len(names) != 1:
        raise UserError("--weights belongs to one backbone.", f"{len(names)} were named.")
    backbones = [resolve(name, zoo_files=args.zoo, weights=args.weights) for name in names]

    from export.lower.calibration import of_folder
    from export.lower.precision import artifact, precision_of
    from export.store import Store

    precisions = [precision_of(name) for name in args.precision.split(",")]
    calibration = of_folder(args.calibration) if args.calibration else None
    asked = [(backbone, precision) for backbone in backbones for precision in precisions]
    store = Store(args.store)
    rows: list[dict[str, Any]] = []
    errors: list[UserError] = []
    for number, (backbone, precision) in enumerate(asked, 1):
        print(f"[{number}/{len(asked)}] {backbone.name} {precision} ({backbone.weights})", file=sys.stderr, flush=True)
        start = time.perf_counter()
        try:
            made = artifact(
                backbone,
                store,
                precision=precision,
                maps=args.maps,
                images=args.images,
                calibration=calibration,
            )
            folder = _deliver(made, args.out)
        except OutOfSpace:
            raise
        except UserError as error:
            errors.append(error)
            print(f"error: {error}", file=sys.stderr)
            continue
        rows.append(_row(made, folder, time.perf_counter() - start))
    if args.json:
        print(json.dumps(rows, indent=1))
    elif rows:
        _table(rows)
    if errors and len(asked) == 1:
        return errors[0].exit_code
    return 1 if errors or not all(r["parity_passed"] for r in rows) else 0


def _deliver(made: Artifact, out: Path) -> Path:
    """Copy the artifact to where the user wants it. No link: the store's file must stay what it is."""
    from export.artifact import ONNX
    from export.spec import Precision
    from export.store import MANIFEST, write_atomic

    name = made.backbone.replace("/", "_").replace(":", ".")
    folder = out / (name if made.precision is Precision.FP32 else f"{name}.{made.precision}")
    folder.mkdir(parents=True, exist_ok=True)
    for name in (ONNX, MANIFEST):
        shutil.copyfile(made.path / name, folder / name)
    import yaml

    write_atomic(
        folder / "preprocess.yaml",
        yaml.safe_dump({"preprocess": made.preprocess.as_json()}, sort_keys=False).encode(),
    )
    return folder


def _row(made: Artifact, folder: Path, seconds: float) -> dict[str, Any]:
    return {
        "backbone": made.backbone,
        "precision": str(made.precision),
        "untrained": made.untrained,
        "parameters_m": round(made.parameters / 1e6, 2),
        "gmacs": None if made.gmacs is None else round(made.gmacs, 2),
        "onnx_mib": round(made.onnx_bytes / 2**20, 1),
        "outputs": {o.name: list(o.shape) for o in made.outputs},
        "cosine_min": made.parity["cosine_min"],
        "relative_error": made.parity["relative_error"],
        "parity_passed": made.parity["passed"],
        "first_below": made.parity.get("first_below"),
        "chosen": dict(made.fields.get("chosen", {})),
        "seconds": round(seconds, 1),
        "path": str(folder / "model.onnx"),
    }


def _table(rows: list[dict[str, Any]]) -> None:
    table = _new_table(
        "backbone",
        "precision",
        ">params M",
        ">GMACs",
        ">MiB",
        "outputs",
        ">cosine",
        ">rel. error",
        "parity",
        ">s",
        "file",
    )
    for r in rows:
        outputs = ", ".join(f"{n} {'x'.join(map(str, s))}" for n, s in r["outputs"].items())
        name = r["backbone"] + (" (untrained)" if r["untrained"] else "")
        gmacs = "n/a" if r["gmacs"] is None else f"{r['gmacs']:.2f}"
        numbers = (f"{r['parameters_m']:.2f}", gmacs, f"{r['onnx_mib']:.1f}")
        parity = (f"{r['cosine_min']:.6f}", f"{r['relative_error']:.1e}", "passed" if r["parity_passed"] else "FAILED")
        table.add_row(name, r["precision"], *numbers, outputs, *parity, f"{r['seconds']:.1f}", r["path"])
    _print(table)


def _list(rows: Sequence[Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps([{**r.as_json(), "weights": r.weights} for r in rows], indent=1))
        return
    table = _new_table("name", "family", "pretraining", "data", "licence", "weights", "timm id")
    for r in rows:
        table.add_row(r.name, r.family, r.pretrain_algo, r.pretrain_data, r.licence, r.weights, r.timm)
    _print(table)
    print(
        f"{len(rows)} backbones. Any other timm id works too; add @random to a name for random weights.",
        file=sys.stderr,
    )


def _new_table(*columns: str) -> Any:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left", no_wrap=True)
    return table


def _print(table: Any) -> None:
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 240).print(table)


def cli() -> None:
    """The console script."""
    run_cli(main)


if __name__ == "__main__":
    cli()
