"""The names a chat template can use, as in transformers' `apply_chat_template`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

Marks = list[tuple[int, int]]
# Maps messages, and whether to prompt for an answer, to the text and the template's
# marks. The marks are None for a template without `{% generation %}`.
Render = Callable[[Sequence[Mapping[str, Any]], bool], tuple[str, Marks | None]]


class _Generation(Extension):
    """`{% generation %}`…`{% endgeneration %}`: the text in between is an answer.

    Attributes:
        used: Whether the template contains the tag.
        written: Number of characters the template has written so far.
        passages: Position and text of each answer.
    """

    tags = frozenset({"generation"})

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.used = False
        self.written = 0
        self.passages: list[tuple[int, str]] = []

    def parse(self, parser: Parser) -> nodes.Node:
        """Returns the call of `_passage` that replaces the tag."""
        self.used = True
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        call = self.call_method("_passage")
        return nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _passage(self, caller: Callable[[], str]) -> str:
        place, text = self.written, caller()
        self.passages.append((place, text))
        return text

    def text_and_marks(self, stream: Any) -> tuple[str, Marks | None]:
        """Returns a template's text and the positions of its answers.

        Raises:
            ValueError: For a tag inside a macro or `{% set %}`: its text is written
                later, at an unknown position.
        """
        self.written, self.passages, parts = 0, [], []
        for part in stream:
            parts.append(part)
            self.written += len(part)
        text = "".join(parts)
        if not self.used:
            return text, None
        for place, passage in self.passages:
            if not text.startswith(passage, place):
                raise ValueError(
                    "its {% generation %} is inside a macro or {% set %}, so the "
                    "position of the answer is unknown"
                )
        return text, [(place, place + len(said)) for place, said in self.passages]


def compiled(template: str, now: str) -> Callable[..., tuple[str, Marks | None]]:
    """Returns a function that renders a template.

    Args:
        template: Jinja source.
        now: The time for `strftime_now`, in ISO format; the same for all texts.

    Returns:
        A function of messages, of whether to prompt for an answer, and of variables
        such as `bos_token` and `tools`; it returns a text and its marks.

    Raises:
        jinja2.TemplateError: When the source is not a template.
    """
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    time = datetime.fromisoformat(now)
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: time.strftime(form)
    source = environment.from_string(template)
    generation = environment.extensions[_Generation.identifier]

    def render(
        messages: Sequence[Mapping[str, Any]], answer: bool, variables: Mapping
    ) -> tuple[str, Marks | None]:
        stream = source.generate(
            **{**variables, "messages": messages, "add_generation_prompt": answer}
        )
        return generation.text_and_marks(stream)

    return render


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Returns JSON; Jinja's own filter would escape it for HTML."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _refuse(reason: str) -> None:
    raise TemplateError(reason)
