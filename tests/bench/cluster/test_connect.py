from __future__ import annotations

import pytest

from bench.cluster.connect import address
from export.errors import UserError


@pytest.mark.parametrize(
    ("asked", "place"),
    [("ray", ""), ("ray://auto", "auto"), ("ray://head:7000", "head:7000"), ("ray://10.0.0.1", "10.0.0.1:6379")],
)
def test_an_address_is_this_machine_or_a_cluster_that_runs(asked: str, place: str) -> None:
    assert address(asked) == place


@pytest.mark.parametrize("asked", ["spark", "ray://", "ray://:6379", "ray://head:port", "http://head:6379", "auto"])
def test_what_is_no_address_is_refused(asked: str) -> None:
    with pytest.raises(UserError, match="--on takes ray"):
        address(asked)
