"""Loads a backbone with its tokenizer from a folder, a preset name or an object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from tfft.compute.layers import set_dropout, variables_by_path
from tfft.compute.speed import speed_up
from tfft.core.errors import (
    ConfigError,
    DataError,
    MissingInputError,
    TfftError,
    nearest,
    shorten,
)
from tfft.core.files import sha256
from tfft.core.model_config import Pooling, read_config
from tfft.core.not_a_model import fix_for_name
from tfft.core.start import start_tensorflow
from tfft.models.architecture import Architecture, architecture_of
from tfft.models.generation_config import GenerationConfig, read_generation_config
from tfft.models.hub_tokenizers import from_keras_hub
from tfft.models.load_backbone import load_backbone
from tfft.models.pooling_config import (
    ModelPooling,
    read_pooling,
    transformer_folder,
)
from tfft.models.tokenizer_files import read_tokenizer
from tfft.text.tokenizer import Tokenizer

_POOLER = ModelPooling("pooler")
_REMOTE = ("hf://", "kaggle://", "modelscope://")


@dataclass(frozen=True)
class Pretrained:
    """A backbone, its tokenizer, and where they came from.

    Attributes:
        backbone: A KerasHub backbone.
        tokenizer: Its tokenizer.
        architecture: Its named places.
        source: The folder or preset name; None for an object.
        fingerprint: SHA-256 of the weight files; empty without files.
        notes: Where the checkpoint did not fit exactly; one sentence per note.
        fresh: Names of the places that start with random weights; they always train.
        summary: How the model itself pools a text.
        max_length: Maximum number of tokens in a text; None if the model has no limit.
        config: The Hugging Face config; empty for a KerasHub model.
        head: The tensors of the checkpoint's head, by their Hugging Face names.
        generation: Where generated texts end; None for a model that does not generate.
    """

    backbone: Any
    tokenizer: Tokenizer
    architecture: Architecture
    source: str | None
    fingerprint: str = ""
    notes: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()
    summary: ModelPooling = _POOLER
    max_length: int | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    head: Mapping[str, np.ndarray] = field(default_factory=dict)
    generation: GenerationConfig | None = None

    @property
    def pooling(self) -> Pooling:
        """The pooling that the model was trained with.

        Raises:
            ConfigError: When tfft does not implement it.
        """
        if self.summary.pooling is None:
            raise ConfigError(
                f"tfft does not implement the model's pooling: {self.summary.lacking}",
                where=self.source or "",
                expected="one of: " + ", ".join(self._poolings),
                fix=f'choose one yourself, such as task.pooling="{self.summary.near}"',
            )
        return self.summary.pooling

    @property
    def _poolings(self) -> list[str]:
        own = self.architecture.poolings
        return [one for one in get_args(Pooling) if one != "pooler" or one in own]

    @property
    def fresh_variables(self) -> list[Any]:
        """The variables that the checkpoint has no weights for."""
        return self._variables_of(self.fresh)

    @property
    def optional_variables(self) -> list[Any]:
        """The variables that only some tasks use, such as the pooler's."""
        return self._variables_of(self.architecture.optional)

    def _variables_of(self, names: tuple[str, ...]) -> list[Any]:
        variables = variables_by_path(self.backbone)
        return [
            variables[weight.path]
            for place in self.architecture.places_of(self.backbone)
            if place.name in names
            for weight in place.weights()
        ]


def load_pretrained(
    model: Any, tokenizer: Any = None, dropout: float | None = None
) -> Pretrained:
    """Loads a backbone and its tokenizer from a folder, a preset or an object.

    Args:
        model: A Hugging Face folder, a KerasHub preset name or folder, a KerasHub
            backbone, or a KerasHub task with a preprocessor.
        tokenizer: The tokenizer, when `model` is a bare backbone.
        dropout: Dropout rate inside the backbone. Defaults to None, which keeps the
            model's own rate.

    Raises:
        MissingInputError: When a folder or preset is missing or incomplete.
        DataError: When a file is not usable.
        ConfigError: For any other object, or a backbone without a tokenizer.
    """
    start_tensorflow()
    if isinstance(model, str | Path):
        loaded = _from_name(str(model), dropout)
    else:
        loaded = _from_object(model, tokenizer)
    if dropout is not None:
        set_dropout(loaded.backbone, dropout)
    speed_up(loaded.backbone)
    return _without_ids_beyond(loaded)


def _without_ids_beyond(loaded: Pretrained) -> Pretrained:
    """Drops tokens that no text contains and the model has no embedding for.

    Folders often name a padding token without an embedding.

    Raises:
        DataError: When a text can contain such a token.
    """
    size, tokenizer = loaded.backbone.token_embedding.input_dim, loaded.tokenizer
    beyond = tokenizer.tokens_from(size)
    if not beyond:
        return loaded
    if not tokenizer.without_roles(beyond):
        raise DataError(
            f"the tokenizer has {tokenizer.vocabulary_size:,} ids",
            where=loaded.source or type(loaded.backbone).__name__,
            expected=f"at most the model's {size:,}",
            fix="use the tokenizer that belongs to the model",
        )
    names = ", ".join(map(shorten, sorted(beyond)))
    note = f"ignored tokens without an embedding, which no text contains: {names}"
    return replace(loaded, notes=(*loaded.notes, note))


def _from_name(name: str, dropout: float | None) -> Pretrained:
    folder = Path(name).expanduser()
    if folder.is_dir():
        if "registered_name" in read_config(transformer_folder(folder)):
            return _keras_hub_folder(folder)
        return _hugging_face(folder, dropout)
    if folder.is_file():
        raise ConfigError(
            f"model {shorten(name)} is a file",
            expected="a folder or the name of a preset",
            fix=f"give the folder {folder.parent}",
        )
    return _preset(name)


def _hugging_face(root: Path, dropout: float | None) -> Pretrained:
    folder = transformer_folder(root)
    tokenizer = read_tokenizer(folder)
    loaded = load_backbone(folder, dropout)
    report = loaded.report
    notes = [*tokenizer.notes, *loaded.notes]
    if report.head:
        notes.append(f"the checkpoint has a head: {', '.join(sorted(report.head))}")
    if report.aside:
        notes.append(f"ignored in the checkpoint: {', '.join(report.aside)}")
    if report.fresh:
        notes.append(
            f"not in the checkpoint, random at the start: {', '.join(report.fresh)}"
        )
    generation = None
    if loaded.architecture.causal:
        read = read_generation_config(folder, loaded.config)
        generation = read.known_to(tokenizer)
    return Pretrained(
        loaded.backbone,
        tokenizer,
        loaded.architecture,
        str(root.absolute()),
        loaded.fingerprint,
        tuple(notes),
        report.fresh,
        read_pooling(root, loaded.architecture.poolings[0]),
        min(loaded.max_length, tokenizer.conventions.max_length or loaded.max_length),
        loaded.config,
        report.head,
        generation,
    )


def _keras_hub_folder(folder: Path) -> Pretrained:
    weights = sorted(folder.glob("model*.weights.h5")) + sorted(
        folder.glob("model.weights.json")
    )
    if not weights:
        raise MissingInputError(
            "model folder without model.weights.h5",
            where=str(folder),
            fix="write it with save_to_preset",
        )
    return replace(
        _preset(str(folder)),
        source=str(folder.absolute()),
        fingerprint="+".join(sha256(file) for file in weights),
    )


def _preset(name: str) -> Pretrained:
    import keras_hub

    local = Path(name).is_dir()
    known = [] if local else list(keras_hub.models.Backbone.presets)
    if not local and name not in known and not name.startswith(_REMOTE):
        raise MissingInputError(
            f"no such model folder or preset: {shorten(name)}",
            expected="a folder with config.json, or a KerasHub preset name",
            fix=nearest(name, known) or fix_for_name(name),
        )
    try:
        backbone = keras_hub.models.Backbone.from_preset(name)
        architecture = architecture_of(backbone)
        tokenizer = _preset_tokenizer(name)
    except TfftError:
        raise
    except Exception as error:  # the hubs raise whatever their HTTP client raises
        reason = str(error).strip().splitlines() or [type(error).__name__]
        kind = DataError if local else MissingInputError
        raise kind(
            f"preset {shorten(name)} could not be loaded: {reason[0]}",
            fix="write it again with save_to_preset"
            if local
            else "on a machine with network, save it with save_to_preset, "
            "and give that folder",
        ) from error
    return _from_keras_hub(backbone, tokenizer, architecture, name)


def _from_keras_hub(
    backbone: Any, tokenizer: Tokenizer, architecture: Architecture, source: str | None
) -> Pretrained:
    """Wraps a KerasHub model, which has no Hugging Face config."""
    return Pretrained(
        backbone,
        tokenizer,
        architecture,
        source,
        summary=ModelPooling(architecture.poolings[0]),
        max_length=getattr(backbone, "max_sequence_length", None),
        generation=GenerationConfig() if architecture.causal else None,
    )


def _preset_tokenizer(name: str) -> Tokenizer:
    import keras_hub

    folder = Path(name)
    if (folder / "tokenizer.json").is_file() and not _is_keras_json(folder):
        return read_tokenizer(folder)
    return from_keras_hub(keras_hub.tokenizers.Tokenizer.from_preset(name))


def _is_keras_json(folder: Path) -> bool:
    """Returns whether a `tokenizer.json` is KerasHub's, not Hugging Face's."""
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    return "registered_name" in content


def _from_object(model: Any, tokenizer: Any) -> Pretrained:
    backbone = getattr(model, "backbone", model)
    preprocessor = getattr(model, "preprocessor", None)
    architecture = architecture_of(backbone)
    tokenizer = tokenizer or getattr(preprocessor, "tokenizer", None)
    if tokenizer is None:
        raise ConfigError(
            f"model is a {type(model).__name__} without a tokenizer",
            expected="a tokenizer for a backbone given as an object",
            fix="give tokenizer=, or a KerasHub task that has a preprocessor",
        )
    if isinstance(tokenizer, str | Path):
        tokenizer = read_tokenizer(Path(tokenizer))
    return _from_keras_hub(backbone, from_keras_hub(tokenizer), architecture, None)
