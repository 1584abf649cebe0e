"""Links of the OpenAPI document: where the id in an answer can be used.

Nothing is written by hand. Below a path such as ``/v1/vaults`` lie those of one vault; who made
one, or listed them, has the id that these paths want. Generated tests follow the links, so that
they reach objects that are there.
"""

from __future__ import annotations

import re
from typing import Any

_PARAMETER = re.compile(r"\{([^}]+)\}")

Paths = dict[str, dict[str, dict[str, Any]]]


def add(paths: Paths) -> None:
    """Write the links into the paths of a document."""
    for path, item in paths.items():
        for method, id_ in (("post", "/id"), ("get", "/data/0/id")):
            described = item.get(method)
            if described is None or not _answers_objects(described):
                continue
            if links := _links(paths, path, id_):
                described["responses"]["200"]["links"] = links


def _answers_objects(described: dict[str, Any]) -> bool:
    content = described["responses"]["200"].get("content", {})
    return "$ref" in content.get("application/json", {}).get("schema", {})


def _links(paths: Paths, path: str, id_: str) -> dict[str, Any]:
    """Links to what lies below ``path`` and needs one id more."""
    known = _PARAMETER.findall(path)
    links = {}
    for target, item in paths.items():
        names = _PARAMETER.findall(target)
        if not target.startswith(path + "/{") or len(names) != len(known) + 1:
            continue
        parameters = {name: f"$request.path.{name}" for name in known}
        parameters[names[-1]] = f"$response.body#{id_}"
        for described in item.values():
            links[described["operationId"]] = {
                "operationId": described["operationId"],
                "parameters": parameters,
            }
    return links
