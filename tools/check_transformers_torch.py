"""The half of tools/check_transformers.py that needs torch and transformers.

Takes a folder of cases, each with `exported` and `case.json`. Writes the answers of
transformers to `transformers.json` in each, and prints a line of JSON: how many answers
equal the run's, and the largest difference of their numbers.
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
import transformers as hf

hf.logging.set_verbosity_error()
hf.utils.logging.disable_progress_bar()
MOST = 30  # tokens in an answer, as in the run


def scores(folder: Path, inputs: list[Any]) -> tuple[str, list[list[float]]]:
    """Returns the class that answered, and each text's numbers in label order."""
    config = hf.AutoConfig.from_pretrained(folder)
    labels = [config.id2label[index] for index in range(config.num_labels)]
    if not (folder / "modules.json").is_file():
        pipe = hf.pipeline("text-classification", model=str(folder), top_k=None)
        given = [
            one if isinstance(one, str) else {"text": one[0], "text_pair": one[1]}
            for one in inputs
        ]
        by_label = [
            {each["label"]: each["score"] for each in one}
            for one in pipe(given, truncation=True, batch_size=8)
        ]
        rows = [[one[label] for label in labels] for one in by_label]
        return type(pipe.model).__name__, rows
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu")
    outputs = model.encode(inputs, convert_to_tensor=True, batch_size=8)
    shares = {
        "single_label_classification": outputs.softmax(-1),
        "multi_label_classification": outputs.sigmoid(),
        "regression": outputs,
    }
    return "SentenceTransformer", shares[config.problem_type].tolist()


def numbers(answer: dict[str, Any]) -> list[float]:
    """Returns the numbers in an answer of the run."""
    if "value" in answer:
        return [answer["value"]]
    return list(answer["probabilities"].values())


def check_scores(folder: Path, inputs: list[Any], answers: list[Any]) -> Any:
    """Returns the class that answered, how many top labels agree, the difference."""
    by, found = scores(folder, inputs)
    expected = [numbers(one) for one in answers]
    same = sum(
        a.index(max(a)) == b.index(max(b)) for a, b in zip(found, expected, strict=True)
    )
    difference = max(
        abs(x - y) / max(1, abs(y))
        for a, b in zip(found, expected, strict=True)
        for x, y in zip(a, b, strict=True)
    )
    return by, found, same, difference


def check_spans(folder: Path, inputs: list[str], answers: list[Any]) -> Any:
    """Returns the class that answered, and how many texts have the same tags of words.

    A word has the tag of its first token. The pipeline's own grouping is not used: it
    treats a blank that is a token of its own as a word.
    """
    pipe = hf.pipeline("token-classification", model=str(folder), ignore_labels=[])
    given = []
    for text in inputs:
        tokens = [one for one in pipe(text) if one["word"] != "Ġ"]
        starts = [match.start() for match in re.finditer(r"\S+", text)]
        given.append(
            [
                next(one["entity"] for one in tokens if one["end"] > start)
                for start in starts
            ]
        )
    same = sum(a == b["tags"] for a, b in zip(given, answers, strict=True))
    return type(pipe.model).__name__, given, same, 0.0


def check_answers(folder: Path, inputs: list[Any], answers: list[Any]) -> Any:
    """Returns the class that answered, and how many answers are the same words."""
    tokenizer = hf.AutoTokenizer.from_pretrained(folder)
    model = hf.AutoModelForQuestionAnswering.from_pretrained(folder).eval()
    found = []
    for question, context in inputs:
        given = tokenizer(
            question, context, return_offsets_mapping=True, return_tensors="pt"
        )
        offsets = given.pop("offset_mapping")[0].tolist()
        with torch.no_grad():
            outputs = model(**given)
        inside = [place for place, one in enumerate(given.sequence_ids(0)) if one == 1]
        start, end = max(
            ((i, j) for i in inside for j in inside if i <= j < i + MOST),
            key=lambda pair: (
                outputs.start_logits[0, pair[0]] + outputs.end_logits[0, pair[1]]
            ).item(),
        )
        found.append(context[offsets[start][0] : offsets[end][1]].strip())
    same = sum(a == b["answer"] for a, b in zip(found, answers, strict=True))
    return type(model).__name__, found, same, 0.0


def check_texts(folder: Path, inputs: list[str], answers: list[str]) -> Any:
    """Returns the class that answered, and how many texts are the same."""
    pipe = hf.pipeline("text-generation", model=str(folder))
    given = pipe(
        inputs, max_new_tokens=8, do_sample=False, return_full_text=False, batch_size=8
    )
    found = [one[0]["generated_text"] for one in given]
    same = sum(a == b for a, b in zip(found, answers, strict=True))
    return type(pipe.model).__name__, found, same, 0.0


CHECKS = {
    "token_classification": check_spans,
    "question_answering": check_answers,
    "causal_lm": check_texts,
}


def main(cases: str) -> None:
    """Prints a line for each case."""
    warnings.simplefilter("ignore")
    for folder in sorted(Path(cases).iterdir()):
        case = json.loads((folder / "case.json").read_text())
        check = CHECKS.get(case["task"].partition("/")[0], check_scores)
        inputs, answers = case["inputs"], case["answers"]
        by, found, same, difference = check(folder / "exported", inputs, answers)
        (folder / "transformers.json").write_text(json.dumps(found))
        line = {"case": folder.name, "by": by, "same": same, "of": len(inputs)}
        print(json.dumps({**line, "difference": difference}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
