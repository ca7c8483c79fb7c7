"""Preprocessing specs that hypothesis draws: any small size, every filter and crop."""

from __future__ import annotations

from typing import get_args

from hypothesis import strategies as st

from export.spec import CropMode, Interpolation, PreprocessSpec

SIDE = st.integers(1, 80)
SPECS = st.builds(
    PreprocessSpec,
    height=SIDE,
    width=SIDE,
    interpolation=st.sampled_from(get_args(Interpolation)),
    crop_pct=st.sampled_from([0.5, 0.8, 0.875, 0.95, 1.0]),
    crop_mode=st.sampled_from(get_args(CropMode)),
    fill=st.tuples(*[st.integers(0, 255)] * 3),
)
