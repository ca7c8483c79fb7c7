"""``make wheels DEST=…``: all that a machine without a network needs, in one folder.

The locked requirements for another machine's Python and platform, as wheels, each checked against its pinned hash; the
project's own wheel; and how to install them. Run again, it fetches what is missing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.boards.wheels import STUBS, Missing, Target, gather, pins
from export.command import console, new_parser
from export.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "requirements" / "gpu.txt"


def build_own(folder: Path, root: Path = ROOT) -> Path:
    """The project's own wheel.

    Raises:
        UserError: this is no checkout of the project, or it does not build.
    """
    if not (root / "pyproject.toml").exists():
        raise UserError("The project's own wheel is built from its sources, and they are not here.", str(root))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as part:
        done = subprocess.run([*command, "-w", part, str(root)], capture_output=True, text=True)
        files = list(Path(part).glob("*.whl"))
        if done.returncode or len(files) != 1:
            last = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
            raise UserError("The project's own wheel could not be built.", last)
        return files[0].replace(folder / files[0].name)


def instructions(target: Target, lock: str, own: str, sources: Sequence[str], missing: Sequence[Missing] = ()) -> str:
    """What to do on the machine that has no network. ``lock`` pins the wheels; ``sources`` are files to be built."""
    pip = "    .venv/bin/pip install --no-index --no-deps"
    lines = [
        f"For Python {target.python} on {target.platform}. In this folder:",
        "",
        f"    python{target.python} -m venv .venv",
        f"{pip} --find-links . --require-hashes -r {lock}",
        *(f"{pip} --no-build-isolation {file}" for file in sources),
        f"{pip} {own}",
        "    .venv/bin/bob engines",
    ]
    if sources:
        lines += [
            "",
            "What ends in .tar.gz has no wheel and is built there. That needs a C++ compiler; pycuda also needs the",
            "CUDA toolkit, with cuda.h, and its nvcc on the PATH.",
        ]
    if missing:
        lines += ["", "Not in this folder:", *(f"    {one.what} {one.why}" for one in missing)]
    return "\n".join([*lines, ""])


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser("requirements.wheels", "All that a machine without a network needs, in one folder.")
    p.add_argument("dest", type=Path, metavar="DEST", help="the folder; made where it is not there")
    p.add_argument("--python-version", default="3.12", metavar="3.12", help="the other machine's Python")
    p.add_argument("--platform", default="manylinux_2_28_x86_64", metavar="TAG", help="its glibc and processor")
    p.add_argument("--requirements", type=Path, default=REQUIREMENTS, metavar="FILE", help="a lock (gpu.txt)")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Gather, build, write the instructions, and say the size; 1 where a package could not be had."""
    args = parser().parse_args(argv)
    from export.progress import say
    from export.store import sha256_file

    target = Target(args.python_version, args.platform)
    try:
        wanted = [pin for pin in pins(args.requirements.read_text()) if target.wanted(pin)]
    except OSError as error:
        raise UserError(f"The lock {args.requirements} cannot be read.", str(error)) from error
    wheels, sources, missing, size = [], [], [], 0
    for number, (pin, file) in enumerate(gather(wanted, target, args.dest), 1):
        if isinstance(file, Missing):
            missing.append(file)
            say(f"[{number}/{len(wanted)}] {file.what}")
            continue
        size += file.stat().st_size
        if file.suffix == ".whl":
            wheels.append(pin if pin.name not in STUBS else replace(pin, hashes=(sha256_file(file),)))
        else:
            sources.append(file.name)
        say(f"[{number}/{len(wanted)}] {file.name}")
    own = build_own(args.dest)
    lock = args.dest / args.requirements.name
    lock.write_text("".join(f"{pin.line()}\n" for pin in wheels))
    (args.dest / "INSTALL.txt").write_text(instructions(target, lock.name, own.name, sources, missing))
    for one in missing:
        print(f"error: {one}", file=sys.stderr)
    total = (size + own.stat().st_size) / 2**20
    count = len(wheels) + len(sources) + 1
    print(f"{count} files, {total:,.0f} MiB; {args.dest / 'INSTALL.txt'} says how to install them")
    return 1 if missing else 0


cli = console(main)

if __name__ == "__main__":
    cli()
