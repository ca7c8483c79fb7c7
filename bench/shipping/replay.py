"""Runs a shipped folder's own program over photographs, in a process of its own.

``python replay.py FOLDER OUT.npz FILES…`` writes what its network gives, each output stacked over the files, and prints
what it says of each photograph as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main(folder: str, out: str, *files: str) -> None:
    """Import the folder's ``predict.py`` and use its functions."""
    sys.path.insert(0, folder)
    import numpy as np
    import predict  # type: ignore[import-not-found]  # the folder's

    run = predict.network(Path(folder, "model.onnx"), predict.SPEC["options"])
    read = getattr(predict, predict.SPEC["kind"])
    outputs: list[dict[str, Any]] = []
    said = []
    for file in files:
        image = predict.decoded(file)
        outputs.append(run(predict.values(image)))
        said.append(read(outputs[-1], image))
    stacked: dict[str, Any] = {name: np.concatenate([one[name] for one in outputs]) for name in outputs[0]}
    np.savez(out, **stacked)
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
