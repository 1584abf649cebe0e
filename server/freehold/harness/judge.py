"""Asking a model whether a call under the policy ``auto`` may run (spec 12.4)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from freehold.core import judging
from freehold.core.drafts import Draft
from freehold.core.judging import Judgement, ToolUse
from freehold.errors import ModelError
from freehold.ports.model import Model, ModelRequest, ModelResponse

log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds that a judgement may take; after that the client is asked."""


@dataclass(frozen=True)
class Judge:
    """Judges calls with a model: ``model_id``, or the agent's own."""

    model: Model
    model_id: str | None = None
    patience: float = PATIENCE

    async def settle(
        self, drafts: Sequence[Draft], agent_model: str, user_texts: Sequence[str]
    ) -> list[Draft]:
        """The drafts of an answer with every call under ``auto`` judged, all at once."""
        return list(
            await asyncio.gather(
                *(self._settled(draft, agent_model, user_texts) for draft in drafts)
            )
        )

    async def _settled(self, draft: Draft, agent_model: str, user_texts: Sequence[str]) -> Draft:
        event = draft.event
        if not judging.to_be_judged(event):
            return draft
        judgement = await self._judge(event, agent_model, user_texts)  # type: ignore[arg-type]
        change = {
            "evaluated_permission": judgement.permission,
            "evaluation": judgement.evaluation,
        }
        return replace(draft, event=event.model_copy(update=change))

    async def _judge(self, call: ToolUse, agent_model: str, user_texts: Sequence[str]) -> Judgement:
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
                return judging.judged(await self._ask(request))
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

    async def _ask(self, request: ModelRequest) -> str:
        answer = ""
        async for part in self.model.stream(request):
            if isinstance(part, ModelResponse) and part.stop_reason == "end_turn":
                answer = "\n".join(b["text"] for b in part.content if b["type"] == "text")
        return answer
