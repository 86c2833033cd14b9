"""Where texts end, as `generation_config.json` says and transformers 5.24 reads it.

Of transformers' own loading: with the file, its `eos_token_id` counts alone, also when
it has none; without, that of `config.json`.
"""

from __future__ import annotations

import json
import shutil

import pytest
import tokenizers

import tfft
from tests.goldens import golden
from tfft.core.errors import DataError
from tfft.generation.generate import Generator
from tfft.generation.sampling import Sampling
from tfft.models.generation_config import (
    GenerationConfig,
    read_generation_config,
    write_generation_config,
)
from tfft.models.pretrained import load_backbone, load_pretrained
from tfft.tasks.task import TASKS
from tfft.text.tokenizer import Tokenizer


def words(**roles):
    ids = {f"w{index}": index for index in range(99)}
    library = tokenizers.Tokenizer(tokenizers.models.WordLevel(ids, unk_token="w0"))
    library.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    return Tokenizer(library, roles)


@pytest.mark.parametrize(
    ("content", "ends", "strings"),
    [
        (None, (2,), ()),
        ({}, (), ()),
        ({"eos_token_id": None}, (), ()),
        ({"eos_token_id": 5}, (5,), ()),
        ({"eos_token_id": [5, 7], "stop_strings": "END"}, (5, 7), ("END",)),
    ],
)
def test_the_file_decides_alone_where_there_is_one(tmp_path, content, ends, strings):
    if content is not None:
        (tmp_path / "generation_config.json").write_text(json.dumps(content))
    found = read_generation_config(tmp_path, {"eos_token_id": 2})
    assert (found.eos_token_ids, found.stop_strings) == (ends, strings)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ({"eos_token_id": "</s>"}, r"eos_token_id is '</s>' .* a token id"),
        ({"eos_token_id": [1, True]}, "eos_token_id is"),
        ({"eos_token_id": -1}, "eos_token_id is -1"),
        ({"stop_strings": [3]}, r"stop_strings is \[3\]"),
        ([1], "holds a list"),
    ],
)
def test_what_is_no_end_is_refused_with_the_file(tmp_path, content, match):
    (tmp_path / "generation_config.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=match):
        read_generation_config(tmp_path, {})


def test_what_is_read_is_written_with_the_tokenizers_own_end(tmp_path):
    base = {
        "do_sample": True,
        "temperature": 0.6,
        "bos_token_id": 1,
        "_from_model_config": True,
        "transformers_version": "4.40.0",
    }
    config = GenerationConfig((5,), ("END",), base).ending_at([7])
    write_generation_config(tmp_path, words(eos="w2", pad="w3"), config)
    assert json.loads((tmp_path / "generation_config.json").read_text()) == {
        "do_sample": True,
        "temperature": 0.6,
        "bos_token_id": 1,
        "eos_token_id": [2, 5, 7],
        "pad_token_id": 3,
        "stop_strings": ["END"],
    }
    # One end is a number, as transformers writes it.
    write_generation_config(tmp_path, words(eos="w2"))
    one = json.loads((tmp_path / "generation_config.json").read_text())
    assert one == {"eos_token_id": 2, "pad_token_id": 2}


def test_what_is_not_followed_is_told():
    content = {"temperature": 0.6, "top_p": 1.0, "do_sample": True}
    config = GenerationConfig((5, 500), content=content).known_to(words())
    assert config.eos_token_ids == (5,)
    assert config.notes == (
        "generation_config.json ends texts at token ids 500, which the tokenizer lacks",
        "generation_config.json sets do_sample True, temperature 0.6, which tfft "
        "does not read: generation is greedy unless you give these options",
    )


def test_an_id_beyond_a_gap_is_an_end_like_any_other():
    library = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({"a": 0, "<end>": 70}, unk_token="a")
    )
    tokenizer = Tokenizer(library, {})
    config = GenerationConfig((70,)).known_to(tokenizer)
    assert (config.eos_token_ids, config.notes) == ((70,), ())
    generator = Generator(
        load_backbone(golden("greedy-llama")[0]).backbone,
        tokenizer,
        [[0]],
        Sampling(max_new_tokens=1, stop_tokens=config.eos_token_ids),
    )
    assert generator.ends == {70}
    with pytest.raises(DataError, match="no token 7 "):
        Generator(generator.backbone, tokenizer, [[0]], Sampling(stop_tokens=7))


def test_a_model_stops_where_its_file_says(tmp_path):
    """The ids are transformers', which generated 12 of them without an end."""
    source, inputs, outputs = golden("greedy-llama")
    folder = shutil.copytree(source, tmp_path / "model")
    words(eos="w2").save(folder)
    whole = outputs["greedy"].tolist()
    ends = [whole[0][3], whole[1][4]]
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ends}))
    prompts = [
        " ".join(f"w{index}" for index in ids[:length])
        for ids, length in zip(inputs["prompts"], inputs["lengths"], strict=True)
    ][:12]
    found = tfft.generate(str(folder), prompts, max_new_tokens=12)
    assert {one.finish for one in found} == {"stop", "length"}
    for one, ids in zip(found, whole, strict=False):
        size = min([ids.index(end) for end in ends if end in ids], default=12)
        assert list(one.token_ids) == ids[:size]
        assert one.finish == ("length" if size == 12 else "stop")


def test_only_a_task_that_generates_speaks_of_sampling(tmp_path):
    folder = shutil.copytree(golden("greedy-llama")[0], tmp_path / "model")
    (folder / "generation_config.json").write_text('{"temperature": 0.6}')
    (folder / "tokenizer.json").write_text(words().to_json())
    model = load_pretrained(folder)
    _, generating = TASKS.resolve("causal_lm", {}).suited_to(model)
    _, classifying = TASKS.resolve("text_classification", {}).suited_to(model)
    told = [any("temperature 0.6" in note for note in notes) for notes in (
        generating, classifying, model.notes,
    )]  # fmt: skip
    assert told == [True, False, False]
