"""``python -m bench.sweep.document > docs/sweep.md`` (``make docs``): a sweep's fields as a page."""

from __future__ import annotations

from bench.sweep.option import GROUPS
from bench.sweep.spec import Declared, declared
from bench.verdict.markdown import table

HEAD = """\
# The fields of a sweep

Made by `make docs` from the declaration in `bench/sweep/spec.py`: edit that, not this page.

A sweep is given in three ways, with the same names: as options of `bob run`, as a YAML file for its option
`--config`, and as keywords of `bench.evaluate` ([python.md](python.md)). An option has hyphens where the others have
underscores. Options override the file. The file overrides the demo, `bench/sweep/demo.yaml`, whose models, engines,
tasks and scenarios are the defaults. The settings that keep the demo short do not apply once `data` is given.

```yaml
models: [vit_s, efficientnet_lite0]
engines: [ort, openvino]
precisions: [fp32, int8]
data: ~/photos
tasks: [knn, linear_probe]
```

In YAML and in Python a single value is a list of one. Where the option takes a list with commas, a text with commas is
split.
"""

KINDS = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "tuple[str, ...]": "list of texts",
    "tuple[int, ...]": "list of whole numbers",
    "dict[str, str]": "mapping of texts",
}


def page() -> str:
    """The page in Markdown: one table a group."""
    parts = [HEAD.rstrip()]
    for group in GROUPS:
        rows = [_row(one) for one in declared() if one.option.group == group]
        parts += ["", f"## {group.capitalize()}", "", table(("field", "type", "default", "option", "meaning"), rows)]
    return "\n".join([*parts, ""])


def _row(one: Declared) -> tuple[str, ...]:
    default = "the demo's" if one.required else f"`{one.default}`" if one.default else "none"
    option = f"`--{one.name.replace('_', '-')} {one.option.metavar}`"
    return (
        f"`{one.name}`",
        KINDS[one.type],
        default,
        option + (", repeatable" if one.option.repeatable else ""),
        one.option.help,
    )


if __name__ == "__main__":
    print(page(), end="")
