"""KerasHub's own models: objects, and the folders that save_to_preset writes."""

from __future__ import annotations

import keras_hub
import numpy as np
import pytest

from tests.fixtures.bert import LAYERS, VOCABULARY, random_batch
from tfft.core.errors import ConfigError, MissingInputError
from tfft.core.files import sha256
from tfft.models.pretrained import load_pretrained
from tfft.models.tokenizer_files import word_piece


def pooled(backbone):
    return backbone(random_batch(), training=False)["pooled_output"].numpy()


def hub_tokenizer():
    return keras_hub.tokenizers.BertTokenizer(
        vocabulary=list(VOCABULARY), lowercase=True
    )


def test_a_backbone_with_a_tokenizer_of_keras_hub(backbone):
    loaded = load_pretrained(backbone, hub_tokenizer())
    assert loaded.backbone is backbone
    assert loaded.source is None
    [encoding] = loaded.tokenizer.encode(["Good ab!"], None, 16)
    expected = ["[CLS]", "good", "a", "##b", "!", "[SEP]"]
    assert encoding.token_ids == [VOCABULARY.index(token) for token in expected]


def test_a_backbone_with_the_tokenizer_of_a_folder(backbone, bert_folder):
    loaded = load_pretrained(backbone, bert_folder)
    assert loaded.tokenizer.vocabulary_size == len(VOCABULARY)


def test_a_backbone_without_a_tokenizer_is_refused(backbone):
    with pytest.raises(ConfigError, match="BertBackbone without a tokenizer") as caught:
        load_pretrained(backbone)
    assert caught.value.fix.startswith("give tokenizer=")


@pytest.mark.parametrize("model", [None, 3, object()])
def test_anything_else_is_refused_with_its_type(model):
    with pytest.raises(ConfigError, match=f"of type {type(model).__name__}"):
        load_pretrained(model, word_piece(VOCABULARY))


def test_a_preset_folder_gives_the_same_outputs(tmp_path, backbone):
    backbone.save_to_preset(tmp_path / "preset")
    hub_tokenizer().save_to_preset(tmp_path / "preset")
    loaded = load_pretrained(tmp_path / "preset")
    assert loaded.backbone.num_layers == LAYERS
    # 1e-6: GELU is computed in another order than Keras does.
    np.testing.assert_allclose(pooled(loaded.backbone), pooled(backbone), atol=1e-6)
    assert loaded.fingerprint == sha256(tmp_path / "preset" / "model.weights.h5")
    expected = word_piece(VOCABULARY).encode(["Good!", "a b"], ["bad", ""], 16)
    assert loaded.tokenizer.encode(["Good!", "a b"], ["bad", ""], 16) == expected


def test_a_preset_folder_without_weights_is_refused(tmp_path, backbone):
    backbone.save_to_preset(tmp_path / "preset")
    (tmp_path / "preset" / "model.weights.h5").unlink()
    with pytest.raises(MissingInputError, match=r"without model\.weights\.h5"):
        load_pretrained(tmp_path / "preset")


def test_presets_of_other_families(tmp_path):
    sizes = {
        "num_layers": 1,
        "num_heads": 2,
        "hidden_dim": 8,
        "intermediate_dim": 8,
        "max_sequence_length": 9,
    }
    hub = keras_hub.tokenizers.DistilBertTokenizer(
        vocabulary=list(VOCABULARY), lowercase=True
    )
    backbone = keras_hub.models.DistilBertBackbone(
        vocabulary_size=len(VOCABULARY), **sizes
    )
    backbone.save_to_preset(tmp_path / "distilbert")
    hub.save_to_preset(tmp_path / "distilbert")
    loaded = load_pretrained(tmp_path / "distilbert")
    assert (loaded.max_length, loaded.pooling) == (9, "first")
    batch = {k: v for k, v in random_batch().items() if k != "segment_ids"}
    # 1e-6: float32 sums in another order.
    np.testing.assert_allclose(loaded.backbone(batch), backbone(batch), 0, 1e-6)
    texts = ["Good!", "a b"]
    expected = word_piece(VOCABULARY).encode(texts, None, 9)
    assert loaded.tokenizer.encode(texts, None, 9) == expected


def test_a_tokenizer_of_another_family_is_refused(backbone):
    tokenizer = keras_hub.tokenizers.ByteTokenizer()
    with pytest.raises(ConfigError, match="tokenizer of type ByteTokenizer") as caught:
        load_pretrained(backbone, tokenizer)
    assert caught.value.expected.startswith("one of: BertTokenizer, DistilBertTok")
