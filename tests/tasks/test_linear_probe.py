from __future__ import annotations

import numpy as np
import pytest
from batches import rows_of, with_features, with_labels

from tasks.base import Splits
from tasks.linear_probe import LinearProbe
from tasks.scoring.linear_classifier import columns, logits


def test_linear_probe_chooses_on_val_and_reads_test_once(digit_splits: Splits) -> None:
    fitted = LinearProbe().fit(digit_splits.train, digit_splits.val, seed=0)
    score = LinearProbe().judge(fitted, digit_splits.test)
    assert len(fitted.sweep) == 20
    assert all(row["converged"] for row in fitted.sweep)
    assert fitted.chosen["val_accuracy"] == max(row["val_accuracy"] for row in fitted.sweep)
    assert score.main.value is not None
    assert score.main.value > 94
    assert score.per_sample.mean() == pytest.approx(score.main.value)
    wrong = with_labels(digit_splits.test, (digit_splits.test.labels + 1) % 10)
    np.testing.assert_array_equal(logits(fitted, wrong), logits(fitted, digit_splits.test))
    assert (LinearProbe().judge(fitted, wrong).main.value or 0) < 6


@pytest.mark.parametrize("offset", [0, 40])
def test_the_head_gives_the_logits_that_are_judged(digit_splits: Splits, offset: float) -> None:
    """Of features that lie away from zero, of which some are constant; train has no 4."""
    import onnx
    import onnxruntime

    parts = (digit_splits.train, digit_splits.val, digit_splits.test)
    train, val, test = (with_features(rows_of(p, p.labels != 4), p.features[p.labels != 4] + offset) for p in parts)
    assert (train.features.std(axis=0) == 0).any()
    fitted = LinearProbe().fit(train, val, seed=0)
    head = LinearProbe().head(fitted)
    model = onnx.load_from_string(head.model)
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Gemm"]
    assert model.opset_import[0].version == 17
    session = onnxruntime.InferenceSession(head.model, providers=["CPUExecutionProvider"])
    assert [(v.name, v.shape, v.type) for v in session.get_inputs()] == [("features", ["n", 64], "tensor(float)")]
    assert [(v.name, v.shape, v.type) for v in session.get_outputs()] == [("logits", ["n", 9], "tensor(float)")]
    [found] = session.run(None, {"features": test.features})
    np.testing.assert_allclose(found, logits(fitted, test), rtol=1e-4, atol=1e-4)
    right = found.argmax(axis=1) == columns(fitted.arrays["present"], test)
    assert 100 * right.mean() == pytest.approx(LinearProbe().judge(fitted, test).main.value, abs=1e-9)
