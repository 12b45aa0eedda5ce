# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CRIS (Wang et al., CVPR 2022), as medvlsm fine-tunes it: logits are brought to the image's size before the loss."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..base import Features, LanguageNetwork, Normalise
from .decoder import CRISDecoder
from .encoder import CrisEncoders, WordStates
from .neck import Neck
from .projector import Projector
from .resnet import ClipResNet

__all__ = ["CLIP_MEAN", "CLIP_STD", "CRIS", "Expression"]

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_LEVELS = ("stride8", "stride16", "stride32")


class Expression(NamedTuple):
    """A sentence for the neck and the projector, its words for the decoder."""

    sentence: Tensor
    """(B, E)"""
    words: Tensor
    """(B, T, D)"""
    mask: Tensor
    """(B, T), at least one true each"""


class CRIS(LanguageNetwork):
    """CRIS for any image size.

    Args:
        backbone: encoders; None makes those of CLIP's RN50.
        fused: channels of the neck's three maps; the second is the decoder's width.
        num_layers: of the decoder.
        num_heads: of the decoder.
        hidden: of the decoder.
        dropout: of the decoder, in training.
        train_encoders: let gradients reach CLIP's encoders; the rest always learns.
        reads_token_ids: sentences come as token ids, one a row, and are encoded here. Otherwise their words come as
            states, of which the last of a row is the sentence's end (see ``NetworkSentences``); one sentence then.
    """

    align_corners = True
    resize_mode = "bicubic"

    def __init__(
        self,
        backbone: CrisEncoders | None = None,
        *,
        fused: tuple[int, int, int] = (256, 512, 1024),
        num_layers: int = 3,
        num_heads: int = 8,
        hidden: int = 2048,
        dropout: float = 0.2,
        train_encoders: bool = False,
        reads_token_ids: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = (backbone or CrisEncoders(ClipResNet())).requires_grad_(train_encoders)
        embed_dim = self.backbone.text_projection.shape[1]
        self.context_length, self.state_dim = self.backbone.positional_embedding.shape
        if self.state_dim != fused[1]:
            raise ValueError(f"the neck's second width {fused[1]} must be that of the words, {self.state_dim}")
        stem = self.backbone.visual.conv3.out_channels
        self.name = "cris"
        self.levels = _LEVELS
        self.reads_token_ids = reads_token_ids
        self.text_dim = self.context_length if reads_token_ids else self.state_dim
        self.normalise = Normalise(CLIP_MEAN, CLIP_STD)
        self.neck = Neck((stem * 8, stem * 16, embed_dim), fused)
        self.decoder = CRISDecoder(fused[1], num_layers, num_heads, hidden, dropout)
        self.proj = Projector(embed_dim, fused[1] // 2)

    def encode_image(self, image: Tensor) -> Features:
        """Compute maps at strides 8, 16 and 32 of (B, 3, H, W) RGB in [0, 1]."""
        return dict(zip(_LEVELS, self.backbone.visual(self.normalise(image)), strict=True))

    def encode_text(self, states: Tensor, mask: Tensor) -> Expression:
        """Prepare words for neck, decoder and projector.

        Args:
            states: (B, T, D) of the words, or (B, 1, L) token ids where the network reads those.
            mask: (B, T), true for words (or for the sentence of ids).
        """
        words = self.backbone.words(states[:, 0].round().long()) if self.reads_token_ids else WordStates(states, mask)
        sentence = self.backbone.sentence(words)
        # An attention without any key is not a number; the state at a sentence without words is zero.
        first = torch.arange(words.mask.shape[1], device=words.mask.device) == 0
        return Expression(sentence, words.states, words.mask | first)

    @torch.no_grad()
    def sentence_states(self, token_ids: Tensor) -> Tensor:
        """Compute the words' states (N, T, D) of token ids (N, T), zeros for padding."""
        return self.backbone.words(token_ids).states

    def text_encoder(self) -> nn.Module:
        """The part that computes ``sentence_states``."""
        backbone = self.backbone
        return nn.ModuleList([backbone.transformer, backbone.token_embedding, backbone.ln_final])

    def decode(self, features: Features, context: Expression) -> Tensor:
        """Compute (B, 1, h, w) logits at stride 4."""
        maps = [features[level] for level in _LEVELS]
        queries = self.neck(maps[0], maps[1], maps[2], context.sentence)
        result: Tensor = self.proj(self.decoder(queries, context.words, context.mask), context.sentence)
        return result

    def image_encoder(self) -> nn.Module:
        """CLIP's ResNet."""
        return nn.ModuleList([self.normalise, self.backbone.visual])
