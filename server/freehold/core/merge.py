"""How a patch meets what is stored (spec 1.10)."""

from __future__ import annotations

from collections.abc import Mapping

from freehold.core import limits


def patch_metadata(
    stored: Mapping[str, str],
    patch: Mapping[str, str | None],
    *,
    empty_deletes: bool = False,
) -> dict[str, str]:
    """The metadata after a patch: text upserts, ``None`` deletes, absent keys stay.

    ``empty_deletes`` makes the empty text delete too, as on environments.
    """
    merged = dict(stored)
    for key, value in patch.items():
        if value is None or (empty_deletes and value == ""):
            merged.pop(key, None)
        else:
            merged[key] = value
    return merged


def metadata_problem(bag: Mapping[str, str]) -> str | None:
    """What is wrong with a metadata bag as it would be stored; ``None`` if nothing is."""
    if len(bag) > limits.METADATA_ENTRIES:
        return (
            f"invalid metadata: metadata map would have {len(bag)} entries, "
            f"exceeding the maximum of {limits.METADATA_ENTRIES}"
        )
    for key, value in bag.items():
        if not 1 <= len(key) <= limits.METADATA_KEY:
            return (
                f"invalid metadata: keys must have 1 to {limits.METADATA_KEY} characters, "
                f"got one of {len(key)}"
            )
        if len(value) > limits.METADATA_VALUE:
            return (
                f"invalid metadata: the value of {key!r} has {len(value)} characters, "
                f"exceeding the maximum of {limits.METADATA_VALUE}"
            )
    return None
