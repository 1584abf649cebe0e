"""Asking a model whether a call under the policy ``auto`` may run (spec 12.4)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from freehold.core import judging
from freehold.core.catalog import Catalog
from freehold.core.drafts import Draft
from freehold.core.events import ModelUsage
from freehold.core.judging import Judgement, ToolUse
from freehold.errors import ModelError
from freehold.harness.side_requests import model_asked
from freehold.ports.model import Model, ModelRequest, ModelResponse

log = logging.getLogger(__name__)

Note = Callable[[str, ModelUsage], None]
"""Is told of a request that was answered: by which model, and what it used."""

PATIENCE = 60.0
"""Seconds that a judgement may take; after that the client is asked."""


@dataclass(frozen=True)
class Judge:
    """Judges calls with a model: ``model_id``, or the agent's own."""

    model: Model
    model_id: str | None = None
    catalog: Catalog = field(default_factory=Catalog)
    """What judgements cost."""
    patience: float = PATIENCE

    async def settle(
        self,
        drafts: Sequence[Draft],
        agent_model: str,
        user_texts: Sequence[str],
        *,
        spent: bool = False,
    ) -> list[Draft]:
        """The drafts of an answer with every call under ``auto`` judged, all at once, and what
        that cost.

        ``spent``: the session's budget is used up, so no model may be asked (spec 10, rule 6);
        what nobody may judge is denied (spec 12.4).
        """
        costs: list[Draft] = []

        def note(model: str, usage: ModelUsage) -> None:
            costs.append(model_asked(self.catalog, "judgement", model, usage))

        async def settled(draft: Draft) -> Draft:
            event = draft.event
            if not judging.to_be_judged(event):
                return draft
            if spent:
                return _with(draft, judging.NOT_HELD)
            return _with(draft, await self._judge(event, agent_model, user_texts, note))

        return [*await asyncio.gather(*map(settled, drafts)), *costs]

    async def _judge(
        self, call: ToolUse, agent_model: str, user_texts: Sequence[str], note: Note
    ) -> Judgement:
        question = judging.question(call, user_texts)
        if question is None:
            return judging.NO_JUDGEMENT
        request = ModelRequest(
            model=self.model_id or agent_model,
            system=[{"type": "text", "text": judging.SYSTEM}],
            messages=[{"role": "user", "content": [{"type": "text", "text": question}]}],
            effort="low",
        )
        try:
            async with asyncio.timeout(self.patience):
                return judging.judged(await self._ask(request, note))
        except ModelError as error:
            log.warning("no judgement of a call of %s: %s", call.name, error.message)
            return judging.NOT_HELD if error.kind == "billing" else judging.NO_JUDGEMENT
        except TimeoutError:
            log.warning("no judgement of a call of %s in time", call.name)
            return judging.NO_JUDGEMENT
        except Exception:
            # Whatever went wrong, a call that was not judged must not run by itself.
            log.exception("no judgement of a call of %s", call.name)
            return judging.NO_JUDGEMENT

    async def _ask(self, request: ModelRequest, note: Note) -> str:
        answer = ""
        async for part in self.model.stream(request):
            if not isinstance(part, ModelResponse):
                continue
            note(part.billed_as or request.model, part.usage)
            if part.stop_reason == "end_turn":
                answer = "\n".join(b["text"] for b in part.content if b["type"] == "text")
        return answer


def _with(draft: Draft, judgement: Judgement) -> Draft:
    change = {
        "evaluated_permission": judgement.permission,
        "evaluation": judgement.evaluation,
    }
    return replace(draft, event=draft.event.model_copy(update=change))
