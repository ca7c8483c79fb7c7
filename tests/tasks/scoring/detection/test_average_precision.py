"""Average precision compared with pycocotools, on random and on adversarial sets."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from tasks.data.targets import Objects, PictureObjects
from tasks.scoring.detection.average_precision import Detections, Matched, matched
from tasks.scoring.resampling import bootstrap

SIZE = (480, 640)


def picture(boxes: npt.ArrayLike, labels: Sequence[int], crowd: Sequence[bool] = ()) -> PictureObjects:
    rows = np.array(boxes, np.float64).reshape(-1, 4)
    areas = (rows[:, 2] - rows[:, 0]) * (rows[:, 3] - rows[:, 1])
    crowds = np.array(crowd or [False] * len(rows), bool)
    return PictureObjects(rows, np.array(labels, np.int64), crowds, areas)


def some(boxes: npt.ArrayLike, labels: Sequence[int], scores: Sequence[float]) -> Detections:
    return Detections(np.array(boxes, np.float64).reshape(-1, 4), np.array(scores, np.float64), np.array(labels, int))


def objects(pictures: Sequence[PictureObjects], classes: int) -> Objects:
    names = tuple(f"class {label}" for label in range(classes))
    return Objects(names, np.array([SIZE] * len(pictures), np.int64).reshape(-1, 2), list(pictures))


def drawn(
    seed: int, images: int = 12, classes: int = 3, most: int = 15, count: int = 30, ties: str = ""
) -> tuple[Objects, list[Detections]]:
    """Random objects, and detections of which some are near them."""
    generator = np.random.default_rng(seed)
    pictures, found = [], []
    for _ in range(images):
        k = int(generator.integers(0, most))
        sides = np.exp(generator.uniform(np.log(4), np.log(300), (k, 2)))
        low = generator.uniform(0, 1, (k, 2)) * (np.array([640, 480]) - sides).clip(1)
        boxes = np.concatenate([low, np.minimum(low + sides, [640, 480])], 1)
        labels = generator.integers(0, classes, k)
        pictures.append(picture(boxes, labels.tolist(), (generator.random(k) < 0.1).tolist()))
        d = int(generator.integers(0, count))
        if k and d:
            owners = generator.integers(0, k, d)
            noise = generator.normal(0, 0.12, (d, 4)) * np.tile(sides[owners], 2)
            near = np.clip(boxes[owners] + noise, 0, [640, 480, 640, 480])
            near = np.concatenate([np.minimum(near[:, :2], near[:, 2:]), np.maximum(near[:, :2], near[:, 2:])], 1)
            guesses = np.where(generator.random(d) < 0.8, labels[owners], generator.integers(0, classes, d))
            scores = generator.random(d)
            if ties == "anywhere":
                scores = np.round(scores * 4) / 4
            elif ties == "between images":
                scores = generator.permutation(count)[:d] / count
            found.append(some(near, guesses.tolist(), scores.tolist()))
        else:
            found.append(some([], [], []))
    return objects(pictures, classes), found


def reference(truth: Objects, found: Sequence[Detections], most: int = 100) -> npt.NDArray[np.float64]:
    """AP, AP50, AP75, small, medium, large, AR in percent, by pycocotools."""
    coco = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    from pycocotools.cocoeval import COCOeval

    def rows(parts: Sequence[PictureObjects | Detections]) -> list[dict[str, object]]:
        out: list[dict[str, object]] = []
        for image, part in enumerate(parts):
            for index, (x1, y1, x2, y2) in enumerate(part.boxes.tolist()):
                row: dict[str, object] = {"id": len(out) + 1, "image_id": image, "category_id": int(part.labels[index])}
                row |= {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0}
                if isinstance(part, PictureObjects):
                    row |= {"area": float(part.areas[index]), "iscrowd": int(part.crowd[index])}
                else:
                    row |= {"score": float(part.scores[index])}
                out.append(row)
        return out

    def indexed(parts: Sequence[PictureObjects | Detections]) -> object:
        made = coco.COCO()
        made.dataset = {
            "images": [{"id": row, "height": h, "width": w} for row, (h, w) in enumerate(truth.sizes.tolist())],
            "categories": [{"id": label, "name": name} for label, name in enumerate(truth.classes)],
            "annotations": rows(parts),
        }
        made.createIndex()
        return made

    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(indexed(list(truth.pictures)), indexed(found), "bbox")
        evaluation.params.maxDets = [1, 10, most]
        evaluation.evaluate()
        evaluation.accumulate()
    precision, recall = evaluation.eval["precision"][..., -1], evaluation.eval["recall"][..., -1]

    def mean(values: npt.NDArray[np.float64]) -> float:
        values = values[values > -1]
        return 100 * float(values.mean()) if len(values) else float("nan")

    every = precision[..., 0]
    parts = [every, every[0], every[5], *(precision[..., area] for area in (1, 2, 3))]
    return np.array([*map(mean, parts), mean(recall[..., 0])])


ADVERSARIAL: dict[str, tuple[Objects, list[Detections]]] = {
    "no detections": (objects([picture([[0, 0, 9, 9]], [0])], 1), [some([], [], [])]),
    "an empty image": (
        objects([picture([], []), picture([[5, 5, 50, 50]], [0])], 1),
        [some([[1, 1, 9, 9]], [0], [0.9]), some([[5, 5, 50, 50]], [0], [0.8])],
    ),
    "no objects": (objects([picture([], [])], 1), [some([[1, 1, 9, 9]], [0], [0.9])]),
    "a crowd": (
        objects([picture([[0, 0, 300, 300], [400, 400, 440, 440]], [0, 0], [True, False])], 1),
        [some([[10, 10, 50, 50], [100, 100, 140, 140], [400, 400, 440, 440]], [0, 0, 0], [0.9, 0.8, 0.7])],
    ),
    "crowds alone": (
        objects([picture([[0, 0, 300, 300]], [0], [True])], 1),
        [some([[10, 10, 50, 50]], [0], [0.9])],
    ),
    "boxes at the border": (
        objects([picture([[0, 0, 32, 32], [608, 448, 640, 480], [0, 0, 640, 480]], [0, 0, 0])], 2),
        [some([[0, 0, 32, 32], [600, 440, 640, 480], [0, 0, 640, 479]], [0, 0, 0], [0.5, 0.5, 0.5])],
    ),
    "a class that is not in test": (
        objects([picture([[0, 0, 40, 40]], [0])], 3),
        [some([[0, 0, 40, 40], [0, 0, 40, 40]], [0, 2], [0.3, 0.9])],
    ),
    "a box of no area": (objects([picture([[0, 0, 40, 40]], [0])], 1), [some([[5, 5, 5, 5]], [0], [0.9])]),
    "duplicates": (
        objects([picture([[0, 0, 40, 40]], [0])], 1),
        [some([[0, 0, 40, 40]] * 5, [0] * 5, [0.9] * 5)],
    ),
}


@pytest.mark.parametrize("name", list(ADVERSARIAL))
def test_adversarial_sets_are_judged_as_pycocotools_judges_them(name: str) -> None:
    truth, found = ADVERSARIAL[name]
    np.testing.assert_allclose(matched(truth, found).values()[0], reference(truth, found), atol=1e-6)


@pytest.mark.parametrize("ties", ["", "anywhere"])
@pytest.mark.parametrize("seed", range(6))
def test_random_sets_are_judged_as_pycocotools_judges_them(seed: int, ties: str) -> None:
    truth, found = drawn(seed, classes=1 + seed % 4, ties=ties)
    wanted = reference(truth, found)
    assert 5 < wanted[0] < 95
    np.testing.assert_allclose(matched(truth, found).values()[0], wanted, atol=1e-6)


def test_more_than_a_hundred_objects_and_detections() -> None:
    truth, found = drawn(1, images=2, classes=1, most=260, count=300)
    assert max(len(one) for one in found) > 100
    for most in (100, 300):
        np.testing.assert_allclose(
            matched(truth, found, most=most).values()[0], reference(truth, found, most), atol=1e-6
        )
    assert matched(truth, found, most=300).values()[0, 6] > matched(truth, found).values()[0, 6]


@pytest.mark.parametrize("ties", ["", "between images"])
def test_a_weight_is_a_number_of_copies(ties: str) -> None:
    truth, found = drawn(7, ties=ties)
    copies = np.random.default_rng(0).integers(0, 4, (5, len(found)))
    values = matched(truth, found).values(copies.astype(np.float64))
    for weights, value in zip(copies, values, strict=True):
        rows = np.repeat(np.arange(len(found)), weights).tolist()
        taken = objects([truth[row] for row in rows], len(truth.classes))
        np.testing.assert_allclose(value, reference(taken, [found[row] for row in rows]), atol=1e-6)


def test_one_image_twice_and_all_images_once() -> None:
    truth, found = drawn(3)
    once = matched(truth, found)
    np.testing.assert_array_equal(once.values(np.ones((1, len(found)))), once.values())
    np.testing.assert_allclose(once.values(np.full((1, len(found)), 2.0)), once.values(), atol=1e-9)


@pytest.fixture(scope="module")
def many() -> Matched:
    return matched(*drawn(11, images=60))


def test_the_parts_of_images_vary_as_ap_does(many: Matched) -> None:
    """The mean of resampled pseudo-values against a true bootstrap; a mean of AP per image is another statistic."""
    parts, [main, *_] = many.parts(), many.values()[0]
    assert parts.mean() == pytest.approx(main, abs=1e-9)
    true = many.resampled(0)[:, 0]
    linear = bootstrap(parts, lambda sample: sample.mean(axis=1), draws=1000)
    assert linear.std() == pytest.approx(true.std(), rel=0.12)
    assert true.mean() == pytest.approx(main, abs=2 * true.std())


def test_resamples_are_seeded() -> None:
    few = matched(*drawn(2, images=4))
    np.testing.assert_array_equal(few.resampled(3), few.resampled(3))
    assert (few.resampled(3) != few.resampled(4)).any()


def test_each_class_is_reported(many: Matched) -> None:
    rows = many.by_class()
    assert np.mean([ap for ap, _, _ in rows]) == pytest.approx(many.values()[0, 0])
    assert np.mean([ap50 for _, ap50, _ in rows]) == pytest.approx(many.values()[0, 1])
    truth, _ = drawn(11, images=60)
    assert [n for _, _, n in rows] == [
        sum(int(((one.labels == label) & ~one.crowd).sum()) for one in truth.pictures) for label in range(3)
    ]


def test_masks_are_judged_by_their_pixels() -> None:
    """A mask that is the object's and a box that is not, and the other way round."""
    from hotcoco import mask as codes

    def code(top: int, left: int, side: int) -> bytes:
        whole = np.zeros(SIZE, np.uint8)
        whole[top : top + side, left : left + side] = 1
        found: bytes = codes.encode(whole)["counts"]
        return found

    boxes = np.array([[10.0, 10, 50, 50]])
    truth = Objects(
        ("a",),
        np.array([SIZE]),
        [PictureObjects(boxes, np.zeros(1, int), np.zeros(1, bool), np.array([1600.0]), (code(10, 10, 40),))],
        shaped=True,
    )

    def of(box: npt.NDArray[np.float64], shape: bytes) -> list[Detections]:
        return [Detections(box, np.ones(1), np.zeros(1, int), (shape,), np.array([1600.0]))]

    right, wrong = of(boxes + 200, code(10, 10, 40)), of(boxes, code(210, 210, 40))
    assert matched(truth, right, shapes=True).values()[0, 0] == pytest.approx(100)
    assert matched(truth, right).values()[0, 0] == 0
    assert matched(truth, wrong, shapes=True).values()[0, 0] == 0
    assert matched(truth, wrong).values()[0, 0] == pytest.approx(100)
