"""Renders chat templates in a process of its own: `python -m tfft.models.chat_render`.

A template is a program that came with a model. Jinja's sandbox keeps it from
Python's insides, and not from endless loops or huge texts, so this process has
limits, and whoever started it a clock. It reads one JSON object from standard input
and writes one to standard output.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable, Sequence
from typing import Any

Message = dict[str, str]
Segment = tuple[str, bool]


def segments(
    render: Callable[[Sequence[Message], bool], str], messages: Sequence[Message]
) -> list[Segment]:
    """Returns a conversation's text in parts, each by an assistant or not.

    The text before an answer is what the template gives as the prompt of a
    generation, so that training sees what generation will see.

    Args:
        render: Maps messages, and whether an answer is to follow, to text.
        messages: The conversation.

    Raises:
        ValueError: When the template rewrites what it has said, so that no part is
            any turn's own.

    >>> def render(messages, answer):
    ...     text = "".join(f"{m['role'][0]}:{m['content']};" for m in messages)
    ...     return text + "a:" if answer else text
    >>> segments(render, [{"role": "user", "content": "hi"},
    ...                   {"role": "assistant", "content": "yes"}])
    [('u:hi;a:', False), ('yes;', True)]
    """
    parts: list[Segment] = []
    done = ""
    for index, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before = render(messages[:index], True)
        through = render(messages[: index + 1], False)
        if not before.startswith(done) or not through.startswith(before):
            raise ValueError("it rewrites earlier turns, so no turn can be told apart")
        parts.append((before[len(done) :], False))
        parts.append((through[len(before) :], True))
        done = through
    whole = render(messages, False)
    if not whole.startswith(done):
        raise ValueError("it rewrites earlier turns, so no turn can be told apart")
    parts.append((whole[len(done) :], False))
    return [part for part in parts if part[0]]


def compiled(
    template: str, tokens: dict[str, str]
) -> Callable[[Sequence[Message], bool], str]:
    """Returns what renders a template, as Hugging Face renders it.

    Args:
        template: Jinja source.
        tokens: `bos_token`, `eos_token` and so on.

    Raises:
        jinja2.TemplateError: When the source is no template.
    """
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(reason: str) -> None:
        raise TemplateError(reason)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = lambda value, indent=None: json.dumps(
        value, ensure_ascii=False, indent=indent
    )
    environment.globals["raise_exception"] = refuse
    source = environment.from_string(template)

    def render(messages: Sequence[Message], answer: bool) -> str:
        # Copies: a template must not see what it did to an earlier one.
        return source.render(
            messages=[dict(one) for one in messages],
            add_generation_prompt=answer,
            **tokens,
        )

    return render


def _limit(seconds: int, memory: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    """Returns the parts of each conversation, or why a template refused it."""
    try:
        render = compiled(request["template"], request["tokens"])
    except Exception as error:  # whatever a foreign program can raise
        return {"error": _reason(error)}
    results = []
    for messages in request["conversations"]:
        try:
            if request["answered"]:
                results.append({"segments": segments(render, messages)})
            else:
                results.append({"segments": [(render(messages, True), False)]})
        except MemoryError:
            raise
        except Exception as error:  # whatever a foreign program can raise
            results.append({"error": _reason(error)})
    return {"results": results}


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def main() -> None:
    """Reads the request, sets the limits, answers."""
    request = json.load(sys.stdin)
    _limit(request["seconds"], request["memory"])
    json.dump(_answer(request), sys.stdout)


if __name__ == "__main__":
    main()
