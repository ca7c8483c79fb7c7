from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from batches import rows_of, with_features

from export.errors import CellError
from tasks.base import Batchwise, Splits
from tasks.classification import Classification
from tasks.linear_probe import LinearProbe
from tasks.scoring.linear_classifier import logits


def deployed(part: Batchwise, values: np.ndarray) -> Batchwise:
    """What the plan of backbone and classifier gives for a part."""
    return replace(part, outputs={"logits": values.astype(np.float32)})


@pytest.mark.parametrize("offset", [0, 40])
def test_the_head_gives_the_logits_of_the_probe(digit_splits: Splits, offset: float) -> None:
    """Of features that lie away from zero, of which some are constant; train has no 4."""
    import onnx
    import onnxruntime

    parts = (digit_splits.train, digit_splits.val, digit_splits.test)
    train, val, test = (with_features(rows_of(p, p.labels != 4), p.features[p.labels != 4] + offset) for p in parts)
    assert (train.features.std(axis=0) == 0).any()
    fitted = Classification().fit(train, val, seed=0)
    head = Classification().head(fitted)
    model = onnx.load_from_string(head.model)
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Gemm"]
    assert model.opset_import[0].version == 17
    session = onnxruntime.InferenceSession(head.model, providers=["CPUExecutionProvider"])
    assert [(v.name, v.shape, v.type) for v in session.get_inputs()] == [("features", ["n", 64], "tensor(float)")]
    assert [(v.name, v.shape, v.type) for v in session.get_outputs()] == [("logits", ["n", 9], "tensor(float)")]
    [found] = session.run(None, {"features": test.features})
    np.testing.assert_allclose(found, logits(fitted, test), rtol=1e-4, atol=1e-4)
    score = Classification().judge(fitted, deployed(test, found))
    assert score.main.value == pytest.approx(LinearProbe().judge(fitted, test).main.value, abs=1e-9)


def test_it_is_judged_on_what_the_plan_emits_and_not_on_features(digit_splits: Splits) -> None:
    fitted = Classification().fit(digit_splits.train, digit_splits.val, seed=0)
    test, classes = digit_splits.test, 10
    right = np.eye(classes)[test.labels]
    assert Classification().judge(fitted, deployed(test, right)).main.value == 100
    assert Classification().judge(fitted, deployed(test, -right)).main.value == 0
    assert Classification().judge(fitted, deployed(test, right)).per_sample.shape == (len(test),)


def test_it_shares_the_fit_of_the_linear_probe() -> None:
    assert Classification.meta.fitted_as == LinearProbe.meta.fitted_as


def test_logits_that_are_not_finite_are_refused(digit_splits: Splits) -> None:
    fitted = Classification().fit(digit_splits.train, digit_splits.val, seed=0)
    broken = np.zeros((len(digit_splits.test), 10))
    broken[3, 2] = np.nan
    with pytest.raises(CellError, match="row 3 of the test split"):
        Classification().judge(fitted, deployed(digit_splits.test, broken))
