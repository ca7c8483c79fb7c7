"""``bob tasks``: the tasks and the named data sets, or the contents of one data set. Scores nothing."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from export.command import add_store, complete, console, new_parser

if TYPE_CHECKING:
    from tasks.data.catalog import Survey

EPILOG = """a data set is one of
  a name of the list (elpv, cifar10, …), or NAME=DIR for a copy of it that you have
  a folder of class folders              photos/cat/1.jpg
  a folder of splits of class folders    photos/{train,val,test}/cat/1.jpg   (val may be missing; names such as
                                         training_set, seg_test, dev and eval are understood)
  a gallery and queries, for retrieval   photos/{gallery,query}/cup-17/1.jpg (nothing is val)
  a CSV table with the columns path,label or path,label,split; paths are relative to it
                                         (also beside the images, or as train.csv, val.csv, test.csv)
  images with masks                      photos/{images,masks}/{train,val,test}/1.{jpg,png}, or ADE20K's, Cityscapes'
                                         or Pascal VOC's folders
  images with boxes or shapes            COCO's JSON, Pascal VOC's XML, YOLO's text files
  a zip or tar archive (.tar.gz, .tar.xz, .tar.bz2) that holds any of these
Every file that is not taken is counted, and what has two readings is refused: docs/data.md has the rules."""


def parser() -> argparse.ArgumentParser:
    """The options."""
    p = new_parser("bob tasks", "List tasks and data sets, or show the contents of one data set.", EPILOG)
    data = p.add_argument("--data", metavar="REF", help="index this data set and print its contents")
    complete(data, "tasks.data.named:NAMED")
    p.add_argument("--limit", type=int, metavar="N", help="at most N images (a seeded, stratified subset)")
    p.add_argument("--seed", type=int, default=0, metavar="N", help="random seed of splits and subsets (0)")
    p.add_argument(
        "--max-unreadable", type=float, default=0.01, metavar="F", help="largest fraction of unreadable images (0.01)"
    )
    p.add_argument(
        "--void",
        type=lambda text: [int(value) for value in text.split(",")],
        default=[],
        metavar="N[,N…]",
        help="values of masks that are neither right nor wrong, beside 255",
    )
    add_store(p)
    p.add_argument("--json", action="store_true", help="print the list or the contents as JSON")
    return p


def main(argv: list[str] | None = None) -> int:
    """Run the command; 0 when it could be answered."""
    options = parser().parse_args(argv)
    if options.data is None:
        _print(listing(), options.json, _show_listing)
        return 0
    from export.store import Store
    from tasks.data.catalog import survey

    found = survey(
        options.data,
        Store(options.store),
        limit=options.limit,
        seed=options.seed,
        max_unreadable=options.max_unreadable,
        void=options.void,
        progress=_progress if sys.stderr.isatty() else None,
    )
    _print(contents(found), options.json, _show_contents)
    return 0


def listing() -> dict[str, Any]:
    """Tasks and named data sets, as JSON values."""
    from tasks.catalog import TASKS, task
    from tasks.data.catalog import listing as data_sets

    metas = [task(name).meta for name in TASKS]
    tasks = [
        {"name": m.name, "version": m.version, "main_metric": m.main_metric, "unit": m.unit, "protocol": m.protocol}
        for m in metas
    ]
    return {"tasks": tasks, "data_sets": data_sets()}


def contents(found: Survey) -> dict[str, Any]:
    """What is in a data set, as JSON values."""
    from tasks.data.base import SPLITS

    data = found.data
    return {
        "name": data.name,
        "kind": data.kind,
        "images": len(data.samples),
        "licence": data.licence,
        "splits_from": data.splits_from,
        "splits": {split: len(data.split(split)) for split in SPLITS},
        "classes": {name: dict(row) for name, row in found.counts.items()},
        "exact_copies": found.exact_copies,
        "near_copies": found.near_copies,
        "largest_group": list(found.largest),
        "pictures_in_two_splits": found.leaks,
        "junk_pairs": len(data.junk),
        "unreadable": [{"id": image.id, "reason": image.reason} for image in data.unreadable],
        "notes": list(found.notes),
        "left_out": [asdict(counted) for counted in found.left_out],
        "traits": [asdict(counted) for counted in found.traits],
        "digest": data.digest,
    }


_KINDS = {
    "labels": "",
    "masks": " in masks; below, the images that show each",
    "boxes": " of boxes; below, the objects of each",
    "shapes": " of boxes and shapes; below, the objects of each",
}


def _print(document: dict[str, Any], as_json: bool, show: Any) -> None:
    if as_json:
        print(json.dumps(document, indent=1))
    else:
        show(document)


def _show_listing(document: dict[str, Any]) -> None:
    import textwrap

    print("tasks")
    for row in document["tasks"]:
        print(f"  {row['name']:<16} {row['main_metric']}, {row['unit']}")
        print(textwrap.fill(row["protocol"], 110, initial_indent=" " * 4, subsequent_indent=" " * 4))
    print(f"\ndata sets\n  {'name':<16} {'images':>9} {'classes':>7}  {'licence':<24} how to get it")
    for row in document["data_sets"]:
        print(f"  {row['name']:<16} {row['images']:>9,} {row['classes']:>7,}  {row['licence']:<24} {row['how']}")
    print("  or your own folder, CSV table or archive: see --help")


def _show_contents(document: dict[str, Any], shown: int = 40) -> None:
    from tasks.data.base import Counted

    licence = f" ({document['licence']})" if document["licence"] else ""
    classes = f"{len(document['classes'])} classes{_KINDS[document['kind']]}"
    print(f"{document['name']}{licence}: {document['images']:,} images, {classes}")
    width = max(len("images"), *(len(name) for name in document["classes"]))
    print(f"  {'class':<{width}} {'train':>8} {'val':>8} {'test':>8}")
    for name, row in list(document["classes"].items())[:shown]:
        print(f"  {name:<{width}} {row['train']:>8,} {row['val']:>8,} {row['test']:>8,}")
    if len(document["classes"]) > shown:
        print(f"  … {len(document['classes']) - shown} more (--json shows all)")
    total = document["splits"]
    print(f"  {'images':<{width}} {total['train']:>8,} {total['val']:>8,} {total['test']:>8,}")
    print(f"splits      {document['splits_from']}")
    print(f"copies      {document['exact_copies']:,} exact, {document['near_copies']:,} near")
    if document["largest_group"]:
        group = document["largest_group"]
        print(f"            the largest group has {len(group)}: {', '.join(group[:3])}{' …' if len(group) > 3 else ''}")
    for pair, count in document["pictures_in_two_splits"].items():
        print(f"            {pair} share pictures ({count:,} images): the given splits are not changed")
    if document["junk_pairs"]:
        print(f"junk        {document['junk_pairs']:,} pairs of a query and a gallery image")
    print(f"unreadable  {len(document['unreadable'])}")
    for image in document["unreadable"]:
        print(f"            {image['id']}: {image['reason']}")
    for title, field in (("left out", "left_out"), ("images", "traits")):
        for counted in document[field]:
            print(f"{title:<12}{Counted(counted['what'], counted['count'], tuple(counted['names']))}")
    for note in document["notes"]:
        print(f"note        {note}")
    print(f"digest      {document['digest']}")


def _progress(done: int, total: int) -> None:
    print(f"\rindexing {done:,} of {total:,} images", end="\n" if done == total else "", file=sys.stderr, flush=True)


cli = console(main)

if __name__ == "__main__":
    cli()
