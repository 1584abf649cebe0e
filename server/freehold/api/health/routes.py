"""``/healthz`` and ``/readyz``, for whatever watches the server. No key needed."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from freehold.api import responses

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The process serves requests."""

    status: Literal["ok"]


class Check(BaseModel):
    """One thing that the server stands on; what exactly is wrong is in its log."""

    name: str
    status: Literal["ok", "warning", "error"]


class Readiness(BaseModel):
    """Whether sessions can run."""

    status: Literal["ready", "unavailable"]
    checks: list[Check]


@router.get("/healthz", summary="Is the process up", response_model=Health)
@router.head("/healthz", include_in_schema=False)
async def healthz(_: Request) -> Response:
    """Always `ok`; not answering is the other answer."""
    return responses.json({"status": "ok"})


@router.get(
    "/readyz",
    summary="Can sessions run",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "Something that is needed is not there"}},
)
@router.head("/readyz", include_in_schema=False)
async def readyz(request: Request) -> Response:
    """Looks at the database, the sandboxes, the model and whatever else the server names."""
    findings = await request.app.state.watch.findings()
    bad = any(finding.status == "error" for finding in findings)
    checks = [{"name": finding.name, "status": finding.status} for finding in findings]
    return responses.json(
        {"status": "unavailable" if bad else "ready", "checks": checks}, 503 if bad else 200
    )
