"""Generates text with a loaded decoder, and scores it against references."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from tfft.core.config import configuration, require
from tfft.core.errors import DataError
from tfft.data import sources
from tfft.data.conversations import rows_of
from tfft.data.prediction_inputs import prediction_inputs
from tfft.data.rows import without_bad_rows
from tfft.data.table import Table
from tfft.generation.generate import Generation, Generator, Piece, prompt_seeds
from tfft.generation.sampling import Sampling
from tfft.models.generation_config import GenerationConfig
from tfft.models.pretrained import Pretrained
from tfft.tasks.language.encode import encode_conversations
from tfft.tasks.task import Task


def generate_with(
    pretrained: Pretrained,
    task: Task,
    prompts: Any,
    sampling: Sampling,
    *,
    batch_size: int,
    stream: bool,
) -> list[Generation] | Iterator[Piece]:
    """Returns the texts that a decoder generates for prompts; see `Run.generate`."""
    _Batching(batch_size=batch_size)
    ids = prompt_ids(pretrained, task, prompts)
    sampling = _ending(sampling, pretrained.generation)
    seeds = prompt_seeds(ids, sampling.seed)
    generators = [
        Generator(
            pretrained.backbone,
            pretrained.tokenizer,
            ids[start : start + batch_size],
            sampling,
            first=start,
            seeds=seeds[start : start + batch_size],
        )
        for start in range(0, len(ids), batch_size)
    ]
    if stream:
        return (piece for generator in generators for piece in generator)
    return [one for generator in generators for one in generator.run()]


def _ending(sampling: Sampling, model: GenerationConfig | None) -> Sampling:
    """Returns the sampling, extended by the model's own stop tokens and strings."""
    if model is None:
        return sampling
    return replace(
        sampling,
        stop=(*sampling.stop, *model.stop_strings),
        stop_tokens=(*sampling.stop_tokens, *model.eos_token_ids),
    )


@configuration()
class _Batching:
    """The checked `batch_size` of a generation."""

    batch_size: int

    def __post_init__(self) -> None:
        require(self.batch_size >= 1, self, "batch_size", "1 or more")


def prompt_ids(pretrained: Pretrained, task: Task, prompts: Any) -> list[list[int]]:
    """Returns the token ids of each prompt.

    Raises:
        DataError: For a prompt that the chat template refuses.
    """
    given = prediction_inputs(prompts, "prompts")
    encoded = encode_conversations(
        task.prompts(list(rows_of(given)) if isinstance(given, Table) else given),
        pretrained.tokenizer,
        max_length=task.max_length,
        split_special_tokens=task.split_special_tokens,
        answered=False,
    )
    split = sum(one.spells for one in encoded) if task.split_special_tokens else 0
    if split:
        warnings.warn(
            f"{split:,} of {len(encoded):,} prompts spell special tokens, which are "
            "split into letters as in training; send a chat as messages, or train "
            "with task.split_special_tokens=False",
            stacklevel=2,
        )
    for number, one in enumerate(encoded, start=1):
        if one.problem:
            raise DataError(
                f"prompt {number}: {one.problem}",
                expected="messages that the model's chat template accepts",
                fix="correct the prompt",
            )
    return [one.token_ids for one in encoded]


def score_texts(
    pretrained: Pretrained,
    task: Task,
    data: Any,
    scores: Sequence[str],
    rows: int,
    sampling: Sampling,
) -> dict[str, float]:
    """Returns how close generated answers are to the references.

    Args:
        pretrained: The decoder.
        task: A task that generates.
        data: Anything that holds rows. Of several splits the test split is used.
        scores: Names of scores, as in `text_scores`.
        rows: Number of rows to use, from the first.
        sampling: The settings for choosing tokens.

    Raises:
        DataError: For unusable rows.
    """
    from tfft.evaluation.text_scores import text_scores

    tables = sources.read(data)
    table = tables["test" if "test" in tables else "train"]
    table, _ = without_bad_rows(table, task.bad_rows(table), "error")
    chosen = rows_of(table.select(range(min(rows, len(table)))))
    asked, references = zip(*map(task.asked, chosen), strict=True)
    answers = generate_with(
        pretrained, task, asked, sampling, batch_size=16, stream=False
    )
    return text_scores([one.text for one in answers], references, scores)
