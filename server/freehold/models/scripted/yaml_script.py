"""A YAML script at work: which rule answers, counted from the conversation alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from freehold.core.events import Content
from freehold.models.scripted import directives
from freehold.models.scripted.moments import Moment, moments, now
from freehold.models.scripted.replies import DEFAULT_MESSAGES, Failure, Refusal, Reply, ToolUse
from freehold.models.scripted.yaml_schema import (
    ErrorForm,
    ReplyForm,
    RuleForm,
    ScriptForm,
    Texts,
    When,
    load,
)
from freehold.ports.model import ModelRequest

_PLACE = re.compile(r"\$\{(\w+)\}")


class YamlScript:
    """Answers by a script's rules, or by its sequence."""

    def __init__(self, form: ScriptForm, name: str) -> None:
        self.name = form.name or name
        self._fallback = form.fallback
        self._sequence = _grouped(form.sequence or [])
        self._rules = [_Rule.of(rule) for rule in form.rules or []]

    @classmethod
    def load(cls, path: Path) -> YamlScript:
        """The script in this file.

        Raises:
            ConfigurationError: the file is no script.
        """
        return cls(load(path), path.name)

    def reply(self, request: ModelRequest, attempt: int) -> Reply:
        """See :class:`freehold.models.scripted.replies.Script`."""
        if self._sequence:
            moment = now(request)
            if moment.request < len(self._sequence):
                return _filled(self._sequence[moment.request], moment, {})
            return self._otherwise(moment)
        used = [0] * len(self._rules)
        last: Moment | None = None
        for moment in moments(request):
            if moment.answered is None:
                last = moment
            elif (index := self._matching(moment, used)) is not None:
                used[index] += 1
        if last is None:  # every conversation has a moment to be answered
            raise AssertionError
        return self._chosen(last, used, attempt)

    def _matching(self, moment: Moment, used: list[int]) -> int | None:
        """The rule that gave the answer of this past moment; a failure leaves no answer."""
        for index, rule in enumerate(self._rules):
            if rule.only_fails and rule.times is not None:
                continue
            if rule.exhausted(used[index]) or rule.match(moment) is None:
                continue
            if _answers(rule.at(used[index]), moment.answered or []):
                return index
        return None

    def _chosen(self, moment: Moment, used: list[int], attempt: int) -> Reply:
        failed = 0
        for index, rule in enumerate(self._rules):
            groups = rule.match(moment)
            if groups is None:
                continue
            if rule.only_fails and rule.times is not None:
                if attempt < failed + rule.times:
                    return _filled(rule.at(0), moment, groups)
                failed += rule.times
            elif not rule.exhausted(used[index]):
                reply = rule.at(used[index])
                if reply.failures and failed:
                    # The attempts that earlier rules failed do not count against this one's.
                    spent = replace(reply.failures[0], times=failed)
                    reply = replace(reply, failures=(spent, *reply.failures))
                return _filled(reply, moment, groups)
        return self._otherwise(moment)

    def _otherwise(self, moment: Moment) -> Reply:
        if isinstance(self._fallback, ReplyForm):
            return _filled(_grouped([self._fallback])[0], moment, {})
        if self._fallback == "error":
            message = f"script {self.name}: nothing is said at turn {moment.turn}"
            message += f", step {moment.step} for the text {moment.text[:200]!r}"
            return Reply(failures=(Failure("invalid_request", message),))
        return directives.answer(moment)


@dataclass(frozen=True)
class _Rule:
    when: When
    times: int | None
    replies: tuple[Reply, ...]
    text_pattern: re.Pattern[str] | None
    result_pattern: re.Pattern[str] | None

    @classmethod
    def of(cls, form: RuleForm) -> _Rule:
        when = form.when
        error = form.reply.error if form.reply else None
        return cls(
            when=when,
            times=form.times or (error.times if error else None),
            replies=tuple(_grouped(form.replies or ([form.reply] if form.reply else []))),
            text_pattern=re.compile(when.text_matches) if when.text_matches else None,
            result_pattern=(
                re.compile(when.tool_result_matches) if when.tool_result_matches else None
            ),
        )

    @property
    def only_fails(self) -> bool:
        return len(self.replies) == 1 and self.replies[0].failure(0) is not None

    def exhausted(self, used: int) -> bool:
        return self.times is not None and used >= self.times

    def at(self, used: int) -> Reply:
        return self.replies[min(used, len(self.replies) - 1)]

    def match(self, moment: Moment) -> dict[str, str] | None:
        """The named groups of its patterns when the rule holds; None when it does not."""
        when = self.when
        result = moment.results[-1] if moment.results else None
        tests: list[tuple[object, Callable[[], bool]]] = [
            (when.text, lambda: _contains(moment.text, when.text)),
            (when.model, lambda: _any(when.model, lambda glob: fnmatchcase(moment.model, glob))),
            (when.tool, lambda: _any(when.tool, lambda tool: tool in moment.tools)),
            (when.turn, lambda: moment.turn == when.turn),
            (when.step, lambda: moment.step == when.step),
            (when.tool_failed, lambda: result is not None and result.is_error == when.tool_failed),
            (
                when.tool_result,
                lambda: result is not None and _contains(result.text, when.tool_result),
            ),
        ]
        if not all(test() for given, test in tests if given is not None):
            return None
        groups: dict[str, str] = {}
        for pattern, text in (
            (self.text_pattern, moment.text),
            (self.result_pattern, result.text if result else None),
        ):
            if pattern is None:
                continue
            found = pattern.search(text) if text is not None else None
            if found is None:
                return None
            groups.update({name: value or "" for name, value in found.groupdict().items()})
        return groups


def _any(wanted: Texts | None, test: Callable[[str], bool]) -> bool:
    values = [wanted] if isinstance(wanted, str) else wanted or []
    return any(test(value) for value in values)


def _contains(text: str, wanted: Texts | None) -> bool:
    folded = text.casefold()
    return _any(wanted, lambda part: part.casefold() in folded)


def _answers(reply: Reply, content: Content) -> bool:
    """Whether a past answer can be this reply: it made the same calls.

    Texts are not compared, since the script may have been edited in between.
    """
    calls = [block["name"] for block in content if block["type"] == "tool_use"]
    return calls == [use.name for use in reply.tool_uses] or not content


def _grouped(forms: list[ReplyForm]) -> list[Reply]:
    """Replies, each with the failures that stand before it in the list.

    A failure in a list comes once unless ``times`` says more; at the end of the list, or alone, it
    comes every time.
    """
    replies: list[Reply] = []
    failures: list[Failure] = []
    delay = 0.0
    for form in forms:
        if form.error is not None:
            failures.append(_failure(form.error, form.text))
            delay = max(delay, form.delay)
            continue
        replies.append(_reply(form, tuple(failures)))
        failures = []
    if failures:
        failures[-1] = replace(failures[-1], times=None)
        replies.append(Reply(failures=tuple(failures), delay=delay))
    return replies


def _failure(form: ErrorForm, partial: str) -> Failure:
    return Failure(
        kind=form.kind,
        message=form.message or DEFAULT_MESSAGES[form.kind],
        retry_after=form.retry_after,
        times=form.times or 1,
        partial=partial,
    )


def _reply(form: ReplyForm, failures: tuple[Failure, ...]) -> Reply:
    refusal: Refusal | None = None
    if form.refusal is True:
        refusal = Refusal()
    elif form.refusal:
        refusal = Refusal(form.refusal.category, form.refusal.explanation)
    return Reply(
        text=form.text,
        thinking=form.thinking,
        tool_uses=tuple(ToolUse(use.name, use.input) for use in form.tool_uses),
        failures=failures,
        refusal=refusal,
        delay=form.delay,
        usage=form.usage.model_dump(exclude_none=True) if form.usage else {},
        stop_reason=form.stop_reason,
    )


def _filled(reply: Reply, moment: Moment, groups: dict[str, str]) -> Reply:
    """The reply with its ``${places}`` filled; what is no known place stays as it is."""
    last = moment.last_result
    values = {
        "text": moment.text,
        "model": moment.model,
        "turn": str(moment.turn),
        "step": str(moment.step),
        "tool_result": last.text if last else "",
        **groups,
    }

    def fill(value: Any) -> Any:
        if isinstance(value, str):
            return _PLACE.sub(lambda place: values.get(place[1], place[0]), value)
        if isinstance(value, list):
            return [fill(item) for item in value]
        if isinstance(value, dict):
            return {name: fill(item) for name, item in value.items()}
        return value

    return replace(
        reply,
        text=fill(reply.text),
        thinking=fill(reply.thinking),
        tool_uses=tuple(ToolUse(use.name, fill(use.input)) for use in reply.tool_uses),
        failures=tuple(
            replace(failure, message=fill(failure.message), partial=fill(failure.partial))
            for failure in reply.failures
        ),
    )
