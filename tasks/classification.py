"""Classification: the linear probe as it ships, one network of backbone and classifier, judged on its own logits."""

from __future__ import annotations

import numpy as np

from tasks.base import FEATURES, Batchwise, Fitted, Head, Score, Task, TaskMeta
from tasks.scoring import linear_classifier
from tasks.scoring.confidence import confidence_metrics
from tasks.scoring.linear_classifier import FIT, columns, folded
from tasks.scoring.metrics import accuracy, softmax
from tasks.scoring.reading import read
from tasks.scoring.requirements import require_judgeable

PROTOCOL = (
    "The linear probe's classifier (multinomial logistic regression on standardised features, its penalty by accuracy "
    "on val), fitted once for a backbone, on fp32 features of the first engine; joined to the backbone, lowered and "
    "compiled with it. Accuracy of the logits that the compiled plan of both emits."
)
LOGITS = "logits"


class Classification(Task):
    """A linear classifier on the pooled features, deployed."""

    meta = TaskMeta("classification", 1, "accuracy", PROTOCOL, FIT.settings, head="deployed", fit=FIT)

    def fit(self, train: Batchwise, val: Batchwise, seed: int) -> Fitted:
        return linear_classifier.fit(train, val, seed)

    def judge(self, fitted: Fitted, test: Batchwise) -> Score:
        """``test`` holds ``logits``, float32 [n, c], a column for each label that train has."""
        require_judgeable(fitted.train.labelled, test.labelled)
        logits = np.concatenate([found[LOGITS] for _, found in read(test, "test", "judging")])
        labels = columns(fitted.arrays["present"], test)
        metrics, per_sample = accuracy(logits.argmax(axis=1), labels)
        metrics += confidence_metrics(softmax(logits), labels, fitted.seed)
        return Score(metrics, per_sample)

    def head(self, fitted: Fitted) -> Head:
        """One Gemm: features float32 [n, d] → logits float32 [n, c], a column for each label that train has."""
        from onnx import TensorProto, helper, numpy_helper

        weights, bias = folded(fitted)
        classes, width = weights.shape
        graph = helper.make_graph(
            [helper.make_node("Gemm", [FEATURES, "weights", "bias"], [LOGITS], transB=1)],
            self.meta.name,
            [helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["n", width])],
            [helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, ["n", classes])],
            [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(bias, "bias")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        return Head(model.SerializeToString(), (LOGITS,), weights.size + bias.size)
