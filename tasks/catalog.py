"""The tasks by name. A new task is one file and one line here; listing the names imports none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.registry import Registry

if TYPE_CHECKING:
    from tasks.base import Task

TASKS: Registry[type[Task]] = Registry(
    "task",
    {
        "knn": "tasks.knn:Knn",
        "linear_probe": "tasks.linear_probe:LinearProbe",
        "classification": "tasks.classification:Classification",
        "few_shot": "tasks.few_shot:FewShot",
        "retrieval": "tasks.retrieval:Retrieval",
        "low_data": "tasks.low_data:LowData",
        "out_of_scope": "tasks.out_of_scope:OutOfScope",
        "semantic_segmentation": "tasks.semantic_segmentation:SemanticSegmentation",
        "segmentation_equal_width": "tasks.segmentation_equal_width:SegmentationEqualWidth",
        "segmentation_knn": "tasks.segmentation_knn:SegmentationKnn",
        "detection": "tasks.detection:Detection",
        "detection_probe": "tasks.detection_probe:DetectionProbe",
        "instance_segmentation": "tasks.instance_segmentation:InstanceSegmentation",
    },
    listing="bob tasks",
)


def task(name: str) -> Task:
    """The task of that name.

    Raises:
        UserError: the name is not in the table.
    """
    return TASKS.get(name)()
