"""An answer begins and ends with what can be seen, whatever its tokens hold."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from tokenizers import Tokenizer as Library
from tokenizers import models, pre_tokenizers, processors, trainers

from tfft.serving.text_to_ids import TextToIds
from tfft.tasks.answers.answering import answer_of
from tfft.tasks.answers.gold_answers import GoldAnswer, answer_tokens
from tfft.tasks.question_answering import QuestionAnswering
from tfft.tasks.token_classification import TokenClassification
from tfft.text.tokenizer import Tokenizer

WORDS = ["Paris", "Rome", "the", "Oslo", "in", "Jim"]
BLANKS = [" ", "  ", "\t", "\n", " \n\t", "\u00a0", "\u3000", " \x1f", "\u2028", "\x85"]
CONTEXTS = [
    *(f"{blank}the{blank}Paris{blank}in{blank}" for blank in BLANKS),
    *(" ", "\n\t", "Paris", " Paris", "Paris "),
    *("中 文\u3000\U0001f642 Oslo  ", "\u200b x"),
    "  Oslo\tin \n Rome " * 20,
]
SMALL = {"max_length": 32, "stride": 6, "max_question": 6, "n_best": 40}


def byte_level(prefix, trim):
    library = Library(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    library.train_from_iterator([f"{a} {b}" for a in WORDS for b in WORDS], trainer)
    library.post_processor = processors.ByteLevel(trim_offsets=trim)
    return Tokenizer(library)


def metaspace(scheme):
    pieces = ["<unk>", "▁", *sorted({letter for word in WORDS for letter in word})]
    pieces += [*WORDS, *(f"▁{word}" for word in WORDS)]
    scores = [(piece, -float(20 - len(piece))) for piece in pieces]
    library = Library(models.Unigram(scores, unk_id=0))
    library.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=True)
    return Tokenizer(library)


KINDS = {
    "gpt2": lambda letters: byte_level(False, False),
    "prefix": lambda letters: byte_level(True, False),
    "roberta": lambda letters: byte_level(True, True),
    "metaspace first": lambda letters: metaspace("first"),
    "metaspace always": lambda letters: metaspace("always"),
    "word piece": lambda letters: letters,
}


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request, letters):
    return KINDS[request.param](letters)


# A Metaspace tokenizer has no form inside a graph.
@pytest.fixture(scope="module", params=["gpt2", "prefix", "roberta", "word piece"])
def in_graph(request, letters):
    return KINDS[request.param](letters)


class Network:
    """Logits by a token's id and its place in the window."""

    input = dict.fromkeys(["token_ids"])
    table = np.random.default_rng(0).normal(0, 3, (997, 2)).astype("float32")

    def __call__(self, batch, training=None):
        ids = tf.cast(batch["token_ids"], tf.int32)
        return tf.gather(self.table, (ids * 31 + tf.range(tf.shape(ids)[1])) % 997)


def answered(task, tokenizer, contexts):
    table = task.rows([("Rome?", context) for context in contexts])
    encoded = task.encode(table, tokenizer, None)
    batches = [window for _, windows in encoded.places for window in windows]
    outputs = [
        Network()({"token_ids": np.array([one.token_ids])})[0].numpy()
        for one in batches
    ]
    return task.decode(outputs, encoded, table, ()), batches


@pytest.mark.parametrize("no_answer", [False, True])
def test_no_answer_begins_or_ends_with_white_space(tokenizer, no_answer):
    task = QuestionAnswering(**SMALL, no_answer=no_answer)
    found, _ = answered(task, tokenizer, CONTEXTS)
    for context, one in zip(CONTEXTS, found, strict=True):
        assert bool(one.candidates) == bool(context.strip())
        places = [(part.start, part.end) for part in one.candidates]
        assert len(set(places)) == len(places)
        for part in one.candidates:
            assert part.text == context[part.start : part.end] == part.text.strip()
        if not one.candidates:
            assert one.text == ""


def test_the_first_token_of_a_word_gives_the_place_of_the_word(tokenizer):
    context = "the Paris in"
    task = QuestionAnswering(**SMALL, no_answer=False)
    table = task.rows([("Rome?", context)])
    encoded = task.encode(table, tokenizer, None)
    [(_, [window])] = encoded.places
    first, last = answer_tokens(GoldAnswer("Paris", 4), window.offsets, window.text_ids)
    logits = np.zeros((len(window.token_ids), 2), "float32")
    logits[first, 0] = logits[last, 1] = 9
    [one] = task.decode([logits], encoded, table, ())
    answer = answer_of(one)
    assert (answer["answer"], answer["start"], answer["end"]) == ("Paris", 4, 9)


@pytest.mark.parametrize(
    "context", ["the Paris in", "Paris in", " Paris in", "a\nParis\tin "]
)
def test_white_space_of_a_gold_answer_teaches_no_other_tokens(tokenizer, context):
    [[window]] = tokenizer.windows(["Rome?"], [context], 32, 6)
    start = context.index("Paris")
    ends = [
        answer_tokens(GoldAnswer(context[a:b], a), window.offsets, window.text_ids)
        for a in (start, max(0, start - 1))
        for b in (start + 5, start + 6)
    ]
    assert ends[0] is not None
    assert ends == [ends[0]] * 4


@pytest.mark.parametrize("threshold", [None, -2.0, 0.0])
def test_the_graph_answers_as_the_run(in_graph, threshold):
    task = QuestionAnswering(
        **SMALL, no_answer=threshold is not None, no_answer_threshold=threshold
    )
    graph = TextToIds(in_graph, task.max_length)
    served = task.served(()).endpoints(Network(), graph)["serving_default"]
    contexts = tf.constant(CONTEXTS)
    questions = tf.constant(["Rome?"] * len(CONTEXTS))
    outputs = tf.function(served.answer)(questions, contexts)
    found = task.served(()).read({k: v.numpy() for k, v in outputs.items()})
    expected = task.answers(answered(task, in_graph, CONTEXTS)[0], None, ())
    for one, right in zip(found, expected, strict=True):
        scores = [part.pop("score") for part in one["candidates"]]
        assert scores == pytest.approx(
            [part.pop("score") for part in right["candidates"]], abs=1e-5
        )
        assert one.pop("score") == pytest.approx(right.pop("score"), abs=1e-5)
        assert one == right


def test_spans_begin_with_what_can_be_seen(tokenizer):
    context = "the Paris\tin\n Oslo  Jim"
    task = TokenClassification(max_length=32, stride=4)
    table = task.rows([context])
    labels = ("B-LOC", "I-LOC", "O")
    encoded = task.encode(table, tokenizer, None)
    outputs = [
        np.tile(np.float32([9, 0, 0]), (length, 1))
        for length in encoded.examples.lengths
    ]
    [spans] = task.answers(task.decode(outputs, encoded, table, labels), table, labels)
    spans = spans["spans"] if isinstance(spans, dict) else spans
    assert [context[s["start"] : s["end"]] for s in spans] == context.split()
