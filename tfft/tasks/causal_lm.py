"""Causal language modeling: texts, prompts with completions, conversations."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from tfft.core.config import configuration, require
from tfft.core.errors import ConfigError
from tfft.data.conversations import Conversation, Problem, row_texts, template_columns
from tfft.data.rows import BadRow
from tfft.data.table import Table
from tfft.models.pretrained import Pretrained
from tfft.tasks.encoded import Encoded
from tfft.tasks.endpoint import Served
from tfft.tasks.language.encode import Learnable, encode_conversations, template_ends
from tfft.tasks.language.notes import notes_on, template_notes
from tfft.tasks.language.packed import encoded_rows, sums_by_row
from tfft.tasks.language.prompts import read_prompts, without_answer
from tfft.tasks.language.read_conversations import TEMPLATE, RowReader
from tfft.tasks.task import TASKS, Labels, Task
from tfft.text.tokenizer import Tokenizer

Form = Literal[
    "auto", "text", "prompt_completion", "messages", "alpaca", "sharegpt", "template"
]


@TASKS.register("causal_lm")
@configuration(
    aliases={
        "packing": "padding_free",
        "label_smoothing_factor": "label_smoothing",
        "neftune_noise_alpha": "neftune_alpha",
        "cutoff_len": "max_length",
    }
)
class CausalLanguageModelling(Task):
    """Continues texts, completes prompts, or answers as an assistant.

    Args:
        format: The columns: `text`; `prompt_completion`; `messages`, lists of dicts
            with `role` and `content`; `alpaca`, that is `instruction`, optionally
            `input`, and `output`; `sharegpt`, that is `conversations`; `template`; or
            `auto` to go by the column names. Defaults to `auto`.
        template: For plain columns, the prompt with column names in braces:
            `Translate to German: {source}`. Defaults to none.
        target: With a template, the column with the answer. Defaults to `target`.
        max_length: Maximum number of tokens of a row. Longer rows lose their end and
            are counted. Defaults to 1024.
        train_on_prompt: Whether to learn prompts too, and not only completions and the
            assistant's turns. Scores cover only the latter. Defaults to False.
        split_special_tokens: Whether to split plain text that spells a special token,
            such as `<|im_start|>`, into letters. By default it becomes that token, as
            in TRL and vLLM. Does not affect chats: their template writes special
            tokens, and messages must not spell them. Defaults to False.
        padding_free: Whether several rows share one example, which avoids nearly all
            padding. Attention never crosses rows. Defaults to True.
        label_smoothing: Share of a label's probability that goes to all tokens in
            training. Defaults to 0.
        z_loss: Weight of log²Z in training; keeps logits small. Defaults to 0.
        neftune_alpha: Size of the noise on embeddings in training. Defaults to 0.
        gradient_checkpointing: Whether to compute each block twice to save memory.
            Defaults to False.

    >>> CausalLanguageModelling(template="{source} =", target="result").form
    'template'
    """

    evaluation = "causal_lm"
    per_token = True
    brings_all = True
    generates = True

    format: Form = "auto"
    template: str | None = None
    target: str = "target"
    max_length: int = 1024
    train_on_prompt: bool = False
    split_special_tokens: bool = False
    padding_free: bool = True
    label_smoothing: float = 0.0
    z_loss: float = 0.0
    neftune_alpha: float = 0.0
    gradient_checkpointing: bool = False

    def __post_init__(self) -> None:
        """Refuses values that make no sense."""
        require(self.max_length >= 8, self, "max_length", "8 or more tokens")
        smoothing = 0 <= self.label_smoothing < 1
        require(smoothing, self, "label_smoothing", "from 0 up to but not 1")
        require(self.z_loss >= 0, self, "z_loss", "0 or more")
        require(self.neftune_alpha >= 0, self, "neftune_alpha", "0 or more")
        if self.template is not None:
            fits = self.format in ("auto", "template")
            require(fits, self, "format", "template, together with a template")
            template_columns(self.template)
        else:
            named = self.format != "template"
            require(named, self, "template", "a prompt, for format=template")

    @property
    def form(self) -> str:
        """The format, if it does not depend on the columns."""
        return TEMPLATE if self.template is not None else self.format

    @property
    def _reader(self) -> RowReader:
        return RowReader(self.form, self.template, self.target)

    @property
    def text(self) -> tuple[str, ...]:
        """Empty: no column is plain text in every format."""
        return ()

    @property
    def peft_task_type(self) -> str:
        """CAUSAL_LM."""
        return "CAUSAL_LM"

    def suited_to(self, pretrained: Pretrained) -> tuple[Task, list[str]]:
        """Returns the task with at most the model's length.

        Raises:
            ConfigError: For a model that is not a decoder.
        """
        if not pretrained.architecture.causal:
            raise ConfigError(
                f"causal_lm with a model of type {pretrained.architecture.name}",
                expected="a decoder, such as GPT-2 or Llama",
                fix="choose another model, or another task",
            )
        notes = [*template_notes(pretrained.tokenizer), *pretrained.generation.notes]
        limit = pretrained.max_length
        if limit is None or self.max_length <= limit:
            return self, notes
        limited = replace(self, max_length=limit)
        return limited, [*notes, f"max_length is the model's limit, {limit}"]

    def conversations(
        self, table: Table, *, answered: bool = True
    ) -> list[Conversation | Problem]:
        """Returns each row as a conversation, or the reason why it is not one.

        Raises:
            ConfigError: When the columns fit no format, or several.
        """
        return self._reader.table(table, answered=answered)

    def bad_rows(self, table: Table, *, labelled: bool = True) -> list[BadRow]:
        """Returns the rows that are not conversations, with the reason for each."""
        found = enumerate(self.conversations(table, answered=labelled))
        return [BadRow(row, *one) for row, one in found if isinstance(one, Problem)]

    def unsuited_rows(self, table: Table, tokenizer: Tokenizer) -> list[BadRow]:
        """Returns the rows that the chat template refuses or that teach nothing."""
        column = next(iter(table.columns))
        found = self._learnable(table, tokenizer, training=True)
        bad = [(row, one.problem) for row, one in enumerate(found) if one.problem]
        return [BadRow(row, column, problem) for row, problem in bad]

    def _learnable(
        self, table: Table, tokenizer: Tokenizer, *, training: bool
    ) -> list[Learnable]:
        return encode_conversations(
            [one for one in self.conversations(table) if isinstance(one, Conversation)],
            tokenizer,
            max_length=self.max_length,
            train_on_prompt=self.train_on_prompt and training,
            split_special_tokens=self.split_special_tokens,
        )

    @classmethod
    def as_recorded(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the options of a run; older runs always split special tokens."""
        return {"split_special_tokens": True, **options}

    def taught_ends(self, tokenizer: Tokenizer) -> tuple[int, ...]:
        """Returns the tokens that end an answer in the chat template."""
        return template_ends(tokenizer)

    def learn_labels(self, table: Table) -> Labels:
        """Returns no labels, because the vocabulary belongs to the model."""
        return ()

    def check_labels(self, table: Table, labels: Labels, split: str) -> None:
        """Does nothing: there are no labels."""

    def strata(self, table: Table) -> Sequence[Hashable]:
        """Returns the same value for all rows."""
        return [""] * len(table)

    def described(self, table: Table) -> list[tuple[str, ...]]:
        """Returns the format of each row."""
        return [(self._reader.form_of(table),)] * len(table)

    def texts(self, table: Table) -> list[tuple[str, ...]]:
        """Returns all texts of each row."""
        return [row_texts(one) for one in self.conversations(table)]

    def encode(
        self, table: Table, tokenizer: Tokenizer, labels: Labels | None
    ) -> Encoded:
        """Returns the rows packed. Without labels (None), only answers are scored."""
        rows = self._learnable(table, tokenizer, training=labels is not None)
        return encoded_rows(
            rows,
            tokenizer.pad_id,
            together_in=self.max_length * self.padding_free,
            notes=notes_on(rows, split_special_tokens=self.split_special_tokens),
        )

    def build(self, pretrained: Pretrained, labels: Labels, seed: int) -> Any:
        """Returns a `CausalLM` on the backbone."""
        from tfft.tasks.networks.causal_lm import CausalLM

        names = (
            "label_smoothing", "z_loss", "neftune_alpha", "gradient_checkpointing"
        )  # fmt: skip
        options = {name: getattr(self, name) for name in names}
        network = CausalLM(pretrained.backbone, **options, seed=seed)
        network.generation = pretrained.generation
        return network

    def loss(self, outputs: Any, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        """Returns the sums of the losses and of the weights over the labels.

        Args:
            outputs: For each label its loss, and 1 if it is the most likely token;
                shape (batch, count, 2).
            batch: `labels`, shape (batch, count), -1 for padding, and
                `weights`, shape (batch,).
        """
        from keras import ops

        real = ops.cast(batch["labels"] >= 0, "float32")
        weights = real * batch["weights"][:, None]
        return ops.sum(outputs[..., 0] * weights), ops.sum(weights)

    def gold(self, table: Table, labels: Labels) -> Any:
        """Returns None: predictions already contain the scores."""
        return None

    def decode(
        self, outputs: Any, encoded: Encoded, table: Table, labels: Labels
    ) -> Any:
        """Returns the loss, correct tokens and labels of each row, shape (rows, 3)."""
        return sums_by_row(outputs, encoded.examples, len(table))

    def answers(
        self, predictions: Any, table: Table, labels: Labels
    ) -> list[dict[str, Any]]:
        """Raises an error: a language model generates its answers."""
        raise _generates()

    def served(self, labels: Labels) -> Served:
        """Returns the graph half, which generates."""
        from tfft.tasks.language.generating_in_graph import ServedGeneration

        return ServedGeneration(self.split_special_tokens)

    def rows(self, inputs: Sequence[Any]) -> Table:
        """Raises an error, like `answers`."""
        raise _generates()

    def prompts(self, inputs: Sequence[Any]) -> list[Conversation]:
        """Returns texts, lists of messages, or rows without answers as conversations.

        Raises:
            DataError: For another input; names its number.
        """
        return read_prompts(inputs, self._reader.asked)

    def asked(self, row: Mapping[str, Any]) -> tuple[Any, str]:
        """Returns a row without its last answer, and that answer.

        Raises:
            ConfigError: For a plain text, which has no question.
        """
        return without_answer(self.conversations(Table.from_rows([row], "row"))[0])


def _generates() -> ConfigError:
    fix = "call run.generate(prompts)"
    return ConfigError("causal_lm has no answers to predict", fix=fix)
