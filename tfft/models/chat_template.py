"""A model's chat template: messages in, the text that the model was tuned on out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tfft.core.errors import DataError
from tfft.models.configuration import read_config

_LARGEST = 64 * 1024
_SECONDS = 2
# Conversations that a template may render in one of those seconds.
_RATE = 500
_AT_ONCE = 2_000
_MEMORY = 256 * 2**20

Message = dict[str, str]


@dataclass(frozen=True)
class Rendered:
    """What a template made of a conversation.

    Attributes:
        segments: Text, and whether the assistant says it.
        problem: Why the template refused the conversation; empty when it did not.
    """

    segments: tuple[tuple[str, bool], ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class ChatTemplate:
    """A template that came with a model, run in a process with limits.

    Attributes:
        source: Jinja, up to 64 KB.
        tokens: The special tokens it may use, `bos_token`, `eos_token` and so on.
        where: The file it came from, for messages.

    Raises:
        DataError: For a larger one.
    """

    source: str
    tokens: tuple[tuple[str, str], ...] = ()
    where: str = ""

    def __post_init__(self) -> None:
        """Refuses a template of a size that none has."""
        if len(self.source.encode()) > _LARGEST:
            raise DataError(
                f"chat template of {len(self.source.encode()):,} bytes",
                where=self.where,
                expected=f"at most {_LARGEST:,}",
                fix="check where the model came from",
            )

    def render(
        self, conversations: Sequence[Sequence[Message]], *, answered: bool
    ) -> list[Rendered]:
        """Returns the text of each conversation.

        Args:
            conversations: Messages with `role` and `content`.
            answered: Whether the answers are there; without, the text ends where
                the model goes on.

        Raises:
            DataError: When the template is none, or takes too long or too much
                memory.
        """
        rendered: list[Rendered] = []
        for start in range(0, len(conversations), _AT_ONCE):
            part = conversations[start : start + _AT_ONCE]
            rendered.extend(self._render(part, answered))
        return rendered

    def _render(
        self, conversations: Sequence[Sequence[Message]], answered: bool
    ) -> list[Rendered]:
        seconds = _SECONDS + len(conversations) // _RATE
        conversations = [list(one) for one in conversations]
        content = json.dumps(conversations)
        request = {
            "template": self.source,
            "tokens": dict(self.tokens),
            "conversations": conversations,
            "answered": answered,
            "seconds": seconds,
            "memory": _MEMORY + 20 * len(content),
        }
        answer = self._run(json.dumps(request), seconds)
        if "error" in answer:
            raise self._unusable(answer["error"])
        return [
            Rendered(problem=one["error"])
            if "error" in one
            else Rendered(tuple((text, said) for text, said in one["segments"]))
            for one in answer["results"]
        ]

    def _run(self, request: str, seconds: int) -> dict:
        """Runs the process that renders; two seconds more are for its start."""
        # Nothing of this process's environment but where Python finds tfft.
        root = str(Path(__file__).parents[2])
        paths = [root, os.environ.get("PYTHONPATH", "")]
        try:
            done = subprocess.run(
                [sys.executable, "-m", "tfft.models.chat_render"],
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
            raise self._unusable(f"no end after {seconds} seconds") from error
        if done.returncode:
            raise self._unusable(f"more than {seconds} seconds, or too much memory")
        return json.loads(done.stdout)

    def _unusable(self, reason: str) -> DataError:
        return DataError(
            f"the chat template cannot be used: {reason}",
            where=self.where,
            fix="check where the model came from",
        )


def read_chat_template(folder: Path) -> ChatTemplate | None:
    """Returns the chat template of a Hugging Face folder; None when it has none.

    Raises:
        DataError: When it cannot be read.
    """
    config = {}
    if (folder / "tokenizer_config.json").is_file():
        config = read_config(folder, "tokenizer_config.json")
    path, source = folder / "tokenizer_config.json", config.get("chat_template")
    if (folder / "chat_template.jinja").is_file():
        path = folder / "chat_template.jinja"
        source = path.read_text(encoding="utf-8")
    if source is None:
        return None
    if isinstance(source, list):
        named = {one.get("name"): one.get("template") for one in source}
        source = named.get("default")
    if not isinstance(source, str):
        raise DataError(
            "chat template is not text", where=str(path), fix="download it again"
        )
    return ChatTemplate(source, tuple(sorted(_tokens(config))), str(path))


def _tokens(config: dict) -> list[tuple[str, str]]:
    """Returns the special tokens, which stand as text or as an object."""
    found = []
    for name in ("bos_token", "eos_token", "unk_token", "pad_token"):
        token = config.get(name)
        if isinstance(token, dict):
            token = token.get("content")
        found.append((name, token if isinstance(token, str) else ""))
    return found
