"""The part of the shell language that the scripted shell reads: words, lists, loops, functions."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]|[?$!#@*]")
_OPERATORS = (
    "&&", "||", ";;", "&>", ">>", "<<<", "<<", ">&", "<", ">", "|", "&", ";", "(", ")", "\n",
)  # fmt: skip
_BLANKS = " \t"


class SyntaxProblem(Exception):
    """The text is not a command that this shell understands."""


@dataclass(frozen=True)
class Part:
    """A piece of a word: ``text``, ``variable``, ``command`` (substitution) or ``arithmetic``."""

    kind: str
    text: str
    quoted: bool
    body: List | None = None
    default: str | None = None


@dataclass(frozen=True)
class Redirect:
    """``2>> word`` and the like; ``operator`` ``<<`` has the document in ``target``."""

    descriptor: int
    operator: str
    target: list[Part]


@dataclass
class Simple:
    """Assignments and words."""

    assignments: list[tuple[str, list[Part]]] = field(default_factory=list)
    words: list[list[Part]] = field(default_factory=list)


@dataclass
class Group:
    """``( … )`` or ``{ …; }``."""

    body: List
    subshell: bool


@dataclass
class For:
    """``for name in words; do …; done``."""

    name: str
    words: list[list[Part]]
    body: List


@dataclass
class Loop:
    """``while …; do …; done``, or ``until``."""

    condition: List
    body: List
    until: bool


@dataclass
class If:
    """``if …; then …; elif …; else …; fi``."""

    branches: list[tuple[List, List]]
    otherwise: List | None


@dataclass
class Function:
    """``name() { …; }``."""

    name: str
    body: Command


@dataclass
class Command:
    """Anything with its redirections."""

    what: Simple | Group | For | Loop | If | Function
    redirects: list[Redirect] = field(default_factory=list)


@dataclass
class Pipeline:
    """Commands joined by ``|``."""

    commands: list[Command]
    negated: bool = False


@dataclass
class AndOr:
    """Pipelines joined by ``&&`` and ``||``; the first has an empty operator."""

    steps: list[tuple[str, Pipeline]]
    background: bool = False


@dataclass
class List:
    """Commands one after another."""

    items: list[AndOr]


@dataclass
class _Token:
    kind: str  # "word", "operator", "end"
    text: str
    parts: list[Part] = field(default_factory=list)
    descriptor: int | None = None


def parse(text: str) -> List:
    """The commands of a script.

    Raises:
        SyntaxProblem: it cannot be read.
    """
    parser = _Parser(_tokens(text))
    result = parser.commands(())
    parser.finish()
    return result


class _Lexer:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.documents: list[tuple[_Token, bool]] = []

    def word(self) -> list[Part]:
        """The pieces of the word that begins here."""
        parts: list[Part] = []
        while self.at < len(self.text):
            character = self.text[self.at]
            if character in _BLANKS + "\n;&|<>()":
                break
            if character == "'":
                parts.append(Part("text", self._until("'"), True))
            elif character == '"':
                self.at += 1
                parts += self.double_quoted()
            elif character == "\\":
                if self.text[self.at + 1 : self.at + 2] != "\n":
                    parts.append(Part("text", self.text[self.at + 1 : self.at + 2], True))
                self.at += 2
            elif character in "$`":
                parts.append(self._expansion(quoted=False))
            else:
                parts.append(Part("text", character, False))
                self.at += 1
        return parts

    def double_quoted(self) -> list[Part]:
        """What follows up to the closing quote."""
        parts: list[Part] = [Part("text", "", True)]
        while True:
            if self.at >= len(self.text):
                raise SyntaxProblem("unexpected EOF while looking for matching `\"'")
            character = self.text[self.at]
            if character == '"':
                self.at += 1
                return parts
            follows = self.text[self.at + 1 : self.at + 2]
            if character == "\\" and follows and follows in '"\\$`\n':
                if self.text[self.at + 1] != "\n":
                    parts.append(Part("text", self.text[self.at + 1], True))
                self.at += 2
            elif character in "$`":
                parts.append(self._expansion(quoted=True))
            else:
                parts.append(Part("text", character, True))
                self.at += 1

    def _until(self, end: str) -> str:
        found = self.text.find(end, self.at + 1)
        if found < 0:
            raise SyntaxProblem(f"unexpected EOF while looking for matching `{end}'")
        inside = self.text[self.at + 1 : found]
        self.at = found + 1
        return inside

    def _expansion(self, *, quoted: bool) -> Part:
        if self.text[self.at] == "`":
            return Part("command", "", quoted, parse(self._until("`")))
        if self.text.startswith("$((", self.at):
            end = self.text.find("))", self.at)
            if end < 0:
                raise SyntaxProblem("unexpected EOF while looking for matching `))'")
            inside = self.text[self.at + 3 : end]
            self.at = end + 2
            return Part("arithmetic", inside, quoted)
        if self.text.startswith("$(", self.at):
            return Part("command", "", quoted, parse(self._parenthesized()))
        if self.text.startswith("${", self.at):
            end = self.text.find("}", self.at)
            inside = self.text[self.at + 2 : end]
            name, dash, default = inside.partition(":-")
            if end < 0 or not _PARAMETER.fullmatch(name):
                raise SyntaxProblem(f"${{{inside}}}: bad substitution")
            self.at = end + 1
            return Part("variable", name, quoted, default=default if dash else None)
        match = _PARAMETER.match(self.text, self.at + 1)
        if match is None:
            self.at += 1
            return Part("text", "$", quoted)
        self.at = match.end()
        return Part("variable", match.group(), quoted)

    def _parenthesized(self) -> str:
        start = self.at + 2
        depth = 1
        self.at = start
        while self.at < len(self.text):
            character = self.text[self.at]
            if character == "\\":
                self.at += 1
            elif character == "'":
                self._until("'")
                continue
            elif character == "(":
                depth += 1
            elif character == ")":
                depth -= 1
                if not depth:
                    self.at += 1
                    return self.text[start : self.at - 1]
            self.at += 1
        raise SyntaxProblem("unexpected EOF while looking for matching `)'")

    def take_documents(self) -> None:
        """Read the here-documents announced on the line that has just ended."""
        for token, literal in self.documents:
            mark = "".join(part.text for part in token.parts)
            lines: list[str] = []
            while True:
                end = self.text.find("\n", self.at)
                line = self.text[self.at :] if end < 0 else self.text[self.at : end]
                self.at = len(self.text) if end < 0 else end + 1
                if line == mark:
                    break
                lines.append(line + "\n")
                if self.at >= len(self.text):
                    break
            body = "".join(lines)
            token.parts = [Part("text", body, True)] if literal else _document_parts(body)
        self.documents = []


def _document_parts(body: str) -> list[Part]:
    lexer = _Lexer(body.replace('"', '\\"') + '"')
    return lexer.double_quoted()


def _tokens(text: str) -> list[_Token]:
    lexer = _Lexer(text)
    tokens: list[_Token] = []
    awaited: str | None = None
    while lexer.at < len(text):
        character = text[lexer.at]
        if character in _BLANKS or text.startswith("\\\n", lexer.at):
            lexer.at += 2 if character == "\\" else 1
            continue
        if character == "#":
            end = text.find("\n", lexer.at)
            lexer.at = len(text) if end < 0 else end
            continue
        number = re.compile(r"[0-9](?=[<>])").match(text, lexer.at)
        descriptor = int(number.group()) if number else None
        if number:
            lexer.at += 1
        operator = next((known for known in _OPERATORS if text.startswith(known, lexer.at)), None)
        if operator is not None:
            lexer.at += len(operator)
            tokens.append(_Token("operator", operator, descriptor=descriptor))
            awaited = operator if operator == "<<" else None
            if operator == "\n":
                lexer.take_documents()
            continue
        start = lexer.at
        token = _Token("word", "", lexer.word())
        token.text = text[start : lexer.at]
        tokens.append(token)
        if awaited:
            lexer.documents.append((token, any(part.quoted for part in token.parts)))
            awaited = None
    lexer.take_documents()
    tokens.append(_Token("end", "newline"))
    return tokens


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def here(self) -> _Token:
        return self._tokens[self._at]

    def commands(self, enders: tuple[str, ...]) -> List:
        items: list[AndOr] = []
        while True:
            while self._operator(";", "\n"):
                self._at += 1
            if self.here.kind == "end" or (self.here.text in enders and not self._quoted()):
                return List(items)
            if self._operator(")", ";;", "&", "|", "&&", "||"):
                return List(items)
            item = self._and_or()
            if self._operator("&"):
                item.background = True
                self._at += 1
            items.append(item)

    def finish(self) -> None:
        """Insist that everything was read."""
        if self.here.kind != "end":
            raise self._unexpected()

    def _and_or(self) -> AndOr:
        steps = [("", self._pipeline())]
        while self._operator("&&", "||"):
            operator = self.here.text
            self._at += 1
            self._lines()
            steps.append((operator, self._pipeline()))
        return AndOr(steps)

    def _pipeline(self) -> Pipeline:
        negated = self._word("!")
        if negated:
            self._at += 1
        commands = [self._command()]
        while self._operator("|"):
            self._at += 1
            self._lines()
            commands.append(self._command())
        return Pipeline(commands, negated)

    def _command(self) -> Command:
        compound: dict[str, Callable[[], Simple | Group | For | Loop | If | Function]] = {
            "{": lambda: self._group("}", subshell=False),
            "for": self._for,
            "while": lambda: self._loop(until=False),
            "until": lambda: self._loop(until=True),
            "if": self._if,
        }
        if self._operator("("):
            what: Simple | Group | For | Loop | If | Function = self._group(")", subshell=True)
        elif self.here.kind == "word" and self.here.text in compound:
            what = compound[self.here.text]()
        elif self._names_function():
            name = self.here.text
            self._at += 3
            self._lines()
            return Command(Function(name, self._command()))
        else:
            return self._simple()
        command = Command(what)
        while redirect := self._redirect():
            command.redirects.append(redirect)
        return command

    def _names_function(self) -> bool:
        after = [token.text for token in self._tokens[self._at + 1 : self._at + 3]]
        return self.here.kind == "word" and after == ["(", ")"]

    def _simple(self) -> Command:
        simple = Simple()
        command = Command(simple)
        while True:
            redirect = self._redirect()
            if redirect is not None:
                command.redirects.append(redirect)
                continue
            if self.here.kind != "word":
                break
            assignment = None if simple.words else _assignment(self.here.parts)
            if assignment is not None:
                simple.assignments.append(assignment)
            else:
                simple.words.append(self.here.parts)
            self._at += 1
        if not simple.words and not simple.assignments and not command.redirects:
            raise self._unexpected()
        return command

    def _redirect(self) -> Redirect | None:
        if not self._operator(">", ">>", "<", "<<", "<<<", ">&", "&>"):
            return None
        token = self.here
        self._at += 1
        if self.here.kind != "word":
            raise self._unexpected()
        target = self.here.parts
        self._at += 1
        default = 0 if token.text.startswith("<") else 1
        descriptor = default if token.descriptor is None else token.descriptor
        return Redirect(descriptor, token.text, target)

    def _group(self, end: str, *, subshell: bool) -> Group:
        self._at += 1
        body = self.commands((end,))
        self._expect(end)
        return Group(body, subshell)

    def _for(self) -> For:
        self._at += 1
        name = self.here.text
        self._at += 1
        self._expect("in")
        words = []
        while self.here.kind == "word":
            words.append(self.here.parts)
            self._at += 1
        return For(name, words, self._do_body())

    def _loop(self, *, until: bool) -> Loop:
        self._at += 1
        condition = self.commands(("do",))
        return Loop(condition, self._do_body(), until)

    def _do_body(self) -> List:
        while self._operator(";", "\n"):
            self._at += 1
        self._expect("do")
        body = self.commands(("done",))
        self._expect("done")
        return body

    def _if(self) -> If:
        branches: list[tuple[List, List]] = []
        otherwise = None
        while True:
            self._at += 1
            condition = self.commands(("then",))
            self._expect("then")
            branches.append((condition, self.commands(("elif", "else", "fi"))))
            if not self._word("elif"):
                break
        if self._word("else"):
            self._at += 1
            otherwise = self.commands(("fi",))
        self._expect("fi")
        return If(branches, otherwise)

    def _unexpected(self) -> SyntaxProblem:
        text = self.here.text.strip() or "newline"
        return SyntaxProblem(f"syntax error near unexpected token `{text}'")

    def _expect(self, text: str) -> None:
        if self.here.text != text:
            raise self._unexpected()
        self._at += 1

    def _lines(self) -> None:
        while self._operator("\n"):
            self._at += 1

    def _operator(self, *texts: str) -> bool:
        return self.here.kind == "operator" and self.here.text in texts

    def _word(self, text: str) -> bool:
        return self.here.kind == "word" and self.here.text == text

    def _quoted(self) -> bool:
        return any(part.quoted for part in self.here.parts)


def _assignment(parts: list[Part]) -> tuple[str, list[Part]] | None:
    plain = ""
    for index, part in enumerate(parts):
        if part.kind != "text" or part.quoted:
            return None
        if part.text == "=":
            return (plain, parts[index + 1 :]) if NAME.fullmatch(plain) else None
        plain += part.text
    return None
