# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""LSMS, language-guided scale-aware segmentation of the lesion that an expression refers to: a reconstruction.

No code, equations or numbers of LSMS were published where they could be read. What is built here is what its
abstracts say, in the form of its parent SLViT, with choices of our own where both are silent; docs/language.md lists
them. Results of this network are not "the LSMS numbers".
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from ...hosts.base import TrainingTerm
from ..base import AuxiliaryTerm, Features, LanguageNetwork, Normalise
from .contrastive import BatchContrast, PixelContrast
from .decoder_a import FactorisingDecoder
from .decoder_b import CrossScaleDecoder, word_uncertainty
from .mscan import SIZES, Encoder
from .word_attention import Words

__all__ = ["LSMS"]

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_WIDTHS = {"tiny": 256, "small": 256, "base": 512}
_DECODERS = ("factorising", "cross_scale")
_CONTRASTS = {"pixel": PixelContrast, "batch": BatchContrast}
_STEM = "stem"


class LSMS(LanguageNetwork):
    """Encoder that reads words at every scale, full-scale decoder, contrastive term.

    Its features are the map before the first block that reads words: with words in every block, the stem's.

    Args:
        size: ``tiny``, ``small`` or ``base``, as SegNeXt's.
        text_dim: of the words' states, whatever encoder they are of.
        in_every_block: every block reads words; otherwise the last of each stage does, with 5 times fewer weights.
        decoder: ``factorising`` (form A) or ``cross_scale`` (form B).
        learned_bases: of form A; otherwise its bases are drawn once from a seed.
        contrast: ``pixel``, ``batch`` or None: form of the contrastive term.
        contrast_weight: its factor in the loss.
        num_heads: of the attention to words.
        drop_path: of the encoder, in training.

    Raises:
        ValueError: for an unknown size or form.
    """

    align_corners = True

    def __init__(
        self,
        text_dim: int,
        size: Literal["tiny", "small", "base"] = "base",
        *,
        in_every_block: bool = True,
        decoder: Literal["factorising", "cross_scale"] = "factorising",
        learned_bases: bool = False,
        contrast: Literal["pixel", "batch"] | None = "pixel",
        contrast_weight: float = 0.1,
        num_heads: int = 1,
        drop_path: float = 0.2,
    ) -> None:
        super().__init__()
        for what, value, known in (("size", size, SIZES), ("decoder", decoder, _DECODERS)):
            if value not in known:
                raise ValueError(f"{what} is one of {', '.join(known)}, got {value!r}")
        if contrast is not None and contrast not in _CONTRASTS:
            raise ValueError(f"contrast is one of {', '.join(_CONTRASTS)} or null, got {contrast!r}")
        self.name = f"lsms {size} {decoder}" + ("" if in_every_block else ", words in the last blocks")
        self.levels = (_STEM,)
        self.text_dim = text_dim
        self.contrast_weight = contrast_weight
        self.normalise = Normalise(_MEAN, _STD)
        self.encoder = Encoder(
            SIZES[size], text_dim, in_every_block=in_every_block, num_heads=num_heads, drop_path=drop_path
        )
        channels, width = self.encoder.channels, _WIDTHS[size]
        self.decoder: FactorisingDecoder | CrossScaleDecoder
        if decoder == "factorising":
            self.decoder = FactorisingDecoder(channels, width, learned_bases=learned_bases)
        else:
            self.decoder = CrossScaleDecoder(channels, width)
        self.contrast = None if contrast is None else _CONTRASTS[contrast](self.decoder.out_width, text_dim)

    def encode_image(self, image: Tensor) -> Features:
        """Compute what doesn't depend on the words, of (B, 3, H, W) RGB in [0, 1]."""
        return {_STEM: self.encoder.without_words(self.normalise(image))}

    def encode_text(self, states: Tensor, mask: Tensor) -> Words:
        """Keep the words' states (B, T, D) and their mask (B, T)."""
        return Words(states, mask)

    def decode(self, features: Features, context: Words) -> Tensor:
        """Compute (B, 1, h, w) logits at stride 4."""
        return self._run(features, context)[0]

    def training_terms(self, features: Features, context: Words, label: Tensor) -> list[TrainingTerm | AuxiliaryTerm]:
        """List the segmentation's term and, where there is one, the contrastive."""
        logits, pixels = self._run(features, context)
        terms: list[TrainingTerm | AuxiliaryTerm] = [self.segmentation_term(logits, label)]
        if self.contrast is not None:
            terms.append(AuxiliaryTerm(self.contrast(pixels, context, label), self.contrast_weight))
        return terms

    def image_encoder(self) -> nn.Module:
        """What computes the features: normalisation, stem and the first stage."""
        return nn.ModuleList(
            [self.normalise, self.encoder.get_submodule("patch_embed1"), self.encoder.get_submodule("block1")]
        )

    def _run(self, features: Features, words: Words) -> tuple[Tensor, Tensor]:
        maps, weights = self.encoder(features[_STEM], words)
        result: tuple[Tensor, Tensor] = self.decoder(maps, word_uncertainty(weights))
        return result
