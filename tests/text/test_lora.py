# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from scripts.networks.hosts import Prototype
from scripts.networks.semantic_guidance import SemanticGuidance
from scripts.text import (
    AdaptedTextEncoder,
    EmbeddingTable,
    OpenClipEncoder,
    PrecomputedEncoder,
    TokenIds,
    adapted_text_encoder,
    save_embeddings,
    table_encoder,
)
from scripts.text.lora import CallingAttention, adapt_tower

Tiny = tuple[str, str, nn.Module]
SENTENCES = {"liver": "A dark wedge.", "spleen": "A bright crescent under the ribs."}


@pytest.fixture
def encoder(tiny: Tiny) -> OpenClipEncoder:
    return OpenClipEncoder(*tiny[:2])


@pytest.fixture
def adapted(encoder: OpenClipEncoder) -> AdaptedTextEncoder:
    torch.manual_seed(0)
    return AdaptedTextEncoder(encoder).eval()


def adapters(module: nn.Module) -> dict[str, nn.Parameter]:
    return {name: value for name, value in module.named_parameters() if ".lora_" in name}


@torch.no_grad()
def change(module: nn.Module) -> None:
    for value in adapters(module).values():
        value.add_(0.2 * torch.randn_like(value))


@pytest.mark.parametrize("masked", [False, True])
def test_attention_equals_the_fused_one(masked: bool) -> None:
    torch.manual_seed(0)
    fused = nn.MultiheadAttention(12, 3, batch_first=True).eval()
    tokens = torch.randn(2, 5, 12)
    mask = torch.full((5, 5), float("-inf")).triu(1) if masked else None
    expected = fused(tokens, tokens, tokens, attn_mask=mask)[0]
    torch.testing.assert_close(CallingAttention(fused)(tokens, tokens, tokens, attn_mask=mask)[0], expected)
    masks = torch.randn(6, 5, 5)
    expected = fused(tokens, tokens, tokens, attn_mask=masks)[0]
    torch.testing.assert_close(CallingAttention(fused)(tokens, tokens, tokens, attn_mask=masks)[0], expected)


def test_fresh_adapters_change_nothing_and_changed_ones_do(
    encoder: OpenClipEncoder, adapted: AdaptedTextEncoder
) -> None:
    sentences = list(SENTENCES.values())
    base = encoder.encode(sentences)
    torch.testing.assert_close(adapted.encode(sentences), base)
    before = adapted.fingerprint
    change(adapted)
    assert (adapted.encode(sentences) - base).abs().max() > 0.05 * base.abs().max()
    assert adapted.fingerprint != before
    torch.testing.assert_close(encoder.encode(sentences), base)  # the frozen encoder is another one


def test_gradient_reaches_the_adapters_alone(adapted: AdaptedTextEncoder) -> None:
    change(adapted)
    adapted(adapted.tokenizer(["A dark wedge."]).unsqueeze(0)).square().sum().backward()
    assert len(adapters(adapted)) == 4
    for name, value in adapted.named_parameters():
        assert (value.grad is not None and value.grad.abs().max() > 0) == (".lora_" in name), name


def test_dropout_acts_in_training_only(adapted: AdaptedTextEncoder) -> None:
    change(adapted)
    ids = adapted.tokenizer(["A dark wedge."]).unsqueeze(0)
    assert torch.equal(adapted(ids), adapted(ids))
    adapted.train()
    assert not torch.equal(adapted(ids), adapted(ids))


def test_merged_equals_unmerged(tiny: Tiny, adapted: AdaptedTextEncoder, tmp_path: Path) -> None:
    import open_clip
    from safetensors.torch import load_file

    change(adapted)
    sentences = list(SENTENCES.values())
    adapted.save_merged(tmp_path / "merged.safetensors")
    merged = open_clip.create_model(tiny[0], force_custom_text=True).text.eval()
    merged.load_state_dict(load_file(tmp_path / "merged.safetensors"))
    with torch.no_grad():
        torch.testing.assert_close(merged(adapted.tokenizer(sentences)), adapted.encode(sentences))
    save_embeddings(tmp_path / "e.safetensors", sentences, adapted)
    precomputed = PrecomputedEncoder(tmp_path / "e.safetensors")
    torch.testing.assert_close(precomputed.encode(sentences), adapted.encode(sentences))


def test_the_state_is_the_adapters(encoder: OpenClipEncoder, adapted: AdaptedTextEncoder) -> None:
    change(adapted)
    both = nn.ModuleDict({"text": adapted, "head": nn.Linear(2, 2)})
    state = both.state_dict()
    assert {name for name in state if name.startswith("text.")} == {f"text.{name}" for name in adapters(adapted)}
    other = nn.ModuleDict({"text": AdaptedTextEncoder(encoder).eval(), "head": nn.Linear(2, 2)})
    other.load_state_dict(state)
    torch.testing.assert_close(other["text"].encode(["A wedge."]), adapted.encode(["A wedge."]))
    del state[next(name for name in state if ".lora_B." in name)]
    with pytest.raises(RuntimeError, match=r"Missing key.*lora_B"):
        other.load_state_dict(state)


def test_parameter_count_of_the_paper() -> None:
    from open_clip.transformer import TextTransformer

    with torch.device("meta"):
        tower = adapt_tower(TextTransformer(width=512, heads=8, layers=12))
    assert sum(value.numel() for value in adapters(tower).values()) == 98_304


def test_ids_of_a_batch_are_encoded_once_each(adapted: AdaptedTextEncoder) -> None:
    table = EmbeddingTable({"liver": ["A dark wedge.", "Dark."], "spleen": "A crescent."}, token_ids(adapted), "Rest.")
    ids = torch.stack([table["spleen"], table["liver"], table["spleen"]])
    seen: list[int] = []
    adapted.tower.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape[0]))
    with torch.no_grad():
        embeddings = adapted(ids)
    assert seen == [4]  # three sentences and the padding
    assert embeddings.shape == (3, 2, 16)
    assert embeddings[0, 1].abs().max() == 0
    torch.testing.assert_close(embeddings[1], adapted.encode(["A dark wedge.", "Dark."]))
    assert torch.equal(embeddings[0], embeddings[2])


def token_ids(adapted: AdaptedTextEncoder) -> TokenIds:
    stand_in: Any = type("Encoder", (), {"name": "tiny", "model": "tiny", "context_length": 77})()
    stand_in.tokenizer, stand_in.count_tokens = adapted.tokenizer, lambda sentence: 5
    return TokenIds(stand_in)


@pytest.mark.parametrize("use_lora", [False, True])
def test_overfitting_changes_only_what_learns(encoder: OpenClipEncoder, use_lora: bool) -> None:
    torch.manual_seed(0)
    table = EmbeddingTable(SENTENCES, table_encoder(encoder, use_lora), "Everything else.")
    text_encoder = adapted_text_encoder(encoder, use_lora, rank=2)
    guidance = SemanticGuidance(
        {"c4": 8}, text_dim=encoder.dim, background_embedding=table.background, num_tokens=table.num_tokens,
        alpha=0.9, text_encoder=text_encoder,
    )  # fmt: skip
    if use_lora:  # the adapters alone
        guidance.units.requires_grad_(False)
    host = Prototype({"c4": 8}, levels=("c4",), guidance=lambda channels: guidance)
    tower = text_encoder.tower if use_lora else encoder._tower
    before = {name: value.clone() for name, value in tower.named_parameters()}
    units = {name: value.clone() for name, value in guidance.units.named_parameters()}
    support = {"c4": torch.randn(2, 1, 8, 6, 6)}
    query, mask = {"c4": torch.randn(2, 8, 6, 6)}, (torch.rand(2, 1, 1, 6, 6) > 0.5).float()
    target = (torch.rand(2, 6, 6) > 0.5).long()
    text = torch.stack([table["liver"], table["spleen"]])
    optimizer = torch.optim.Adam([value for value in host.parameters() if value.requires_grad], lr=0.02)
    losses = []
    for _ in range(12):
        logits = host.decode(query, host.encode(support, mask, text))
        loss = nn.functional.cross_entropy(logits, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    changed = {name for name, value in tower.named_parameters() if not torch.equal(value, before[name])}
    assert changed == (set(adapters(tower)) if use_lora else set())
    moved = any(not torch.equal(value, units[name]) for name, value in guidance.units.named_parameters())
    assert moved == (not use_lora)


def test_another_kind_of_tower_is_refused() -> None:
    with pytest.raises(ValueError, match="adapters need the attention of open_clip's own text tower, Linear has none"):
        adapt_tower(nn.Linear(2, 2))
