# PYTHON_ARGCOMPLETE_OK
"""``bob COMMAND``: every command on one door. A command's module is imported when the command is called."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from export import __version__
from export.command import complete, console
from export.errors import unknown

GROUPS = {
    "measure": {
        "run": ("bench.run", "score and time backbones on engines, and rank them"),
        "race": ("bench.race", "find the backbone to ship within a budget, in minutes: rungs of images eliminate"),
    },
    "decide": {
        "rank": ("bench.rank", "rank what was measured, with errors, beside its cost; or rank any table"),
        "pick": ("bench.pick", "name the cell to ship, within a budget"),
        "plot": ("bench.plot", "draw accuracy against cost as SVG"),
        "report": ("bench.report.__main__", "write all of it as one HTML page"),
        "compare": ("bench.compare", "compare two results folders"),
    },
    "board": {
        "kit": ("bench.kit", "measure on a board without PyTorch or a network: pack a kit, run it there, merge"),
    },
    "ship": {
        "ship": ("bench.ship", "write the picked cell as a folder that predicts without this project; or check one"),
    },
    "look closer": {
        "damage": ("bench.damage", "which images a precision or an engine changes, against eager fp32"),
        "inversions": ("bench.inversions", "where the order of backbones changes once they are deployed"),
        "correlations": (
            "bench.correlations",
            "whether good at one task means good at another, and whether size helps",
        ),
        "robustness": ("bench.robustness", "what distribution shift and corruption cost"),
    },
    "look around": {
        "export": ("export.__main__", "export backbones to ONNX; --list shows the zoo"),
        "engines": ("engines.__main__", "which engines run on this machine, and what would enable the others"),
        "sensors": ("bench.sensors", "which sensors of energy this machine has, and what would enable the others"),
        "tasks": ("tasks.__main__", "which tasks and data sets there are, and what is in a data set"),
    },
}
"""Command → (its module, one line of help), by what a user wants to do."""

COMMANDS = {name: row for group in GROUPS.values() for name, row in group.items()}

DESCRIPTION = """\
Which backbone to ship, in which precision, on which engine: measured on the machine at hand.

  bob run --data ~/photos              score and time each cell, and keep the records in ./results
  bob rank                             show them as a table, with errors, beside what each cell costs
  bob pick --max latency_p50_ms=20     name the cell to ship within that budget
"""


def parser() -> argparse.ArgumentParser:
    """The command line up to the command's name; what follows belongs to the command."""
    lines = []
    for title, group in GROUPS.items():
        lines += ["", f"{title}:", *(f"  {name:<13} {help_line}" for name, (_, help_line) in group.items())]
    p = argparse.ArgumentParser(
        prog="bob",
        usage="bob COMMAND [options]",
        description=DESCRIPTION,
        epilog="\n".join([*lines[1:], "", "  bob COMMAND --help      the options of a command"]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--version", action="version", version=f"bob {__version__}", help="show the version and stop")
    complete(p.add_argument("command", nargs="?", help=argparse.SUPPRESS), tuple(COMMANDS))
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; its exit code.

    Raises:
        UserError: there is no such command; its neighbours are suggested. Or the command's own.
    """
    if "_ARGCOMPLETE" in os.environ:
        answer_shell()
    words = list(sys.argv[1:] if argv is None else argv)
    name = parser().parse_args(words[:1]).command
    if name is None:
        parser().print_help()
        return 0
    if name not in COMMANDS:
        raise unknown("command", name, COMMANDS, "bob --help")
    code: int = import_module(COMMANDS[name][0]).main(words[1:])
    return code


def answer_shell() -> None:
    """Write what may stand at the cursor, as argcomplete's shell code expects it, and end the process.

    Only the parser of the command on the line is made: argcomplete is told to skip one word more.
    """
    import argcomplete

    skipped = int(os.environ["_ARGCOMPLETE"])  # 1 for `bob`, 3 for `python -m bench`
    line = os.environ["COMP_LINE"][: int(os.environ["COMP_POINT"])]
    *before, _ = f"{line}|".split()  # the word at the cursor, which may be empty, is none of those before it
    asked = COMMANDS.get(before[skipped]) if len(before) > skipped else None
    if asked:
        os.environ["_ARGCOMPLETE"] = str(skipped + 1)
    argcomplete.autocomplete(import_module(asked[0]).parser() if asked else parser(), always_complete_options="long")


cli = console(main)

if __name__ == "__main__":
    cli()
