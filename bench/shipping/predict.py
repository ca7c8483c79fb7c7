"""Predict with model.onnx: python predict.py photo.jpg folder [--json]. It needs what requirements.txt names."""

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np
from network import network
from PIL import Image

HERE = Path(__file__).resolve().parent
SPEC = json.loads((HERE / "preprocess.json").read_text("utf-8"))
LABELS = (HERE / "labels.txt").read_text("utf-8").split("\n")[:-1]
SIZE = SPEC["height"], SPEC["width"]


def decoded(file):
    """RGB, 8 bits a channel (of 16 the upper 8); transparency, EXIF orientation and colour profiles are not applied."""
    with Image.open(file) as image:
        image.load()
        if image.mode.startswith("I;16"):
            return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)).convert("RGB")
        if image.mode in ("I", "F"):
            raise ValueError("its numbers have no range that 8 bits could show")
        image.info.pop("transparency", None)
        image = image.convert(image.mode.upper()) if image.mode in ("La", "RGBa") else image
        return (image.convert("L") if image.mode in ("1", "LA") else image).convert("RGB")


def placed(width, height):
    """The size to resize to, and what is then cut off at the left and the top (negative: padding)."""
    to_h, to_w = (math.floor(side / SPEC["crop_pct"]) for side in SIZE)
    if SPEC["crop_mode"] == "squash":
        h, w = to_h, to_w
    elif SPEC["crop_mode"] == "border" or to_h != to_w:
        ratio = (max if SPEC["crop_mode"] == "border" else min)(height / to_h, width / to_w)
        h, w = max(1, round(height / ratio)), max(1, round(width / ratio))
    else:
        h, w = (to_h, int(to_h * width / height)) if height <= width else (int(to_w * height / width), to_w)
    top, left = (round(cut / 2) if cut >= 0 else -(-cut // 2) for cut in (h - SIZE[0], w - SIZE[1]))
    return (w, h), left, top


def values(image):
    """The network's input, float32 [1, 3, height, width] (or [1, height, width, 3])."""
    (size, left, top), whole = placed(*image.size), Image.new("RGB", SIZE[::-1], tuple(SPEC["fill"]))
    whole.paste(image.resize(size, Image.Resampling[SPEC["interpolation"].upper()]), (-left, -top))
    pixels = np.asarray(whole, np.float32)[..., :: -1 if SPEC["channel_order"] == "BGR" else 1]
    scale = 1 / ((255.0 if SPEC["value_range"] == 1 else 1.0) * np.array(SPEC["std"]))
    pixels = pixels * scale.astype(np.float32) + (-np.array(SPEC["mean"]) / SPEC["std"]).astype(np.float32)
    return np.ascontiguousarray((pixels if SPEC["layout"] == "NHWC" else pixels.transpose(2, 0, 1))[None], np.float32)


def labels(outputs, image):
    """Every class with its probability, the most probable first."""
    logits = outputs["logits"][0].astype(np.float64)
    share = np.exp(logits - logits.max())
    return [{"label": LABELS[i], "score": float(share[i] / share.sum())} for i in np.argsort(-share, kind="stable")]


def boxes(outputs, image):
    """Objects with a score of at least 0.3, the best first: x1, y1, x2, y2 in the picture's pixels."""
    (width, height), left, top = placed(*image.size)
    corners = (outputs["boxes"][0] + np.tile([left, top], 2)) * np.tile([image.width / width, image.height / height], 2)
    corners = np.clip(corners, 0, np.tile(image.size, 2)).round(1)
    order = [i for i in np.argsort(-outputs["scores"][0], kind="stable") if outputs["scores"][0][i] >= 0.3]
    found = [(LABELS[round(float(outputs["labels"][0][i]))], float(outputs["scores"][0][i]), i) for i in order]
    return [{"label": label, "score": score, "box": corners[i].tolist()} for label, score, i in found]


def masks(outputs, image):
    """Every class with its share of the picture, the largest first."""
    logits, (size, left, top) = outputs["logits"][0], placed(*image.size)
    whole = np.stack([np.asarray(Image.fromarray(p).resize(SIZE[::-1], Image.Resampling.BILINEAR)) for p in logits])
    part = whole[:, max(-top, 0) : size[1] - top, max(-left, 0) : size[0] - left].argmax(axis=0)
    share = np.bincount(part.ravel(), minlength=len(LABELS)) / part.size
    return [{"label": LABELS[i], "score": float(share[i])} for i in np.argsort(-share, kind="stable") if share[i]]


def alike(wanted, found):
    same = [row["label"] for row in wanted] == [row["label"] for row in found]
    return same and all(abs(a["score"] - b["score"]) <= 0.01 for a, b in zip(wanted, found, strict=True))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photographs", nargs="*", type=Path, help="files, or folders of them")
    parser.add_argument("--json", action="store_true", help="everything that was found, as JSON")
    parser.add_argument("--self-test", action="store_true", help="predict the examples and compare")
    asked = parser.parse_args()
    given = [HERE / "examples"] if asked.self_test else asked.photographs
    files = [f for one in given for f in (sorted(p for p in one.rglob("*") if p.is_file()) if one.is_dir() else [one])]
    if not files:
        parser.error("no photographs")
    run, read, found, bad = network(HERE / "model.onnx", SPEC["options"]), globals()[SPEC["kind"]], {}, 0
    for file in files:
        try:
            image = decoded(file)
            found[file.name if asked.self_test else str(file)] = read(run(values(image)), image)
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            bad += 1
            print(f"{file}: not read: {error}", file=sys.stderr)
    if asked.self_test:
        wanted = json.loads((HERE / "expected.json").read_text("utf-8"))
        off = [name for name, rows in wanted.items() if not alike(rows[:1], found.get(name, [])[:1])]
        print(f"{len(wanted) - len(off)} of {len(wanted)} photographs as expected", *off, sep="\ndiffers: ")
        return 1 if off or not wanted else 0
    if asked.json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        for name, rows in found.items():
            print(name, *(f"{row['label']} {row['score']:.3f}" for row in rows[:3]), sep="\t")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
