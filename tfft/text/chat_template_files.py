"""Finds the chat templates of a model folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfft.core.errors import DataError
from tfft.core.model_config import read_config
from tfft.text.chat_template import ChatTemplate


def read_chat_template(
    folder: Path, roles: Mapping[str, str] | None = None
) -> ChatTemplate | None:
    """Returns the chat template of a Hugging Face folder, or None if it has none.

    As in transformers, `chat_template.jinja` and the files in
    `additional_chat_templates` take precedence over `tokenizer_config.json`.

    Args:
        folder: The folder.
        roles: The special tokens that its files name, by `bos`, `eos` and so on: a
            template sees them as `bos_token`, `eos_token`. Defaults to none.

    Raises:
        DataError: When a template cannot be read.
    """
    config = {}
    if (folder / "tokenizer_config.json").is_file():
        config = read_config(folder, "tokenizer_config.json")
    path, found = folder / "tokenizer_config.json", config.get("chat_template")
    files = _template_files(folder)
    if files:
        path = next(iter(files.values()))
        found = {name: _text(file) for name, file in files.items()}
    if found is None:
        return None
    if isinstance(found, list):
        found = {one.get("name"): one.get("template") for one in found}
    if isinstance(found, str):
        found = {"default": found}
    if not isinstance(found, dict) or not all(map(_is_text, found.items())):
        raise DataError(
            "the chat template is not text",
            where=str(path),
            fix="download it again",
        )
    if "default" not in found:
        raise DataError(
            f"chat templates {', '.join(found)}",
            where=str(path),
            expected="one of them named default",
            fix="rename the main one to default",
        )
    default = found.pop("default")
    named = tuple(sorted(found.items()))
    tokens = sorted((f"{role}_token", token) for role, token in (roles or {}).items())
    return ChatTemplate(default, tuple(tokens), str(path), named)


def _template_files(folder: Path) -> dict[str, Path]:
    """Returns the templates stored in separate files, by name."""
    files = {}
    if (folder / "chat_template.jinja").is_file():
        files["default"] = folder / "chat_template.jinja"
    for file in sorted((folder / "additional_chat_templates").glob("*.jinja")):
        files[file.stem] = file
    return files


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"byte {error.start} is not UTF-8",
            where=str(path),
            fix="download it again",
        ) from error


def _is_text(template: tuple[Any, Any]) -> bool:
    return all(isinstance(one, str) for one in template)
