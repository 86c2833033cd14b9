"""Generates text with a model: prompts in, texts out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tfft.core.config import also_accepts
from tfft.core.environment import check_environment
from tfft.generation.generate import Generation, Piece
from tfft.generation.sampling import Sampling
from tfft.models.pretrained import load_pretrained
from tfft.runs.generating import generate_with
from tfft.tasks.task import TASKS, Task


@also_accepts(Sampling)
def generate(
    model: Any,
    prompts: Any,
    *,
    task: Any = "causal_lm",
    tokenizer: Any = None,
    batch_size: int = 16,
    stream: bool = False,
    **options: Any,
) -> list[Generation] | Iterator[Piece]:
    """Returns the text that a model writes after each prompt.

    Args:
        model: A Hugging Face folder, a KerasHub preset name or folder, or in Python
            a KerasHub decoder. For a run folder use `tfft.load(folder).generate`.
        prompts: A list of texts, of lists of messages with `role` and `content`, or of
            rows; or anything that holds such rows, as for `data`.
        task: Name or object of the task that turns rows into prompts.
        tokenizer: The tokenizer of a bare backbone.
        batch_size: Number of prompts to compute together; their lengths may differ.
        stream: Whether to return an iterator that yields each piece of text as soon as
            it is final.
        **options: The fields of `Sampling`.

    Raises:
        ConfigError: For invalid options, or a model that is not a decoder.
        DataError: For an unusable prompt.
    """
    check_environment()
    sampling = Sampling(**options)
    resolved: Task = TASKS.resolve(task)
    pretrained = load_pretrained(model, tokenizer)
    resolved, _ = resolved.suited_to(pretrained)
    return generate_with(
        pretrained, resolved, prompts, sampling, batch_size=batch_size, stream=stream
    )
