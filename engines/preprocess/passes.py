"""What Pillow does with an image that its interface does not say, and that moves pixels."""

from __future__ import annotations


def rows_first(height: int, width: int, to_height: int, to_width: int) -> bool:
    """Whether Pillow resizes along columns of pixels before it does along rows: the 8-bit rounding between the two
    passes makes the orders differ by up to 8/255. It does for some since version 13 (python-pillow/Pillow#9549).
    """
    import PIL

    shrinks = to_height < height and height - to_height > 2 * (width - to_width)
    return shrinks and int(PIL.__version__.split(".")[0]) >= 13
