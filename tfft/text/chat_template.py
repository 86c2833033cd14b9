"""A model's chat template, which turns messages into the text the model expects."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tfft.core.errors import DataError

_LARGEST = 64 * 1024
_SECONDS = 2
# Characters to render in each extra second. A conversation is rendered again for each
# of its answers, so long ones take far longer than short ones.
_RATE, _MESSAGE_RATE = 500, 50_000
_AT_ONCE = 2_000
_MEMORY = 256 * 2**20

# If a model has a template of this name, it renders rows with tools.
_TOOL_USE = "tool_use"
# Keys that carry part of an answer, and the names that a template must mention to
# write them.
_CARRIERS = {
    "tool_calls": ("tool_calls",),
    "reasoning_content": ("reasoning_content", "thinking", "reasoning"),
    "thinking": ("reasoning_content", "thinking", "reasoning"),
    "reasoning": ("reasoning_content", "thinking", "reasoning"),
}

Message = Mapping[str, Any]


@dataclass(frozen=True)
class Rendered:
    """A template's result for one conversation.

    Attributes:
        segments: Texts, and whether each is learned.
        problem: Why the template refused the conversation; empty if it did not.
        marked: Whether the template itself marks the text to learn with
            `{% generation %}`. Otherwise the assistant's turns are learned.
    """

    segments: tuple[tuple[str, bool], ...] = ()
    problem: str = ""
    marked: bool = False


@dataclass(frozen=True)
class ChatTemplate:
    """A template that came with a model, run in a process with limits.

    Args:
        source: Jinja source, up to 64 KB.
        tokens: The special tokens it may use: `bos_token`, `eos_token` and so on.
        where: The file it came from, for messages.
        named: The model's other templates by name. The one named `tool_use` renders
            conversations with tools; the others are not used.

    Raises:
        DataError: For a larger template.
    """

    source: str
    tokens: tuple[tuple[str, str], ...] = ()
    where: str = ""
    named: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Raises DataError for a template larger than any real one."""
        for source in (self.source, *dict(self.named).values()):
            size = len(source.encode())
            if size > _LARGEST:
                raise DataError(
                    f"the chat template has {size:,} bytes",
                    where=self.where,
                    expected=f"at most {_LARGEST:,}",
                    fix="check where the model came from",
                )

    @property
    def dated(self) -> bool:
        """Whether the rendered text depends on the date."""
        sources = (self.source, *dict(self.named).values())
        return any("strftime_now" in source for source in sources)

    @property
    def config(self) -> str | list[dict[str, str]]:
        """The value of `chat_template` in a `tokenizer_config.json`."""
        if not self.named:
            return self.source
        templates = (("default", self.source), *self.named)
        return [{"name": name, "template": source} for name, source in templates]

    def render(
        self,
        conversations: Sequence[Sequence[Message]],
        *,
        answered: bool,
        variables: Sequence[Mapping[str, Any]] | None = None,
    ) -> list[Rendered]:
        """Renders the text of each conversation.

        Args:
            conversations: Messages with `role`, `content` and anything else that the
                template reads, such as `tool_calls`. An answer with `weight` 0 is
                not learned.
            answered: Whether the conversations contain their answers. If not, the text
                ends where the model continues: after the content of a last message
                that is an answer, else where the next answer begins.
            variables: Further values that the template reads for each conversation,
                such as `tools`. Defaults to none.

        Raises:
            DataError: When the template is invalid, or needs too much time or memory.
        """
        if variables is None:
            variables = [{}] * len(conversations)
        chats = [
            {"messages": list(messages), "variables": dict(values)}
            for messages, values in zip(conversations, variables, strict=True)
        ]
        rendered: list[Rendered] = []
        for start in range(0, len(chats), _AT_ONCE):
            rendered.extend(self._render(chats[start : start + _AT_ONCE], answered))
        return rendered

    def _render(
        self, chats: Sequence[dict[str, Any]], answered: bool
    ) -> list[Rendered]:
        messages = sum(_rendered_messages(chat["messages"]) for chat in chats)
        seconds = _SECONDS + len(chats) // _RATE + messages // _MESSAGE_RATE
        templates = {"default": self.source, **dict(self.named)}
        for chat in chats:
            tools = chat["variables"].get("tools") is not None
            with_tools = tools and _TOOL_USE in templates
            chat["template"] = _TOOL_USE if with_tools else "default"
        used = {chat["template"] for chat in chats}
        request = {
            "templates": {name: templates[name] for name in used},
            "tokens": dict(self.tokens),
            "chats": chats,
            "answered": answered,
            "now": datetime.now().isoformat(),
            "seconds": seconds,
            "memory": _MEMORY + 20 * len(_json(chats)),
        }
        answer = self._run(_json(request), seconds)
        if "error" in answer:
            raise self._unusable(answer["error"])
        return [
            _rendered(result, _unread(chat, templates[chat["template"]]))
            for chat, result in zip(chats, answer["results"], strict=True)
        ]

    def _run(self, request: str, seconds: int) -> dict:
        """Runs the rendering process; two extra seconds are for its start."""
        # Pass on nothing of this environment except where Python finds tfft.
        root = str(Path(__file__).parents[2])
        paths = [root, os.environ.get("PYTHONPATH", "")]
        try:
            done = subprocess.run(
                [sys.executable, "-m", "tfft.text.chat_render"],
                input=request,
                capture_output=True,
                text=True,
                encoding="utf-8",
                timeout=seconds + 10,
                env={
                    "PATH": os.defpath,
                    "PYTHONPATH": os.pathsep.join(filter(None, paths)),
                },
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise self._unusable(f"no result after {seconds} seconds") from error
        if done.returncode:
            raise self._unusable(f"more than {seconds} seconds, or too much memory")
        return json.loads(done.stdout)

    def _unusable(self, reason: str) -> DataError:
        return DataError(
            f"the chat template cannot be used: {reason}",
            where=self.where,
            fix="check where the model came from",
        )


def _rendered_messages(messages: Sequence[Message]) -> int:
    """Returns the number of messages to render for learning from a conversation."""
    answers = sum(message.get("role") == "assistant" for message in messages)
    return len(messages) * (1 + 2 * answers)


def _json(value: Any) -> str:
    """Returns JSON; like transformers, writes the type of values it cannot hold."""
    return json.dumps(value, default=lambda odd: f"<{type(odd).__name__}>")


def _rendered(result: Mapping[str, Any], unread: str) -> Rendered:
    problem = unread or result.get("error", "")
    if problem:
        return Rendered(problem=problem)
    segments = tuple((text, said) for text, said in result["segments"])
    return Rendered(segments, marked=result["marked"])


def _unread(chat: Mapping[str, Any], source: str) -> str:
    """Returns the part of a conversation that its template ignores, as a problem."""
    if chat["variables"].get("tools") and "tools" not in source:
        return "it does not write tools"
    for message in chat["messages"]:
        for name, readable in _CARRIERS.items():
            if message.get(name) and not any(one in source for one in readable):
                return f"it does not write {name}"
    return ""
