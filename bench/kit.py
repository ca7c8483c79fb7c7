"""``bob kit``: measure on a board that has neither PyTorch nor a network: pack, run there, merge."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from bench.boards.targets import HERE, TARGETS
from bench.sweep.option import WHAT
from bench.sweep.options import add_all
from bench.sweep.spec import declared, read
from bench.verdict.choose import RESULTS
from export.command import add_store, console, new_parser

if TYPE_CHECKING:
    from bench.boards.pack import Load
    from bench.boards.targets import Target
    from bench.sweep.assembly import Assembly

EXAMPLES = """\
examples:
  bob kit pack kit --target pi5 --models efficientnet_lite0,mobilenetv2 --engines ort --data ~/photos
  scp -r kit pi@raspberrypi:            copy the folder to the board
  python3 kit/kit.pyz run               on the board: no pip, no network; resumed after a power cut
  bob kit merge results.tar             the board's own outputs are scored here
  bob rank                              this machine and the board in one table

  bob kit run kit --over pi@raspberrypi   copy, run, fetch and merge by ssh
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    what = "Measure on a board without PyTorch: pack a kit, run it there, merge its results."
    p = new_parser("bob kit", what, EXAMPLES)
    commands = p.add_subparsers(dest="command", metavar="COMMAND", required=True)
    pack = commands.add_parser("pack", help="write a folder that a board needs nothing but Python for")
    pack.add_argument("folder", type=Path, metavar="OUT", help="the new folder")
    pack.add_argument(
        "--target",
        metavar="NAME",
        required=True,
        help=f"the board: {', '.join([*TARGETS, HERE])}; or any: py3.11-manylinux_2_28_aarch64",
    )
    add_all(pack)[WHAT].add_argument("--config", type=Path, metavar="FILE", help="a sweep in YAML, as of bob run")
    add_store(pack)
    merge = commands.add_parser("merge", help="score what a board brought, and write its records")
    merge.add_argument("file", type=Path, metavar="results.tar", help="the file that the kit wrote on the board")
    run = commands.add_parser("run", help="copy a kit to a board, run it, fetch and merge its results, by ssh")
    run.add_argument("folder", type=Path, metavar="KIT", help="a kit that was packed")
    run.add_argument("--over", required=True, metavar="USER@BOARD", help="where ssh finds the board")
    for merging in (merge, run):
        merging.add_argument("--out", type=Path, default=RESULTS, metavar="DIR", help="results folder (results)")
        merging.add_argument("--name", default="", metavar="NAME", help="tells this board from another of its model")
        add_store(merging)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Pack, merge, or run over ssh; the exit code."""
    args = parser().parse_args(argv)
    return {"pack": _pack, "merge": _merge, "run": _run}[args.command](args)


def _pack(args: argparse.Namespace) -> int:
    from bench.boards import pack
    from bench.boards.kit import CODE
    from bench.boards.targets import target
    from bench.sweep.assembly import assemble
    from export.store import Store

    board = target(args.target)
    given = {one.name: getattr(args, one.name) for one in declared()}
    sweep = read(args.config, **{**given, "preprocess": given["preprocess"] or pack.PATH})
    pack.require_free(args.folder, 0)
    store = Store(args.store)
    asked = assemble(sweep, store)
    pack.require_wheels(asked, board)
    made = pack.load(asked)
    wheels = pack.wheels_for(made, board, store)
    _tell(asked, made, board, sum(wheel.stat().st_size for wheel in wheels))
    pack.require_free(args.folder, made.size + sum(wheel.stat().st_size for wheel in wheels))
    kit = pack.write(asked, made, board, wheels, args.folder)
    size = sum(file.stat().st_size for file in args.folder.rglob("*") if file.is_file())
    print(f"{args.folder}: kit {kit.id[:8]}, {len(kit.networks)} networks, {size / 2**20:,.0f} MiB, for {board}")
    print(f"Copy the folder to the board, and there: python3 {quote(f'{args.folder.name}/{CODE}')} run")
    return 0


def _tell(asked: Assembly, made: Load, board: Target, wheels: int) -> None:
    """What the kit will hold, and what the board will do, before it is written."""
    from export.progress import say

    mib = 2**20
    shown = sum(shown.count for network in made.networks for shown in network.shown)
    timed = sum(len(network.scenarios) for network in made.networks) * asked.cells[0].sweep.repeats
    seconds = timed * 2 * asked.cells[0].sweep.seconds
    say(f"kit for {board}:")
    say(
        f"  ONNX files {made.bytes('onnx') / mib:,.0f} MiB, pixels {made.bytes('pixels') / mib:,.0f} MiB, "
        f"images for timing {made.bytes('queries') / mib:,.0f} MiB, wheels {wheels / mib:,.0f} MiB"
    )
    say(
        f"  on the board: {timed} timings, about {max(1, round(seconds / 60))} min, and {shown:,} images through "
        f"{len(made.networks)} networks"
    )


def _merge(args: argparse.Namespace) -> int:
    return _merged(args.file, args)


def _run(args: argparse.Namespace) -> int:
    from bench.boards.over_ssh import run

    return _merged(run(args.folder, args.over), args)


def _merged(file: Path, args: argparse.Namespace) -> int:
    from bench.boards.merge import merge
    from export.store import Store

    tally = merge(file, args.out, Store(args.store), args.name)
    print(f"merged into {args.out}; the table: bob rank{'' if args.out == RESULTS else f' {args.out}'}")
    return tally.exit_code


cli = console(main)

if __name__ == "__main__":
    cli()
