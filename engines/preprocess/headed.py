"""The artifact's network behind the head that takes uint8 pixels, as an entry of the store.

Who builds from it finds it there, so that it can be made on another machine: a board has no onnx.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engines.library import failing
from engines.preprocess.normalize import BATCH_AXIS
from engines.preprocess.onnx_head import with_pixels_input
from export import external
from export.artifact import ONNX, Artifact
from export.store import Entry, Store, key

VERSION = 1
"""Goes up when the head computes otherwise."""


def headed(artifact: Artifact, store: Store) -> Entry:
    """The headed file ``model.onnx``, from the store or made: an entry of the shelf ``headed``.

    Raises:
        CellError: the artifact's file cannot be read, or its input is not as the manifest says.
    """

    def build(folder: Path) -> dict[str, Any]:
        import onnx  # here: that it is missing is no fault of the file

        with failing(f"{artifact.backbone}: its file cannot be read."):
            model: onnx.ModelProto = external.load(artifact.onnx)
        model = with_pixels_input(model, artifact.preprocess, artifact.input)
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_param = BATCH_AXIS
        del model.graph.value_info[:]  # an engine infers them again, for the batch that it is opened with
        external.save(model, folder / ONNX)
        return {"onnx": artifact.key, "backbone": artifact.backbone}

    return store.obtain("headed", key("headed", onnx=artifact.key, head=VERSION), build)
