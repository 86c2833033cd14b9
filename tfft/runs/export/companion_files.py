"""The files of an export besides its graph: model card, labels, server config."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfft.core.environment import versions
from tfft.core.files import sha256, write_json, write_lines, write_text
from tfft.runs.predictor import Predictor, Provenance
from tfft.tasks.endpoint import Endpoint
from tfft.tasks.task import Task

_SERVER = "server"


@dataclass(frozen=True)
class Proof:
    """How an export compared with its run in a process without tfft.

    Attributes:
        texts: The number of texts whose tokens were compared, all equal.
        rows: The number of rows whose answers were compared.
        difference: The largest difference between numbers, in rows that agree.
        data: Says where the texts come from that are not built in.
        text_operations: The TensorFlow Text operations that the graph needs.
        dtype: The type in which the export stores its matrices.
        agreement: The share of rows with the run's answer (label, spans, text).
    """

    texts: int
    rows: int
    difference: float
    data: str
    text_operations: list[str]
    dtype: str = "float32"
    agreement: float = 1.0

    def __str__(self) -> str:
        """Returns how the answers compare, in one sentence.

        >>> print(Proof(9, 8, 0.0123, "the data", [], "int8", 0.875))
        int8: same answer as the run on 7 of 8 rows (87.5 %), numbers within 1.2e-02
        """
        same = round(self.agreement * self.rows)
        return (
            f"{self.dtype}: same answer as the run on {same:,} of {self.rows:,} rows "
            f"({self.agreement:.1%}), numbers within {self.difference:.1e}"
        ).replace("%)", " %)")

    def numbers(self) -> dict[str, Any]:
        """Returns its numbers, for JSON."""
        return {
            "texts": self.texts,
            "rows": self.rows,
            "agreement": self.agreement,
            "difference": self.difference,
        }


def write_beside(
    predictor: Predictor,
    source: Provenance,
    folder: Path,
    proof: Proof,
    endpoints: Mapping[str, Endpoint],
) -> None:
    """Writes `assets.extra`: labels, tokenizer, model card, warm-up requests."""
    from tfft.serving.warm_up import BATCH_SIZES, write_warm_up

    extra = folder / "assets.extra"
    labels = [str(label) for label in predictor.labels]
    predictor.built.pretrained.tokenizer.save(extra)
    write_lines(extra / "labels.txt", labels)
    card = model_card(predictor.task, source, proof, endpoints)
    write_text(extra / "README.md", card)
    columns = endpoints["serving_default"].inputs
    requests = [
        ("serving_default", dict.fromkeys(columns, [text] * size))
        for size in BATCH_SIZES
        for text in predictor.task.served(predictor.labels).warm_up_texts
    ]
    write_warm_up(folder, requests)
    write_json(
        extra / "tfft.json",
        {
            "task": predictor.task.name,
            "run": source.name,
            "labels": labels,
            "signatures": {name: dict(one.inputs) for name, one in endpoints.items()},
            "versions": versions(),
            "dtype": proof.dtype,
            "proof": proof.numbers(),
            "sha256": {
                path.relative_to(folder).as_posix(): sha256(path)
                for path in sorted(folder.rglob("*"))
                if path.is_file()
            },
        },
    )


def model_card(
    task: Task, source: Provenance, proof: Proof, endpoints: Mapping[str, Endpoint]
) -> str:
    """Returns the model card as Markdown."""
    record = source.record
    data, model = record["data"], record["model"]
    rows = ", ".join(f"{count:,} {split}" for split, count in data["rows"].items())
    fingerprints = ", ".join(
        f"{split} {code(mark)}" for split, mark in data["fingerprint"].items()
    )
    base = code(model["source"]) if model["source"] else "given as an object"
    if model["fingerprint"]:
        base += f", SHA-256 {code(model['fingerprint'])}"
    scores = [
        f"| {split} | {name} | {value:.4g} |"
        for split, values in record["metrics"].items()
        for name, value in values.items()
        if isinstance(value, int | float)
    ]
    signatures = [
        f"- `{name}`: {', '.join(f'`{one}`' for one in endpoint.inputs)}"
        for name, endpoint in endpoints.items()
    ]
    operations = [f"- `{name}`" for name in proof.text_operations] or ["- none"]
    lines = [
        f"# {plain(source.name)}",
        "",
        f"A {model['architecture']} model for {task.name}, fine-tuned with "
        f"{record['method']['name']}.",
        "",
        "## Data",
        "",
        f"{rows} rows; SHA-256 of {fingerprints}.",
        f"Base model: {base}.",
        "",
        "## Scores",
        "",
        *(["| split | score | value |", "| --- | --- | --- |", *scores]),
        "",
        "## Limits",
        "",
        f"- The model reads at most {task.max_length} tokens at once.",
        *[f"- {plain(note)}" for note in record["notes"]],
        "- It was trained on the data above and repeats the errors in that data.",
        "",
        "## Signatures",
        "",
        *signatures,
        "",
        "## Checked before publishing",
        "",
        "In a process with only TensorFlow and TensorFlow Text, the tokens of "
        f"{proof.texts:,} texts ({proof.data}, and hard ones) equal the tokenizer's. "
        f"The answers: {proof}.",
        "",
        "## Operations of TensorFlow Text",
        "",
        *operations,
        "",
    ]
    return "\n".join(lines)


# In one pass, because an escape contains & and #, which must not be escaped again.
_MARKS = str.maketrans({mark: f"&#{ord(mark)};" for mark in "\\`*_[]<>|#&"})


def plain(text: str) -> str:
    """Returns text on one line, escaped for Markdown and HTML.

    >>> plain("a_b & c")
    'a&#95;b &#38; c'
    """
    return " ".join(text.split()).translate(_MARKS)


def code(text: str) -> str:
    """Returns text as a code span on one line; inside it, nothing needs an escape.

    >>> code("models/my_bert"), code("a`b")
    ('`models/my_bert`', '`` a`b ``')
    """
    text = " ".join(text.split())
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}" if longest else f"{fence}{text}{fence}"


def write_server_files(directory: Path) -> None:
    """Writes `server/`: the config files with which TF Serving serves this model."""
    from tfft.serving.warm_up import BATCH_SIZES

    folder = directory / _SERVER
    name = json.dumps(directory.absolute().name)
    write_text(
        folder / "models.config",
        "model_config_list {\n  config {\n"
        f"    name: {name}\n"
        f"    base_path: {json.dumps('/models/' + directory.absolute().name)}\n"
        '    model_platform: "tensorflow"\n  }\n}\n',
    )
    allowed = "".join(f"allowed_batch_sizes: {size}\n" for size in BATCH_SIZES)
    write_text(
        folder / "batching_parameters.txt",
        f"max_batch_size {{ value: {BATCH_SIZES[-1]} }}\n"
        "batch_timeout_micros { value: 2000 }\n"
        "max_enqueued_batches { value: 100 }\n"
        "num_batch_threads { value: 4 }\n"
        f"{allowed}"
        "pad_variable_length_inputs: true\n",
    )
