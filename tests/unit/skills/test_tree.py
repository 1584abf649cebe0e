"""The normal zip of a skill."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from freehold.ports.skills import SkillFile
from freehold.skills.tree import EXECUTABLE, PLAIN, pack, unpack

FILES = st.dictionaries(
    st.from_regex(r"[a-z]{1,5}(/[a-zé]{1,5}){0,2}", fullmatch=True),
    st.tuples(st.binary(max_size=50), st.sampled_from([PLAIN, EXECUTABLE])),
    max_size=5,
)


@given(FILES, st.randoms())
def test_equal_trees_are_equal_bytes_and_come_back(
    tree: dict[str, tuple[bytes, int]], shuffled: random.Random
) -> None:
    files = [SkillFile(path, *rest) for path, rest in tree.items()]
    packed = pack("name", files)
    assert sorted(unpack(packed), key=str) == sorted(files, key=str)
    shuffled.shuffle(files)
    assert pack("name", files) == packed
