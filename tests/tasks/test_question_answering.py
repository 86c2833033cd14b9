"""Question answering from rows to answers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import tfft
from tests.fixtures.rows import HARD
from tfft.core.errors import ConfigError, DataError
from tfft.data.table import Table
from tfft.tasks.answers.gold_answers import GoldAnswer, mend
from tfft.tasks.answers.squad_rules import best_threshold, exact, f1, normalized
from tfft.tasks.question_answering import QuestionAnswering

SMALL = {"max_length": 48, "stride": 8, "max_question": 8}


@pytest.fixture(scope="module")
def run(tune, make_questions):
    task = QuestionAnswering(**SMALL)
    return tune(data=make_questions(160), task=task, epochs=4, batch_size=8)


def table_of(*pairs):
    return QuestionAnswering(**SMALL).rows(pairs)


def random_answers(task, table, tokenizer, seed=0):
    encoded = task.encode(table, tokenizer, None)
    random = np.random.default_rng(seed)
    outputs = [
        random.normal(0, 3, (n, 2)).astype("float32") for n in encoded.examples.lengths
    ]
    return task.decode(outputs, encoded, table, ())


# The published rules: evaluate-v2.0.py of SQuAD; figures by hand.
@pytest.mark.parametrize(
    ("answer", "golds", "em", "score"),
    [
        ("The Eiffel Tower", ["Eiffel Tower"], 1, 1),  # articles
        ("an apple a day", ["apple day"], 1, 1),
        ("Eiffel Tower.", ["“Eiffel” Tower"], 0, 0.5),  # curly quotes stay
        ('"Eiffel" Tower!', ["Eiffel Tower"], 1, 1),  # ASCII punctuation goes
        ("U.S.", ["US"], 1, 1),
        ("  two \t words ", ["two words"], 1, 1),
        ("theatre", ["atre"], 0, 0),  # an article inside a word is none
        ("1,000", ["1000"], 1, 1),
        ("b c", ["x", "b c d"], 0, 0.8),  # the best of several
        ("b b", ["b"], 0, 2 / 3),  # words count as often as they stand
        ("", [], 1, 1),
        ("b", [], 0, 0),
        ("", ["b"], 0, 0),
        ("the", [], 1, 1),  # nothing is left of it
        ("b", ["the", "b"], 1, 1),  # a gold of which nothing is left does not count
        ("", ["the"], 1, 1),
    ],
)
def test_squads_rules(answer, golds, em, score):
    assert exact(answer, golds) == em
    assert f1(answer, golds) == pytest.approx(score, abs=1e-12)


def test_normalized():
    assert normalized("A man, an apple and THE plan; theirs.") == (
        "man apple and plan theirs"
    )


@pytest.mark.parametrize("seed", range(20))
def test_the_best_threshold_is_the_best_of_all(seed):
    random = np.random.default_rng(seed)
    leads = random.integers(-5, 6, 30).astype("float64")
    answered, silent = random.random(30), random.integers(0, 2, 30)

    def score(threshold):
        return float(np.where(leads > threshold, silent, answered).mean())

    threshold, best = best_threshold(leads, answered, silent)
    assert best == pytest.approx(max(score(t) for t in np.arange(-7, 7, 0.5)))
    assert score(threshold) == pytest.approx(best)


def test_what_can_be_learned_is_learned(run, make_questions):
    assert run.metrics["test"]["exact_match"] > 0.9
    assert run.metrics["test"]["f1"] >= run.metrics["test"]["exact_match"]
    [answer] = run.predict([("bad?", "a b good c d")])
    assert (answer["answer"], answer["start"], answer["end"]) == ("good", 4, 8)
    assert answer["candidates"][0]["text"] == "good"
    assert len(answer["candidates"]) == 5
    assert sum(one["score"] for one in answer["candidates"]) == pytest.approx(1)


def test_a_loaded_run_answers_bit_for_bit_alike(run):
    pairs = [("good?", text) for text in ("is coco", *HARD, "good " * 99)]
    assert tfft.load(run.folder).predict(pairs) == run.predict(pairs)


def test_questions_without_an_answer_get_a_tuned_threshold(tune, make_questions):
    rows = make_questions(160, silent=80)
    run = tune(data=rows, task=QuestionAnswering(**SMALL), epochs=4, batch_size=8)
    assert run.task.no_answer
    assert run.record["task"]["no_answer_threshold"] is not None
    assert run.metrics["test"]["exact_match"] > 0.8
    report = run.evaluate(rows)
    assert report.groups["no answer"]["questions"] == 80
    assert report.groups["no answer"]["exact_match"] > 0.8
    silent, spoken = run.predict([("bad?", "a b c d e f"), ("bad?", "a b good d e f")])
    assert (silent["answer"], silent["start"]) == ("", None)
    assert spoken["answer"] == "good"
    never = dataclasses.replace(run.task, no_answer_threshold=1e9)
    other = tfft.load(run.folder)
    other.predictor.task = never
    assert other.predict([("bad?", "a b c d e f")])[0]["answer"] != ""


def test_every_answer_is_a_part_of_its_context(letters):
    task = QuestionAnswering(**SMALL, no_answer=False)
    contexts = [*HARD, *(f"{a} {b}" for a in HARD for b in HARD)]
    table = table_of(*(("good?", context) for context in contexts))
    for context, one in zip(
        contexts, random_answers(task, table, letters), strict=True
    ):
        assert all(context[c.start : c.end] == c.text != "" for c in one.candidates)
        assert len({(c.start, c.end) for c in one.candidates}) == len(one.candidates)
        assert one.text == (one.candidates[0].text if one.candidates else "")


def test_the_best_answer_is_the_best_of_all_windows(letters):
    task = QuestionAnswering(**SMALL, max_answer=3, n_best=50)
    table = table_of(("good?", " ".join("abcdefghij" * 9)))
    encoded = task.encode(table, letters, None)
    assert len(encoded.examples) > 2
    random = np.random.default_rng(0)
    outputs = [random.normal(0, 1, (n, 2)) for n in encoded.examples.lengths]
    [found] = task.decode(outputs, encoded, table, ())
    best = {}
    [(_, windows)] = encoded.places
    for logits, window in zip(outputs, windows, strict=True):
        for i, j in ((i, i + k) for i in range(len(logits)) for k in range(3)):
            if j < len(logits) and window.text_ids[i] == window.text_ids[j] == 1:
                place = window.offsets[i][0], window.offsets[j][1]
                score = logits[i, 0] + logits[j, 1]
                best[place] = max(best.get(place, -99), score)
    top = max(best, key=best.get)
    assert (found.candidates[0].start, found.candidates[0].end) == top
    assert found.candidates[0].score == pytest.approx(best[top])
    assert found.no_answer_score == pytest.approx(min(o[0].sum() for o in outputs))


def test_the_ends_of_an_answer_are_labelled_where_it_is_whole(letters):
    task = QuestionAnswering(**SMALL)
    context = "a b c d " * 20 + "good bad " + "e f g h " * 20
    at = context.index("good bad")
    rows = [{"question": "a", "context": context,
             "answers": [{"text": "good bad", "answer_start": at}]}]  # fmt: skip
    encoded = task.encode(Table.from_rows(rows, "x"), letters, ())
    values = encoded.examples.values
    [(_, windows)] = encoded.places
    whole = 0
    for window, start, end in zip(
        windows, values["start_positions"], values["end_positions"], strict=True
    ):
        there = (at, at + 4) in window.offsets and (at + 5, at + 8) in window.offsets
        assert (start > 0) == there
        if there:
            whole += 1
            assert window.offsets[start] == (at, at + 4)
            assert window.offsets[end] == (at + 5, at + 8)
    assert 0 < whole < len(windows)


def test_the_loss_is_the_mean_of_both_ends_without_padding():
    random = np.random.default_rng(0)
    outputs = random.normal(size=(2, 4, 2)).astype("float32")
    batch = {
        "start_positions": np.array([1, 0], "int32"),
        "end_positions": np.array([2, 0], "int32"),
        "padding_mask": np.array([[1, 1, 1, 0], [1, 1, 1, 1]], "int32"),
        "weights": np.array([1, 0], "float32"),
    }
    total, weight = QuestionAnswering().loss(outputs, batch)
    real = outputs[0, :3].astype("float64")
    log_p = real - np.log(np.exp(real).sum(axis=0))
    assert float(total) == pytest.approx(-(log_p[1, 0] + log_p[2, 1]) / 2, rel=1e-5)
    assert float(weight) == 1


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (("Rome", 3), ("Rome", 3)),
        (("Rome", 0), ("Rome", 3)),
        (("Rome", 90), ("Rome", 3)),
        (("Oslo", 3), None),
        (("in", 5), None),  # twice nearby
    ],
)
def test_answers_beside_their_place(answer, found):
    mended = mend(GoldAnswer(*answer), "in Rome in May")
    assert mended == (GoldAnswer(*found) if found else None)


def row(context="in Rome", answers=(("Rome", 3),), **more):
    found = [{"text": t, "answer_start": s} for t, s in answers]
    return {"question": "where?", "context": context, "answers": found, **more}


def test_misaligned_answers_are_counted_mended_or_dropped_and_listed():
    rows = [row(), row(answers=[("Rome", 1)]), row(answers=[("Oslo", 3)]),
            row(answers=[("Rome", 3), ("Oslo", 0)]), row(answers=[])]  # fmt: skip
    table, notes = QuestionAnswering().mended(Table.from_rows(rows, "dev"))
    assert table.columns["answers"] == [
        [{"text": "Rome", "answer_start": 3}],
        [{"text": "Rome", "answer_start": 3}],
        [{"text": "Rome", "answer_start": 3}],
        [],
    ]
    assert notes == [
        "1 answers were not at answer_start: position corrected",
        "2 rows had answers that are not in their context: answers dropped, and "
        "1 rows that had no other · dev row 3, dev row 4",
    ]
    with pytest.raises(DataError, match="no answer occurs in its context"):
        QuestionAnswering().mended(Table.from_rows(rows[2:3], "dev"))


@pytest.mark.parametrize(
    ("change", "column", "part"),
    [
        (
            {"answers": [("Rome", 99)]},
            "answers",
            "at 99 beyond its context of 7",
        ),
        ({"answers": [("Rome", -1)]}, "answers", "beyond its context"),
        ({"context": " "}, "context", "empty text"),
        ({"answers": [(3, 3)]}, "answers", "without text and answer_start"),
    ],
)
def test_rows_that_cannot_be_used(change, column, part):
    table = Table.from_rows([row(), row(**change)], "dev")
    found = QuestionAnswering().bad_rows(table)
    assert {bad.row for bad in found} == {1}
    assert any(bad.column == column and part in bad.reason for bad in found)


def test_answers_in_the_form_of_hugging_face():
    found = {"text": ["Rome"], "answer_start": [3]}
    table = Table.from_rows([{**row(), "answers": found}], "dev")
    assert QuestionAnswering().gold(table, ()) == [["Rome"]]
    assert QuestionAnswering().bad_rows(table) == []


def test_a_long_question_is_cut_and_counted(letters):
    task = QuestionAnswering(**SMALL)
    table = table_of(("a b c d e f g h i j", "in"), ("a b", "in"))
    encoded = task.encode(table, letters, None)
    assert encoded.cut == 1
    first = [letters.library.id_to_token(i) for i in
             encoded.examples.sequences["token_ids"][0]]  # fmt: skip
    assert first == ["[CLS]", *"abcdefgh", "[SEP]", "i", "##n", "[SEP]"]


def test_questions_about_one_context_stay_together(make_questions):
    from tfft.fitting.prepare import prepare

    answers = [{"text": "abba", "answer_start": 3}]
    rows = [
        {**one, "context": f"is abba {i % 9}", "answers": answers}
        for i, one in enumerate(make_questions(90))
    ]
    prepared = prepare(
        QuestionAnswering(), rows, validation=0.2, test=0.2, on_bad_rows="error", seed=0
    )
    contexts = [set(t.columns["context"]) for t in prepared.tables.values()]
    assert len(contexts) == 3
    assert sum(map(len, contexts)) == 9


def test_the_exported_model_answers_as_the_run(run, make_questions, tmp_path):
    import tensorflow as tf

    from tfft.serving.verification import difference

    folder = run.export(tmp_path / "served")
    asked = [(row["question"], row["context"]) for row in make_questions(30, seed=5)]
    asked += [("bad? " * 40, "good " * 60), ("", ""), ("bad?", "Crème 漢 good")]
    questions, contexts = map(list, zip(*asked, strict=True))
    served = tf.saved_model.load(str(folder)).signatures["serving_default"]
    found = served(question=tf.constant(questions), context=tf.constant(contexts))
    arrays = {name: value.numpy() for name, value in found.items()}
    answers = run.task.served(()).read(arrays)
    assert difference(answers, run.predict(asked)) <= 1e-5
    assert "good" in {one["answer"] for one in answers}


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"text": "context"}, "question and context"),
        ({"stride": 300}, "stride=300"),
        ({"max_question": 0}, "max_question=0"),
        ({"max_answer": 0}, "max_answer=0"),
        ({"n_best": 0}, "n_best=0"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, part):
    with pytest.raises(ConfigError, match=part):
        QuestionAnswering(**options)


def test_max_answer_and_n_best_bound_the_answers(letters):
    table = table_of(("good?", " ".join("abcdefghij" * 3)))
    found = {}
    for option in ({"max_answer": 2}, {"max_answer": 20}, {"n_best": 2}):
        task = QuestionAnswering(**SMALL, **option)
        [found[str(option)]] = random_answers(task, table, letters)
    longest = [max(len(c.text) for c in one.candidates) for one in found.values()]
    assert longest[0] <= 3 < longest[1]
    assert len(found["{'n_best': 2}"].candidates) == 2


def test_inputs_of_another_form_are_refused(run):
    with pytest.raises(DataError, match="a pair of question and context"):
        run.predict(["just a text"])
    [one] = run.predict([{"question": "good?", "context": "is abba"}])
    assert one["answer"] in "is abba"
