# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Low-rank adapters (Hu et al. 2022) on CLIP's text tower that take part in its output and learn.

The fused attention of open_clip reads ``out_proj.weight`` and never calls the layer, so adapters that wrap it, as in
the code released with CD-TG, have no effect. Here the attention is replaced by one with the same weights that calls its
output layer, which peft then adapts: W_o x becomes (W_o + alpha / r B A) x.

To be trained, sentences have to be encoded inside the network: the table then hands out token ids, and the guidance
holds the `AdaptedTextEncoder`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..files.atomic import write_tensors
from .encoders import TextEncoder, refuse_long_sentences
from .open_clip_encoder import OpenClipEncoder

__all__ = ["AdaptedTextEncoder", "CallingAttention", "TokenIds", "adapt_tower", "adapted_text_encoder", "table_encoder"]


class CallingAttention(nn.Module):
    """Self-attention with the weights and names of an ``nn.MultiheadAttention``, whose output layer is called.

    Args:
        attention: batch first, without biases of keys and values; its parameters are shared, not copied.
    """

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.num_heads = attention.num_heads
        self.in_proj_weight = attention.in_proj_weight
        self.in_proj_bias = attention.in_proj_bias
        self.out_proj = nn.Linear(attention.embed_dim, attention.embed_dim, device="meta")
        self.out_proj.weight, self.out_proj.bias = attention.out_proj.weight, attention.out_proj.bias

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, need_weights: bool = False, attn_mask: Tensor | None = None
    ) -> tuple[Tensor, None]:
        """Attend (N, L, C) to itself; ``key`` and ``value`` are the query. Returns (N, L, C) and no weights."""
        parts = F.linear(query, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=2)
        heads = tuple(torch.unflatten(part, 2, (self.num_heads, -1)).transpose(1, 2) for part in parts)
        if attn_mask is not None and attn_mask.ndim == 3:  # (N * heads, L, L), as open_clip makes padding masks
            attn_mask = torch.unflatten(attn_mask, 0, (-1, self.num_heads))
        attended = F.scaled_dot_product_attention(heads[0], heads[1], heads[2], attn_mask=attn_mask)
        return self.out_proj(attended.transpose(1, 2).flatten(2)), None


def adapt_tower(tower: nn.Module, rank: int = 8, alpha: int = 32, dropout: float = 0.1) -> nn.Module:
    """Freeze a text tower and adapt the output layer of each of its attentions, in place.

    Args:
        tower: open_clip's ``TextTransformer``.
        rank: r.
        alpha: the adapters count alpha / r.
        dropout: before the adapters, in training.

    Raises:
        ValueError: when the tower has no such attention.
    """
    from peft import LoraConfig, inject_adapter_in_model  # seconds to import, and seldom needed

    tower.requires_grad_(False)
    found = {name: module for name, module in tower.named_modules() if isinstance(module, nn.MultiheadAttention)}
    if not found:
        raise ValueError(f"adapters need the attention of open_clip's own text tower, {type(tower).__name__} has none")
    for name, attention in found.items():
        parent, _, child = name.rpartition(".")
        setattr(tower.get_submodule(parent), child, CallingAttention(attention))
    targets = [f"{name}.out_proj" for name in found]
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, bias="none", target_modules=targets)
    return inject_adapter_in_model(config, tower)


class AdaptedTextEncoder(nn.Module):
    """Token ids -> embeddings, with gradient for the adapters only.

    Its state is the adapters': the frozen weights are neither saved with a network nor expected back.

    Args:
        encoder: gives tower and tokenizer; it stays as it is, since its tower is loaded anew.
        rank: of the adapters.
        alpha: of the adapters, which count alpha / rank.
        dropout: before the adapters, in training.
    """

    def __init__(self, encoder: OpenClipEncoder, rank: int = 8, alpha: int = 32, dropout: float = 0.1) -> None:
        super().__init__()
        self.name = f"{encoder.name} with adapters"
        self.dim = encoder.dim
        self.base_fingerprint = encoder.fingerprint
        self.normalize = encoder.normalize
        self.tokenizer, tower = encoder.load_tower()
        self.tower = adapt_tower(tower, rank, alpha, dropout)
        self.register_state_dict_post_hook(_keep_adapters)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_post_hook(_expect_adapters)  # type: ignore[no-untyped-call]

    @property
    def context_length(self) -> int:
        """Token ids per sentence."""
        return int(self.tokenizer.context_length)

    @property
    def fingerprint(self) -> str:
        """Hash of the frozen weights' own and of the adapters as they are."""
        digest = hashlib.sha256(self.base_fingerprint.encode())
        for name, adapter in sorted(self.state_dict().items()):
            digest.update(name.encode() + adapter.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def forward(self, ids: Tensor) -> Tensor:
        """Encode sentences; each different one is encoded once.

        Args:
            ids: (B, T, L) token ids, of any dtype; a sentence of zeros is padding.

        Returns:
            (B, T, D), zeros for padding.
        """
        rows, place = torch.unique(ids.flatten(0, 1).long(), dim=0, return_inverse=True)
        embeddings: Tensor = self.tower(rows).float()
        if self.normalize:
            embeddings = F.normalize(embeddings, dim=1)
        embeddings = embeddings * rows.any(dim=1, keepdim=True)
        return torch.unflatten(embeddings[place], 0, ids.shape[:2])

    @torch.no_grad()
    def encode(self, sentences: Sequence[str]) -> Tensor:
        """Embed N sentences with the adapters as they are: (N, D)."""
        embeddings: Tensor = self(self.tokenizer(list(sentences)).unsqueeze(0))[0]
        return embeddings

    @torch.no_grad()
    def merged_state(self) -> dict[str, Tensor]:
        """The tower's state with the adapters added to its weights, under open_clip's own names."""
        state: dict[str, Tensor] = {}
        for name, module in self.tower.named_modules():
            if hasattr(module, "get_delta_weight"):
                merged = module.base_layer.weight + module.get_delta_weight("default")
                state[f"{name}.weight"], state[f"{name}.bias"] = merged, module.base_layer.bias
        rest = {name: value for name, value in self.tower.state_dict().items() if ".out_proj." not in name}
        return {name: value.detach().clone().contiguous() for name, value in {**rest, **state}.items()}

    def save_merged(self, path: str | Path) -> None:
        """Write `merged_state` as safetensors."""
        write_tensors(Path(path).expanduser(), self.merged_state())


class TokenIds:
    """Stands for an encoder in an embedding table, which then holds a sentence's token ids in place of its embedding.

    Args:
        encoder: whose tokenizer is taken.
    """

    def __init__(self, encoder: OpenClipEncoder) -> None:
        self.name = f"token ids of {encoder.name}"
        self.fingerprint = encoder.model
        self.encoder = encoder

    @property
    def dim(self) -> int:
        """Token ids per sentence."""
        return self.encoder.context_length

    def encode(self, sentences: Sequence[str]) -> Tensor:
        """(N, L) token ids as numbers of float32, which holds them exactly."""
        refuse_long_sentences(self.encoder, sentences)
        ids: Tensor = self.encoder.tokenizer(list(sentences))
        return ids.float()


def adapted_text_encoder(
    encoder: OpenClipEncoder, use_lora: bool, rank: int = 8, alpha: int = 32, dropout: float = 0.1
) -> AdaptedTextEncoder | None:
    """What the guidance gets as ``text_encoder``: an `AdaptedTextEncoder`, or None without LoRA."""
    return AdaptedTextEncoder(encoder, rank, alpha, dropout) if use_lora else None


def table_encoder(encoder: OpenClipEncoder, use_lora: bool) -> TextEncoder:
    """What the embedding table gets: token ids for an adapted encoder, or the encoder itself without LoRA."""
    return TokenIds(encoder) if use_lora else encoder


def _keep_adapters(module: nn.Module, state: dict[str, Tensor], prefix: str, _: Any) -> None:
    for name in [name for name in state if name.startswith(prefix) and ".lora_" not in name]:
        del state[name]


def _expect_adapters(module: nn.Module, incompatible: Any) -> None:
    # A parent's load names keys in full; ours are the ones that end like a tower's.
    tower = module.get_submodule("tower")
    own = tuple(f"tower.{name}" for name, _ in [*tower.named_parameters(), *tower.named_buffers()])
    frozen = tuple(name for name in own if ".lora_" not in name)
    kept = [name for name in incompatible.missing_keys if not name.endswith(frozen)]
    incompatible.missing_keys[:] = kept
