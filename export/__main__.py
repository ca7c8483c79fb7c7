"""``bob export``: backbones by name → ONNX files with a manifest, compared with PyTorch on real photographs."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.command import Failures, add_store, add_zoo, complete, console, listed, new_parser, print_table
from export.errors import UserError
from export.variant import cut_depth, input_size

if TYPE_CHECKING:
    from export.artifact import Artifact
    from export.zoo.backbones import Backbone

EXAMPLES = """\
examples:
  bob export --list                              the zoo
  bob export --list --study                      the backbones of the study, and what each needs here
  bob export --inspect unknown.pth               what a checkpoint holds, and which backbones it fits
  bob export vit_b resnet50 --out models         from the model hub
  bob export resnet50_augnet --precisions fp32,fp16,bf16,int8
  bob export vit_s --weights my_vit_s.safetensors
  bob export mobilenetv2 --size 128,224 --depth 3,4
  bob export vit_b@random                        random weights: for timing, never for accuracy
  bob export mymodule:make_backbone              a function that returns a torch.nn.Module

Writes DIR/NAME/model.onnx (DIR/NAME.128x128.depth3.int8/model.onnx, …), manifest.json and preprocess.yaml for each
backbone, size, depth and precision.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser(
        "bob export", "Export backbones to ONNX and compare them with eager PyTorch on real photographs.", EXAMPLES
    )
    complete(
        p.add_argument(
            "names", nargs="*", metavar="NAME", help="zoo name, timm id, NAME@random, module:function, FILE.onnx"
        ),
        "export.zoo.names:names",
    )
    p.add_argument("--list", action="store_true", help="list the zoo, then stop")
    p.add_argument(
        "--study", action="store_true", help="with --list: the rows of the 2023 study, and what each needs here"
    )
    p.add_argument(
        "--inspect", type=Path, metavar="FILE", help="what a checkpoint holds, and the rows that it fits, then stop"
    )
    p.add_argument(
        "--backbone",
        action="append",
        default=[],
        metavar="MODULE:FUNCTION",
        help="a function that returns your torch.nn.Module; repeatable",
    )
    p.add_argument("--weights", type=Path, metavar="FILE", help="a local checkpoint, for a single NAME")
    p.add_argument("--precisions", default="fp32", metavar="A,B", help="fp32 (default), fp16, bf16, int8, fp8")
    p.add_argument(
        "--calibration",
        type=Path,
        metavar="DIR",
        help="photographs to calibrate and check lower precisions on (published ones)",
    )
    p.add_argument(
        "--taps",
        default="",
        metavar="A,B",
        help="feature maps to export too: all (tokens of a plain ViT), scales (strides 8, 16, 32), map_s16, block4, …",
    )
    p.add_argument("--size", default="", metavar="A,B", help="input sizes, 224 or 352x480 (the checkpoint's own)")
    p.add_argument("--depth", default="", metavar="A,B", help="cut after these stages or blocks: 2,3, or all (whole)")
    add_zoo(p)
    p.add_argument("--images", type=Path, metavar="DIR", help="photographs for the parity check (published ones)")
    p.add_argument("--out", type=Path, default=Path("models"), metavar="DIR", help="output folder (models)")
    add_store(p)
    p.add_argument("--json", action="store_true", help="print the table as JSON")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Export what the command line names; the exit code."""
    args = parser().parse_args(argv)
    from export.zoo.backbones import listing, resolve_all
    from export.zoo.variants import variants

    if args.study and not args.list:
        raise UserError("--study lists rows of the study.", "It goes with --list.", "bob export --list --study")
    if args.list and args.study:
        from export.zoo.printing import list_study

        list_study(args.store, args.zoo, args.json)
        return 0
    if args.inspect:
        from export.zoo.printing import inspect

        inspect(args.inspect, args.store, args.zoo, args.json)
        return 0
    if args.list:
        _list(listing(args.zoo), args.json)
        return 0
    names = [*args.names, *args.backbone]
    if not names:
        raise UserError("No backbone was named.", "", "bob export --list")
    if args.weights and len(names) != 1:
        raise UserError("--weights needs exactly one backbone.", f"{len(names)} were named.")
    weights = {names[0]: args.weights} if args.weights else {}
    sizes, depths = (
        [check(part) for part in listed(text)] for check, text in ((input_size, args.size), (cut_depth, args.depth))
    )
    resolved = resolve_all(names, zoo_files=args.zoo, weights=weights)

    from export.lower.calibration import of_folder
    from export.lower.precision import artifact, precision_of
    from export.store import Store

    precisions = [precision_of(name) for name in listed(args.precisions)]
    calibration = of_folder(args.calibration) if args.calibration else None
    store = Store(args.store)
    backbones = [variant for backbone in resolved for variant in variants(backbone, sizes, depths, store)]
    asked = [(backbone, precision) for backbone in backbones for precision in precisions]
    rows: list[dict[str, Any]] = []
    failures = Failures()
    for number, (backbone, precision) in enumerate(asked, 1):
        where = f"[{number}/{len(asked)}] {backbone.network} {precision} ({backbone.weights})"
        print(where, file=sys.stderr, flush=True)
        start = time.perf_counter()
        with failures.kept():
            made = artifact(
                backbone,
                store,
                precision=precision,
                taps=listed(args.taps),
                images=args.images,
                calibration=calibration,
            )
            folder = _deliver(made, backbone, args.out)
            rows.append(_row(made, backbone, folder, time.perf_counter() - start))
    if args.json:
        print(json.dumps(rows, indent=1))
    elif rows:
        print_table(HEADS, [_line(row) for row in rows])
    if failures.errors and len(asked) == 1:
        return failures.errors[0].exit_code
    return 1 if failures.errors or not all(r["parity_passed"] for r in rows) else 0


def _deliver(made: Artifact, backbone: Backbone, out: Path) -> Path:
    """Copy the artifact to where the user wants it. No link: the store's file must stay what it is."""
    from export.artifact import ONNX, copy_files
    from export.spec import Precision
    from export.store import MANIFEST, write_atomic

    variant = [part for part in (backbone.size, backbone.resize, f"depth{backbone.depth or ''}") if part != "depth"]
    name = ".".join([made.backbone.replace("/", "_").replace(":", "."), *filter(None, variant)])
    folder = out / (name if made.precision is Precision.FP32 else f"{name}.{made.precision}")
    folder.mkdir(parents=True, exist_ok=True)
    copy_files(made.onnx, folder / ONNX)
    shutil.copyfile(made.path / MANIFEST, folder / MANIFEST)
    import yaml

    write_atomic(
        folder / "preprocess.yaml",
        yaml.safe_dump({"preprocess": made.preprocess.as_json()}, sort_keys=False).encode(),
    )
    return folder


def _row(made: Artifact, backbone: Backbone, folder: Path, seconds: float) -> dict[str, Any]:
    parity = made.parity
    assert parity is not None  # everything that this command makes was compared
    return {
        "backbone": made.backbone,
        "network": backbone.network,
        "input": [made.preprocess.height, made.preprocess.width],
        "depth": backbone.depth,
        "precision": str(made.precision),
        "untrained": made.untrained,
        "parameters_m": round(made.parameters / 1e6, 2),
        "gmacs": None if made.gmacs is None else round(made.gmacs, 2),
        "onnx_mib": round(made.onnx_bytes / 2**20, 1),
        "outputs": {o.name: list(o.shape) for o in made.outputs},
        "parity_output": parity.output,
        "cosine_min": parity.cosine_min,
        "relative_error": parity.relative_error,
        "parity_passed": parity.passed,
        "first_below": made.fields["compared"].get("first_below"),
        "chosen": dict(made.fields.get("chosen", {})),
        "seconds": round(seconds, 1),
        "path": str(folder / "model.onnx"),
    }


HEADS = (
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


def _line(r: dict[str, Any]) -> tuple[str, ...]:
    outputs = ", ".join(f"{n} {'x'.join(map(str, s))}" for n, s in r["outputs"].items())
    name = r["network"] + (" (untrained)" if r["untrained"] else "")
    gmacs = "n/a" if r["gmacs"] is None else f"{r['gmacs']:.2f}"
    numbers = (f"{r['parameters_m']:.2f}", gmacs, f"{r['onnx_mib']:.1f}")
    parity = (f"{r['cosine_min']:.6f}", f"{r['relative_error']:.1e}", "passed" if r["parity_passed"] else "FAILED")
    return name, r["precision"], *numbers, outputs, *parity, f"{r['seconds']:.1f}", r["path"]


def _list(rows: Sequence[Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps([{**r.as_json(), "weights": r.weights} for r in rows], indent=1))
        return
    heads = ("name", "family", "pretraining", "data", "licence", "weights", "timm id")
    lines = [(r.name, r.family, r.pretrain_algo, r.pretrain_data, r.licence, r.weights, r.timm) for r in rows]
    print_table(heads, lines)
    print(
        f"{len(rows)} backbones. Any other timm id works too; add @random to a name for random weights.",
        file=sys.stderr,
    )


cli = console(main)

if __name__ == "__main__":
    cli()
