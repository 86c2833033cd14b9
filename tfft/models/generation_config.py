"""Reads and writes `generation_config.json`: which tokens end a text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfft.core.errors import DataError, shorten
from tfft.core.files import write_json
from tfft.core.model_config import read_config

if TYPE_CHECKING:
    from tfft.text.tokenizer import Tokenizer

NAME = "generation_config.json"
# transformers and vLLM read these from the file; tfft takes them from its caller.
# The values listed here mean that sampling is off.
_SAMPLING = {
    "do_sample": (None, False),
    "temperature": (None, 1.0),
    "top_k": (None, 0, 50),
    "top_p": (None, 1.0),
    "repetition_penalty": (None, 1.0),
}
# transformers writes these about the file itself; they are wrong once it changes.
_ABOUT_THE_FILE = ("_from_model_config", "_commit_hash", "transformers_version")


@dataclass(frozen=True)
class GenerationConfig:
    """The tokens and strings that end a generated text.

    Attributes:
        eos_token_ids: Tokens that end a text, besides the tokenizer's own.
        stop_strings: Strings that end a text.
        content: The whole file, so that an export can write it again.
        notes: The settings that tfft does not follow, one sentence each.
    """

    eos_token_ids: tuple[int, ...] = ()
    stop_strings: tuple[str, ...] = ()
    content: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def ending_at(self, token_ids: Iterable[int]) -> GenerationConfig:
        """Returns a copy in which further tokens end a text.

        >>> GenerationConfig((5,)).ending_at([7, 5]).eos_token_ids
        (5, 7)
        """
        every = dict.fromkeys((*self.eos_token_ids, *token_ids))
        return replace(self, eos_token_ids=tuple(every))

    def known_to(self, tokenizer: Tokenizer) -> GenerationConfig:
        """Returns a copy with notes, and without ids that the tokenizer lacks."""
        known = [
            index
            for index in self.eos_token_ids
            if tokenizer.library.id_to_token(index) is not None
        ]
        notes = []
        lost = [str(one) for one in self.eos_token_ids if one not in known]
        if lost:
            ids = ", ".join(lost)
            notes.append(
                f"{NAME} ends texts at token ids {ids}, which the tokenizer lacks"
            )
        asked = [
            f"{name} {self.content[name]}"
            for name, off in _SAMPLING.items()
            if self.content.get(name) not in off
        ]
        if asked:
            notes.append(
                f"{NAME} sets {', '.join(asked)}, which tfft does not read: "
                "generation is greedy unless you give these options"
            )
        return replace(self, eos_token_ids=tuple(known), notes=tuple(notes))


def read_generation_config(folder: Path, config: Mapping[str, Any]) -> GenerationConfig:
    """Reads which tokens and strings end the texts of a model.

    As in transformers, `config.json` counts only when there is no
    `generation_config.json`.

    Args:
        folder: A Hugging Face folder.
        config: Its `config.json`.

    Raises:
        DataError: When the file is damaged, or an end is not a token id.
    """
    if not (folder / NAME).is_file():
        return GenerationConfig(_ids(config, folder / "config.json"))
    content = read_config(folder, NAME)
    where = folder / NAME
    return GenerationConfig(_ids(content, where), _strings(content, where), content)


def write_generation_config(
    folder: Path,
    tokenizer: Tokenizer,
    generation: GenerationConfig | None = None,
) -> None:
    """Writes the `generation_config.json` that transformers and vLLM read.

    Args:
        folder: The folder to write into.
        tokenizer: Names the tokens that begin, end and pad texts.
        generation: Further ends, and the rest of the file. Defaults to None: only the
            tokenizer's own tokens.
    """
    generation = generation or GenerationConfig()
    content = {
        key: value
        for key, value in generation.content.items()
        if key not in _ABOUT_THE_FILE
    }
    own = [] if tokenizer.eos_id is None else [tokenizer.eos_id]
    ends = list(dict.fromkeys([*own, *generation.eos_token_ids]))
    # The file holds one id as a number, several as a list.
    content["eos_token_id"] = ends[0] if len(ends) == 1 else ends or None
    content.setdefault("bos_token_id", tokenizer.bos_id)
    content.setdefault("pad_token_id", tokenizer.pad_id)
    if generation.stop_strings:
        content["stop_strings"] = list(generation.stop_strings)
    write_json(
        folder / NAME,
        {key: value for key, value in content.items() if value is not None},
    )


def _ids(content: Mapping[str, Any], where: Path) -> tuple[int, ...]:
    given = content.get("eos_token_id")
    ids = _listed(given)
    for one in ids:
        if isinstance(one, bool) or not isinstance(one, int) or not 0 <= one < 2**31:
            raise DataError(
                f"eos_token_id is {shorten(given)}",
                where=str(where),
                expected="a token id, or a list of token ids",
                fix="correct the file, or download it again",
            )
    return tuple(ids)


def _strings(content: Mapping[str, Any], where: Path) -> tuple[str, ...]:
    given = content.get("stop_strings")
    strings = _listed(given)
    if not all(isinstance(one, str) and one for one in strings):
        raise DataError(
            f"stop_strings is {shorten(given)}",
            where=str(where),
            expected="a string, or a list of strings",
            fix="correct the file, or download it again",
        )
    return tuple(strings)


def _listed(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    return value if isinstance(value, list) else (value,)
