from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core import ids

_time = st.integers(0, (1 << 56) - 1)
_entropy = st.binary(min_size=ids.ENTROPY_BYTES, max_size=ids.ENTROPY_BYTES)


@given(_time, _entropy)
def test_an_id_has_the_form_of_its_prefix_and_of_no_other(time: int, entropy: bytes) -> None:
    value = ids.encode("sesn", time, entropy)
    assert ids.is_id("sesn", value)
    assert not ids.is_id("sevt", value)
    assert len(value) == len("sesn_") + 24


@given(_time, _time, _entropy, _entropy)
def test_ids_sort_by_time(one: int, other: int, a: bytes, b: bytes) -> None:
    first, second = ids.encode("sevt", one, a), ids.encode("sevt", other, b)
    if one != other:
        assert (first < second) == (one < other)


@pytest.mark.parametrize("value", ["", "sesn_", "sesn_01", "sesn_01" + "0" * 22, "01" + "1" * 22])
def test_other_texts_are_no_ids(value: str) -> None:
    assert not ids.is_id("sesn", value)


def test_bad_material_is_refused() -> None:
    with pytest.raises(ValueError, match="entropy"):
        ids.encode("sesn", 0, b"short")
    with pytest.raises(ValueError, match="time"):
        ids.encode("sesn", 1 << 56, bytes(ids.ENTROPY_BYTES))
