"""The form of a YAML script, and its reading (docs/OFFLINE.md)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from freehold.errors import ConfigurationError, ModelErrorKind
from freehold.models.scripted.replies import RefusalCategory, StopReason

Texts = str | list[str]
Pattern = Annotated[str, Field(min_length=1)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class When(_Form):
    """All that is given must hold. Texts compare without regard to case; a list means any of it."""

    text: Texts | None = None
    text_matches: Pattern | None = None
    tool_result: Texts | None = None
    tool_result_matches: Pattern | None = None
    tool_failed: bool | None = None
    model: Texts | None = None
    tool: Texts | None = None
    turn: int | None = Field(default=None, ge=1)
    step: int | None = Field(default=None, ge=0)

    @field_validator("text_matches", "tool_result_matches")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                re.compile(value)
            except re.error as err:
                raise ValueError(f"not a regular expression: {err}") from None
        return value


class ToolUseForm(_Form):
    """A tool call."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")
    input: dict[str, Any] = Field(default_factory=dict)


class ErrorForm(_Form):
    """A failing request."""

    kind: ModelErrorKind
    message: str | None = None
    retry_after: float | None = Field(default=None, ge=0)
    times: int | None = Field(default=None, ge=1)


class RefusalForm(_Form):
    """A refused request."""

    category: RefusalCategory | None = None
    explanation: str | None = None


class UsageForm(_Form):
    """Counts to report instead of the computed ones."""

    input_tokens: int | None = Field(default=None, ge=0)
    output_tokens: int | None = Field(default=None, ge=0)
    cache_creation_input_tokens: int | None = Field(default=None, ge=0)
    cache_read_input_tokens: int | None = Field(default=None, ge=0)


class ReplyForm(_Form):
    """One answer."""

    text: str = ""
    thinking: str = ""
    tool_uses: list[ToolUseForm] = Field(default_factory=list)
    error: ErrorForm | None = None
    refusal: RefusalForm | bool | None = None
    delay: float = Field(default=0.0, ge=0, le=3_600)
    usage: UsageForm | None = None
    stop_reason: StopReason | None = None

    @model_validator(mode="after")
    def _consistent(self) -> ReplyForm:
        if self.error is not None and (self.tool_uses or self.thinking or self.refusal):
            raise ValueError("`error` goes with `text` and `delay` only")
        if self.refusal and self.tool_uses:
            raise ValueError("`refusal` does not go with `tool_uses`")
        said = self.text or self.thinking or self.tool_uses or self.error or self.refusal
        if not said:
            raise ValueError("one of `text`, `thinking`, `tool_uses`, `error`, `refusal` is needed")
        return self


class RuleForm(_Form):
    """What to say when."""

    name: str | None = None
    when: When = Field(default_factory=When)
    times: int | None = Field(default=None, ge=1)
    reply: ReplyForm | None = None
    replies: list[ReplyForm] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _one_form(self) -> RuleForm:
        if (self.reply is None) == (self.replies is None):
            raise ValueError("exactly one of `reply` and `replies` is needed")
        return self


class ScriptForm(_Form):
    """A whole script."""

    name: str | None = None
    rules: list[RuleForm] | None = Field(default=None, min_length=1)
    sequence: list[ReplyForm] | None = Field(default=None, min_length=1)
    fallback: Literal["directives", "error"] | ReplyForm = "directives"

    @model_validator(mode="after")
    def _one_form(self) -> ScriptForm:
        if (self.rules is None) == (self.sequence is None):
            raise ValueError("exactly one of `rules` and `sequence` is needed")
        return self


def load(path: Path) -> ScriptForm:
    """Read and check the script in this file.

    Raises:
        ConfigurationError: the file cannot be read or is no script; the message names the file and
            the place in it.
    """
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        reason = err.strerror if isinstance(err, OSError) else "not UTF-8 text"
        raise ConfigurationError(
            f"FREEHOLD_MODEL: cannot read the script {path}: {reason}"
        ) from None
    return parse(source, str(path))


def parse(source: str, origin: str) -> ScriptForm:
    """The script in this YAML text; ``origin`` names it in errors.

    Raises:
        ConfigurationError: it is no script.
    """
    try:
        data = yaml.safe_load(source)
    except yaml.YAMLError as err:
        mark = getattr(err, "problem_mark", None)
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        problem = getattr(err, "problem", None) or "not YAML"
        raise ConfigurationError(f"FREEHOLD_MODEL: {origin}{place}: {problem}") from None
    if not isinstance(data, dict):
        raise ConfigurationError(
            f"FREEHOLD_MODEL: {origin}: a script is a mapping with `rules` or `sequence`"
        )
    try:
        return ScriptForm.model_validate(data)
    except ValidationError as err:
        lines = [f"  {_path(error['loc'])}: {error['msg']}" for error in err.errors()]
        found = "\n".join(dict.fromkeys(lines))
        raise ConfigurationError(f"FREEHOLD_MODEL: {origin} is not a script:\n{found}") from None


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part not in _BRANCHES:
            path += f".{part}" if path else part
    return path or "script"


# Pydantic names the branch of a union it tried; that is no part of the file.
_BRANCHES = frozenset(
    {
        "ReplyForm",
        "RefusalForm",
        "str",
        "bool",
        "list[str]",
        "literal['directives','error']",
    }
)
