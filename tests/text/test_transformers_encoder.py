# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A small BERT made on the spot: by itself, and as the text tower of a CLIP that is read from a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from scripts.text import EmbeddingTable, OpenClipEncoder, TransformersEncoder

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "dark", "bright", "wedge", "crescent"]
SENTENCES = ["a dark wedge", "bright", "a bright crescent"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder with tokenizer, configuration and weights."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = str(tmp_path_factory.mktemp("bert") / "tiny-bert")
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=12, **special).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=12,
    )  # fmt: skip
    torch.manual_seed(0)
    BertModel(config).save_pretrained(folder)
    return folder


def hidden_states(folder: str, sentence: str) -> torch.Tensor:
    """Token states (T, D) of one sentence by itself, so that nothing is padded."""
    from transformers import BertModel

    ids = [2, *(WORDS.index(word) for word in sentence.split()), 3]
    with torch.no_grad():
        return BertModel.from_pretrained(folder).eval()(input_ids=torch.tensor([ids])).last_hidden_state[0]


@pytest.mark.parametrize("pooling", ["mean", "class", "tokens"])
def test_pooling(bert: str, pooling: str) -> None:
    encoder = TransformersEncoder(bert, pooling)
    assert encoder.dim == 16
    found = encoder.encode(SENTENCES)
    for row, sentence in zip(found, SENTENCES, strict=True):
        states = hidden_states(bert, sentence)
        if pooling == "tokens":
            assert row[len(states) :].abs().sum() == 0
            torch.testing.assert_close(row[: len(states)], states, rtol=1e-4, atol=1e-5)
        else:
            expected = states.mean(0) if pooling == "mean" else states[0]
            torch.testing.assert_close(row, expected, rtol=1e-4, atol=1e-5)


def test_normalized(bert: str) -> None:
    found = TransformersEncoder(bert, normalize=True).encode(SENTENCES)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(3))


def test_token_states_as_several_tokens_of_a_class(bert: str, tmp_path: Path) -> None:
    encoder = TransformersEncoder(bert, "tokens")
    table = EmbeddingTable({"liver": SENTENCES[0], "spleen": SENTENCES[1]}, encoder, "dark", tmp_path / "t.safetensors")
    assert table.num_tokens == 5
    assert table["spleen"].shape == (5, 16)
    assert table["spleen"][3:].abs().sum() == 0
    assert table.background.shape == (3, 16)


def test_name_and_fingerprint_tell_encoders_apart(bert: str) -> None:
    first, second = TransformersEncoder(bert), TransformersEncoder(bert, "class")
    assert first.name == "transformers tiny-bert mean"
    assert first.name != second.name
    assert len(first.fingerprint) == 64


def test_errors(bert: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pooling must be one of mean, class, tokens, got 'max'"):
        TransformersEncoder(bert, "max")
    with pytest.raises(ValueError, match="has 13 tokens, the text encoder transformers tiny-bert mean takes 12"):
        TransformersEncoder(bert).encode([" ".join(["dark"] * 11)])
    with pytest.raises(FileNotFoundError, match=r"text encoder .* can't be loaded; give a model's folder"):
        TransformersEncoder(tmp_path).encode(["dark"])


@pytest.fixture
def biomedical(bert: str, tmp_path: Path, architecture: dict[str, Any]) -> str:
    """A CLIP with a BERT as text tower in a folder, as BiomedCLIP comes from the hub."""
    import open_clip
    from transformers import AutoTokenizer

    architecture["text_cfg"] = {
        "hf_model_name": bert, "hf_tokenizer_name": bert, "hf_proj_type": "mlp",
        "hf_pooler_type": "cls_last_hidden_state_pooler", "context_length": 12,
    }  # fmt: skip
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": architecture, "preprocess_cfg": {}}))
    AutoTokenizer.from_pretrained(bert).save_pretrained(tmp_path)
    network = open_clip.create_model(f"local-dir:{tmp_path}", load_weights=False)
    save_file(
        {key: value.clone() for key, value in network.state_dict().items()}, tmp_path / "open_clip_model.safetensors"
    )
    return f"local-dir:{tmp_path}"


def test_clip_with_a_bert_from_a_folder(biomedical: str) -> None:
    import open_clip

    encoder = OpenClipEncoder(biomedical, weights=None)
    assert (encoder.dim, encoder.context_length, encoder.count_tokens("a dark wedge")) == (16, 12, 5)
    assert len(encoder.fingerprint) == 64
    found = encoder.encode(SENTENCES)
    network = open_clip.create_model(biomedical).eval()
    with torch.no_grad():
        torch.testing.assert_close(found, network.encode_text(open_clip.get_tokenizer(biomedical)(SENTENCES)))
    with pytest.raises(ValueError, match="has 13 tokens"):
        encoder.encode([" ".join(["dark"] * 11)])


def test_width_is_known_without_a_download() -> None:
    assert OpenClipEncoder("hf-hub:nobody/nothing", weights=None, embed_dim=512).dim == 512
    assert OpenClipEncoder("hf-hub:nobody/nothing").fingerprint == "hf-hub:nobody/nothing"
    with pytest.raises(ValueError, match="ViT-B-32 needs weights"):
        OpenClipEncoder("ViT-B-32", weights=None)


def test_nothing_in_the_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"text encoder local-dir:.* can't be loaded; without a network give"):
        OpenClipEncoder(f"local-dir:{tmp_path}", weights=None, embed_dim=8).encode(["dark"])
