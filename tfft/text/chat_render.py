"""Renders chat templates in a separate process: `python -m tfft.text.chat_render`.

A template is a program that came with a model. Jinja's sandbox protects Python's
internals, but not against endless loops or huge texts. So this process has limits, and
the process that starts it has a timeout. It reads one JSON object from standard input
and writes one to standard output.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2 import TemplateError

from tfft.text.chat_environment import Render, compiled

Message = Mapping[str, Any]
Segment = tuple[str, bool]

# The names that datasets use for a model's reasoning before its answer.
_REASONING = ("reasoning_content", "thinking", "reasoning")
# A marker that cannot occur at the end of a message.
_HERE = "\uf8ffHERE\uf8ff "


def segments(
    render: Render, messages: Sequence[Message], end: str = ""
) -> tuple[list[Segment], bool]:
    """Splits a conversation's text into parts, each learned or not.

    If the template marks answers with `{% generation %}`, the marks decide. Otherwise
    the text before an answer is the template's prompt for a generation, so training
    sees the same text as generation. An answer with `weight` 0 is not learned.

    Args:
        render: Maps messages, and whether to prompt for an answer, to text and marks.
        messages: The conversation.
        end: The token that ends texts, which some templates write only after the last
            turn. Defaults to none.

    Returns:
        The parts, and whether the template marked them.

    Raises:
        ValueError: When the template rewrites earlier text, so that parts cannot be
            assigned to turns, or when its marks do not match the answers.

    >>> def render(messages, answer):
    ...     text = "".join(f"{m['role'][0]}:{m['content']};" for m in messages)
    ...     return (text + "a:" if answer else text), None
    >>> segments(render, [{"role": "user", "content": "hi"},
    ...                   {"role": "assistant", "content": "yes"}])
    ([('u:hi;a:', False), ('yes;', True)], False)
    """
    whole, marks = render(messages, False)
    answers = [one for one in messages if one["role"] == "assistant"]
    learned = [one.get("weight", 1) != 0 for one in answers]
    if marks is None:
        return _cut(whole, _turns(render, messages, whole, end), learned), False
    if answers and not marks:
        raise ValueError("its {% generation %} marks nothing that the assistant says")
    if all(learned):
        learned = [True] * len(marks)
    elif len(marks) != len(learned):
        raise ValueError(
            f"it marks {len(marks)} passages for {len(learned)} answers, so an answer "
            "with weight 0 cannot be identified"
        )
    return _cut(whole, marks, learned), True


def _turns(
    render: Render, messages: Sequence[Message], whole: str, end: str
) -> list[tuple[int, int]]:
    """Returns the start and end of each answer in the text of the conversation."""
    found, done = [], 0
    for index, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before, _ = render(messages[:index], True)
        through, _ = render(messages[: index + 1], False)
        last = index + 1 == len(messages)
        if end and through.endswith(end):
            following = _going_on(render, messages) if last else whole
            turn = through.removesuffix(end)
            if following.startswith(turn) and not following.startswith(through):
                through = turn  # Phi's templates write it only after the last turn
        follows = through.startswith(before) and whole.startswith(through)
        if not follows or len(before) < done:
            raise ValueError("it rewrites earlier turns, so turns cannot be separated")
        done = len(through)
        found.append((len(before), done))
    return found


def _going_on(render: Render, messages: Sequence[Message]) -> str:
    """Returns the conversation with a prompt for one more answer, "" if it fails."""
    try:
        return render(messages, True)[0]
    except TemplateError:
        return ""


def _cut(
    text: str, spans: Sequence[tuple[int, int]], learned: Sequence[bool]
) -> list[Segment]:
    parts, done = [], 0
    for (start, end), mark in sorted(zip(spans, learned, strict=True)):
        start = max(start, done)
        parts += [(text[done:start], False), (text[start:end], mark)]
        done = max(done, end)
    parts.append((text[done:], False))
    return [part for part in parts if part[0]]


def prompt(render: Render, messages: Sequence[Message]) -> str:
    """Returns the text for the model to continue.

    If the last message is an answer, it is continued, as in transformers' pipelines:
    the text ends where its content ends.

    Raises:
        ValueError: When the template does not write that content unchanged.
    """
    last = messages[-1]
    if last["role"] != "assistant":
        return render(messages, True)[0]
    content = last.get("content")
    if not isinstance(content, str):
        raise ValueError("the answer to continue has no content")
    marked = {**last, "content": content + _HERE}
    text, _ = render([*messages[:-1], marked], False)
    place = text.rfind(_HERE.strip())
    if place < 0 or content.strip() not in text:
        raise ValueError("it does not write the answer to continue")
    # A template that strips contents also removed the space that ends the marker.
    kept = text.startswith(_HERE, place)
    return text[:place] if kept else text[:place].rstrip()


def prepared(message: Message) -> dict[str, Any]:
    """Returns a message in the form that transformers passes to templates.

    Null values are left out, and reasoning gets every name that templates read.

    >>> prepared({"role": "assistant", "content": None, "thinking": "so"})
    {'thinking': 'so', 'role': 'assistant', 'reasoning_content': 'so'}
    """
    kept = {key: value for key, value in message.items() if value is not None}
    for name in _REASONING:
        if name in kept:
            reasoning = kept[name]
            return {"thinking": reasoning, **kept, "reasoning_content": reasoning}
    return kept


def _limit(seconds: int, memory: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    """Returns the parts of each conversation, or the reason a template refused it."""
    renderers: dict[str, Callable[..., Any]] = {}
    try:
        for name, source in request["templates"].items():
            renderers[name] = compiled(source, request["now"])
    except Exception as error:  # a template can raise anything
        return {"error": _reason(error)}
    results = []
    for chat in request["chats"]:
        try:
            results.append(_rendered(renderers[chat["template"]], chat, request))
        except MemoryError:
            raise
        except Exception as error:  # a template can raise anything
            results.append({"error": _reason(error)})
    return {"results": results}


def _rendered(
    template: Callable[..., Any], chat: dict[str, Any], request: dict[str, Any]
) -> dict[str, Any]:
    variables = {"tools": None, "documents": None, **request["tokens"]}
    variables.update(chat["variables"])

    def render(messages: Sequence[Message], answer: bool) -> Any:
        return template(messages, answer, variables)

    messages = [prepared(message) for message in chat["messages"]]
    if not request["answered"]:
        return {"segments": [(prompt(render, messages), False)], "marked": False}
    parts, marked = segments(render, messages, variables.get("eos_token") or "")
    return {"segments": parts, "marked": marked}


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def main() -> None:
    """Reads the request, sets the limits and answers."""
    request = json.load(sys.stdin)
    _limit(request["seconds"], request["memory"])
    json.dump(_answer(request), sys.stdout)


if __name__ == "__main__":
    main()
