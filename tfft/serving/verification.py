"""Compares the answers of an exported model, run in its own process, with the run's."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfft.core.errors import TfftError
from tfft.text.tokenizer import Tokenizer

_AT_ONCE = 64  # texts per question: they are padded to the longest
_SHOWN = 5
_TIMEOUT = 1800


@dataclass(frozen=True)
class Reply:
    """The answers of a SavedModel.

    Attributes:
        answers: The outputs of each question, lists by name.
        text_operations: The operations of TensorFlow Text that it needs.
    """

    answers: list[dict[str, Any]]
    text_operations: list[str]


def ask_outside(folder: Path, questions: Sequence[Mapping[str, Any]]) -> Reply:
    """Returns the answers of a SavedModel in a fresh process without tfft.

    Args:
        folder: The version folder.
        questions: Dicts with `signature` and `inputs`, lists by name.

    Raises:
        TfftError: When the process fails, with its last words.
    """
    found = ask_script("outside.py", folder, questions)
    return Reply(found["answers"], found["tensorflow_text"])


def ask_script(name: str, model: Path, questions: Sequence[Mapping[str, Any]]) -> Any:
    """Runs a script of this folder on a model in a new process and returns its result.

    Args:
        name: The file name of the script.
        model: The model's path.
        questions: The questions, which the script reads as JSON.

    Raises:
        TfftError: When the process fails, with its last words.
    """
    with tempfile.TemporaryDirectory() as scratch:
        given, result = Path(scratch, "questions.json"), Path(scratch, "answers.json")
        given.write_text(json.dumps(list(questions)), encoding="utf-8")
        script = Path(__file__).with_name(name)
        command = [sys.executable, "-I", script, model.absolute(), given, result]
        done = subprocess.run(
            [str(word) for word in command],
            capture_output=True,
            text=True,
            cwd=scratch,
            timeout=_TIMEOUT,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        if done.returncode:
            raise TfftError(
                "the exported model does not work outside of tfft: "
                + (done.stderr.strip().splitlines() or ["no message"])[-1],
                where=str(model),
                fix="this is a bug of tfft, please report it; nothing was published",
            )
        return json.loads(result.read_text(encoding="utf-8"))


def token_questions(texts: Sequence[str]) -> list[dict[str, Any]]:
    """Returns the questions to the `tokenize` signature for the ids of texts."""
    return [
        {"signature": "tokenize", "inputs": {"text": list(texts[i : i + _AT_ONCE])}}
        for i in range(0, len(texts), _AT_ONCE)
    ]


def check_tokens(
    tokenizer: Tokenizer, texts: Sequence[str], answers: Sequence[Mapping[str, Any]]
) -> None:
    """Checks that the graph and the tokenizer give the same ids.

    Raises:
        TfftError: Naming the texts that differ.
    """
    found = [
        ids[:length]
        for one in answers
        for ids, length in zip(one["token_ids"], one["length"], strict=True)
    ]
    encoded = tokenizer.library.encode_batch(list(texts), add_special_tokens=False)
    different = [
        text
        for text, ids, right in zip(texts, found, encoded, strict=True)
        if ids != right.ids
    ]
    if different:
        shown = ", ".join(repr(text[:60]) for text in different[:_SHOWN])
        raise TfftError(
            f"the tokenizer in the graph differs on {len(different):,} of "
            f"{len(texts):,} texts: {shown}",
            expected="the ids that the model was trained with",
            fix="this is a bug of tfft, please report it; nothing was published",
        )


def check_answers(
    inputs: Sequence[Any],
    found: Sequence[Any],
    expected: Sequence[Any],
    tolerance: float,
) -> float:
    """Returns the largest numeric difference between answers.

    Args:
        inputs: The inputs, for the message.
        found: Answers of the SavedModel, in the form of `Run.predict`.
        expected: Answers of the run.
        tolerance: The largest difference allowed.

    Raises:
        TfftError: Naming the input whose answers differ most.
    """
    differences = [difference(a, b) for a, b in zip(found, expected, strict=True)]
    worst = max(differences, default=0.0)
    if not worst <= tolerance:
        row = differences.index(worst)
        raise TfftError(
            f"the exported model differs from the run by {worst:.1e}",
            where=f"input {str(inputs[row])[:60]!r}",
            expected=f"at most {tolerance:.0e}, and the same words",
            fix="this is a bug of tfft, please report it; nothing was published",
        )
    return worst


@dataclass(frozen=True)
class Agreement:
    """The agreement of answers with the expected ones.

    Attributes:
        difference: The largest numeric difference among rows with the same words.
        share: The share of rows with the same words: labels, spans, texts.
    """

    difference: float = 0.0
    share: float = 1.0


def check_agreement(
    found: Sequence[Any], expected: Sequence[Any], least: float
) -> Agreement:
    """Returns how closely the answers of a model in fewer bits agree with the run's.

    Args:
        found: Answers of the SavedModel, in the form of `Run.predict`.
        expected: Answers of the run.
        least: Minimum share of rows with the same words.

    Raises:
        TfftError: Below that share, or for a number that is not finite.
    """
    pairs = list(zip(found, expected, strict=True))
    equal = [pair for pair in pairs if _words(pair[0]) == _words(pair[1])]
    worst = max((difference(*pair) for pair in equal), default=0.0)
    share = len(equal) / len(pairs) if pairs else 1.0
    if not math.isfinite(worst):
        raise TfftError(
            "the exported model gives numbers that are not finite",
            fix="export it in float32; nothing was published",
        )
    if share < least:
        raise TfftError(
            f"the exported model agrees with the run on {share:.1%} of "
            f"{len(pairs):,} rows",
            expected=f"{least:.1%} (min_agreement)",
            fix="export it in float32, or check it on rows like those you expect with "
            "data=; nothing was published",
        )
    return Agreement(worst, share)


def _words(answer: Any) -> Any:
    """Returns an answer without its numbers.

    >>> _words({"label": "a", "score": 0.5})
    {'label': 'a', 'score': None}
    """
    if isinstance(answer, Mapping):
        return {key: _words(value) for key, value in answer.items()}
    if isinstance(answer, list | tuple):
        return [_words(value) for value in answer]
    return None if isinstance(answer, float) else answer


def difference(found: Any, expected: Any) -> float:
    """Returns the largest numeric difference, or infinity if words differ.

    Numbers above 1 are compared by their relative difference.

    >>> difference({"label": "a", "score": 0.5}, {"label": "a", "score": 0.25})
    0.25
    >>> difference(["a"], ["b"])
    inf
    """
    if isinstance(expected, Mapping):
        if not isinstance(found, Mapping) or found.keys() != expected.keys():
            return math.inf
        pairs = [(found[key], expected[key]) for key in expected]
        return max((difference(*pair) for pair in pairs), default=0.0)
    if isinstance(expected, list | tuple):
        if len(found) != len(expected):
            return math.inf
        pairs = zip(found, expected, strict=True)
        return max((difference(*pair) for pair in pairs), default=0.0)
    if isinstance(expected, float):
        distance = abs(found - expected) / max(1.0, abs(expected))
        return distance if math.isfinite(distance) else math.inf
    return 0.0 if found == expected else math.inf
