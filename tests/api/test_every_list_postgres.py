"""The filters of every list, and pages while rows come and go, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.test_every_list import (
    Hall,
    opened,
    test_a_cursor_is_within_the_times_asked_for,
    test_filters,
)

__all__ = ["test_a_cursor_is_within_the_times_asked_for", "test_filters"]

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def hall(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    """A server whose lists have 260 rows each."""
    with opened(postgres_url, tmp_path_factory.mktemp("lists") / "data") as made:
        yield made
