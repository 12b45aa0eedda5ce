# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CD-TG's plug-in: text-guided prototypes, their fusion with a host's, and guided maps.

For every shot, the support map guided by the class's sentence is averaged under the mask, and the map guided by the
background's sentence outside of it. The mean over shots is fused with the host's prototype:

    P = (1 - alpha) P_host + alpha P_text

The released code averages text prototypes over the whole batch and lets empty masks shrink the host's prototype; here
the average runs over an episode's non-empty shots, and an episode without any keeps its host prototype.

A text has one token (a sentence's embedding) or several (several sentences of a class, or a sentence's own tokens).
Hosts pass it on as rows (N, T * D), the tokens side by side; a token of zeros is padding, save the first.
"""

from collections.abc import Mapping, Sequence
from typing import Optional, Union

import torch
from torch import Tensor, nn

from ..blocks.masks import aligned_weights
from ..blocks.pooling import masked_averages
from .unit import SemanticUnit

__all__ = ["SemanticGuidance"]


class SemanticGuidance(nn.Module):
    """Text guidance for a host, with one unit per distinct width of its maps.

    Args:
        channels: width of every map that the host will have guided, by any name.
        text_dim: width D of a text token.
        background_embedding: (D,) embedding of the background's sentence, or (T, D) of several tokens; None leaves
            background prototypes alone.
        alpha: share of the text in the fusion.
        learn_alpha: whether the share is trained, from ``alpha`` on: one number for all maps, kept within (0, 1).
        use_guided_features: whether the host replaces its support and query maps by guided ones (as the paper's figure)
            or keeps the raw ones (as the released code).
        rescale: whether a text prototype is brought to the length of the host's before the fusion.
        style: module that perturbs support maps (N, C, h, w) in training, such as ``StylePerturbation``; None for none.
        num_tokens: most tokens a text will have; above one the units get query and key projections.
        heads: of the attention over several tokens.
        text_encoder: module (B, T, L) -> (B, T, D) for texts that come as L token ids per sentence, the background's
            too, so that it learns with the units; None where texts come as embeddings.

    Raises:
        ValueError: for values out of range or a background embedding of another width.
    """

    def __init__(
        self,
        channels: Mapping[str, int],
        *,
        text_dim: int,
        background_embedding: Union[Tensor, Sequence[Sequence[float]], Sequence[float], None] = None,
        alpha: float = 0.3,
        learn_alpha: bool = False,
        use_guided_features: bool = False,
        rescale: bool = False,
        style: Optional[nn.Module] = None,
        num_tokens: int = 1,
        heads: int = 8,
        text_encoder: Optional[nn.Module] = None,
    ) -> None:
        super().__init__()
        if not channels or not 0 <= alpha <= 1:
            raise ValueError(f"guidance needs channels (got {dict(channels)}) and alpha in [0, 1] (got {alpha})")
        if learn_alpha and not 0 < alpha < 1:
            raise ValueError(f"an alpha that is learned starts inside (0, 1), got {alpha}")
        self.has_background = background_embedding is not None
        embedding = torch.zeros(0)
        if background_embedding is not None:
            embedding = torch.as_tensor(background_embedding, dtype=torch.float32).flatten().clone()
            width = text_dim if text_encoder is None else int(text_encoder.context_length)  # type: ignore[arg-type]
            if embedding.numel() == 0 or embedding.numel() % width != 0:
                raise ValueError(f"background embedding has {embedding.numel()} numbers, text_dim is {width}")
            if embedding.numel() > num_tokens * width:
                found = embedding.numel() // width
                raise ValueError(f"background embedding has {found} tokens, num_tokens is {num_tokens}")
        self.text_dim = int(text_dim)
        self.num_tokens = int(num_tokens)
        self.alpha = float(alpha)
        self.alpha_logit: Optional[Tensor] = None
        if learn_alpha:
            self.alpha_logit = nn.Parameter(torch.logit(torch.tensor(float(alpha))))
        self.use_guided_features = bool(use_guided_features)
        self.rescale = bool(rescale)
        self.background_embedding: Tensor
        self.register_buffer("background_embedding", embedding)
        widths = sorted(set(channels.values()))
        self.units = nn.ModuleDict(
            {str(width): SemanticUnit(width, text_dim, num_tokens > 1, heads) for width in widths}
        )
        self.style = style
        self.text_encoder = text_encoder

    def class_text(self, text_embedding: Optional[Tensor]) -> Tensor:
        """Check an episode's text and lay its tokens side by side.

        Args:
            text_embedding: (B, T, D), T up to ``num_tokens``; tokens of zeros after the first are padding.

        Returns:
            (B, T * D).

        Raises:
            ValueError: when it is None, or has too many tokens or another width.
        """
        if text_embedding is None:
            raise ValueError("this host was built with text guidance and needs text_embedding (B, T, D), got None")
        if self.text_encoder is not None:
            text_embedding = self.text_encoder(text_embedding)
        if text_embedding.dim() != 3 or text_embedding.shape[1] < 1 or text_embedding.shape[2] != self.text_dim:
            raise ValueError(
                f"text_embedding must be (B, T, {self.text_dim}): T tokens or sentences per episode; "
                f"got {list(text_embedding.shape)}"
            )
        if text_embedding.shape[1] > self.num_tokens:
            raise ValueError(
                f"text_embedding must be (B, {self.num_tokens}, {self.text_dim}) or have fewer tokens, since the text "
                f"guidance was built with num_tokens {self.num_tokens}; got {list(text_embedding.shape)}"
            )
        return text_embedding.flatten(1).to(self.background_embedding.dtype)

    def background_text(self) -> Tensor:
        """Text of the background: (1, T * D)."""
        text = self.background_embedding.unsqueeze(0)
        if self.text_encoder is not None:
            length = int(self.text_encoder.context_length)  # type: ignore[arg-type]
            ids = text.unflatten(1, [text.shape[1] // length, length])
            encoded: Tensor = self.text_encoder(ids)
            return encoded.flatten(1)
        return text

    def fuse(self, host_prototypes: Tensor, support: Tensor, mask: Tensor, text: Tensor) -> Tensor:
        """Fuse a host's prototypes with the text-guided ones.

        Args:
            host_prototypes: (B, 2, C), foreground and background.
            support: (B, K, C, h, w) raw support maps.
            mask: (B, K, 1, H, W) in {0, 1, 255}.
            text: (B, T * D) from :meth:`class_text`.

        Returns:
            (B, 2, C).
        """
        text_prototypes, is_present = self.pooled_text(support, mask, text)
        return self.blend(host_prototypes, text_prototypes, is_present)

    def pooled_text(self, support: Tensor, mask: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Text-guided prototypes of an episode: the first half of :meth:`fuse`, for hosts with several prototypes.

        Args:
            support: (B, K, C, h, w) raw support maps.
            mask: (B, K, 1, H, W) in {0, 1, 255}.
            text: (B, T * D) from :meth:`class_text`.

        Returns:
            (B, M, C), foreground and, where the background has a text, background; and whether there is any (B, M).
        """
        shape = [support.shape[0], support.shape[1]]
        maps = support.flatten(0, 1)
        weights = self.mask_weights(mask.flatten(0, 1), [maps.shape[2], maps.shape[3]], maps)
        texts = [text]
        if self.has_background:
            texts.append(self.background_text().expand(text.shape[0], -1))
        sides = len(texts)
        is_one_token = True
        for own_text in texts:
            is_one_token = is_one_token and own_text.shape[1] == self.text_dim
        if is_one_token:
            sentences = torch.stack(texts, dim=1).repeat_interleave(shape[1], dim=0)
            prototypes = self.text_prototypes(maps, sentences, weights[:, :sides])
        else:
            pooled: list[Tensor] = []
            for side, own_text in enumerate(texts):
                guided = self.guide(maps, own_text.repeat_interleave(shape[1], dim=0))
                pooled.append(masked_averages(guided, weights[:, side : side + 1], eps=1e-6))
            prototypes = torch.cat(pooled, dim=1)
        area = weights[:, :sides].sum(dim=[2, 3])
        return self.over_shots(prototypes.unflatten(0, shape), area.unflatten(0, shape))

    def blend(self, host_prototypes: Tensor, text_prototypes: Tensor, is_present: Tensor) -> Tensor:
        """Blend a host's prototypes (B, 2, C) with text-guided ones, as :meth:`pooled_text` gives them: (B, 2, C)."""
        sides = text_prototypes.shape[1]
        own = host_prototypes[:, :sides]
        if self.rescale:
            ratio = own.square().sum(2, keepdim=True) / text_prototypes.square().sum(2, keepdim=True).clamp_min(1e-12)
            # A root has no finite gradient at zero, where the host's prototype is zero.
            text_prototypes = text_prototypes * ratio.clamp_min(1e-12).sqrt()
        share = self.text_share(own)
        fused = torch.where(is_present.unsqueeze(2), (1.0 - share) * own + share * text_prototypes, own)
        return torch.cat([fused, host_prototypes[:, sides:]], dim=1)

    def text_share(self, like: Tensor) -> Tensor:
        """Share of the text in the fusion, fixed or learned: a scalar with the dtype and device of ``like``."""
        if self.alpha_logit is not None:
            return torch.sigmoid(self.alpha_logit).to(like)
        return torch.full([], self.alpha, dtype=like.dtype, device=like.device)

    def host_maps(self, features: Tensor, text: Tensor) -> Tensor:
        """Maps (N, C, h, w) for the host, guided by text (N, T * D) or raw, as ``use_guided_features`` says."""
        if self.use_guided_features:
            return self.guide(features, text)
        return features

    def guide(self, features: Tensor, text: Tensor) -> Tensor:
        """Guide maps (N, C, h, w) by their class's text (N, T * D): (N, C, h, w)."""
        guided = features
        is_known = False
        for width, unit in self.units.items():
            if int(width) == features.shape[1]:
                if text.shape[1] == self.text_dim:
                    guided = unit(features, unit.constant(text))  # type: ignore[operator]
                else:
                    tokens = text.unflatten(1, [text.shape[1] // self.text_dim, self.text_dim])
                    shift = unit.attend(features, tokens, self.is_padding(tokens))  # type: ignore[operator]
                    guided = unit(features, shift)
                is_known = True
        if not is_known:
            raise ValueError(f"semantic guidance was built without a unit for maps of {features.shape[1]} channels")
        return guided

    def is_padding(self, tokens: Tensor) -> Tensor:
        """Whether tokens (N, T, D) are padding, that is zeros and not the first: (N, T) bool."""
        is_zero = (tokens == 0).all(dim=2)
        return torch.cat([torch.zeros_like(is_zero[:, :1]), is_zero[:, 1:]], dim=1)

    def text_prototypes(self, features: Tensor, sentences: Tensor, weights: Tensor) -> Tensor:
        """Masked averages of maps that sentences of one token guide, one mask per sentence.

        Args:
            features: (N, C, h, w).
            sentences: (N, M, D).
            weights: (N, M, h, w), one mask per sentence.

        Returns:
            (N, M, C).
        """
        prototypes = weights
        is_known = False
        for width, unit in self.units.items():
            if int(width) == features.shape[1]:
                constants = unit.constant(sentences)  # type: ignore[operator]
                prototypes = unit.prototypes(features, constants, weights)  # type: ignore[operator]
                is_known = True
        if not is_known:
            raise ValueError(f"semantic guidance was built without a unit for maps of {features.shape[1]} channels")
        return prototypes

    def mask_weights(self, mask: Tensor, size: list[int], like: Tensor) -> Tensor:
        """Masks (N, 1, H, W) at the grid: (N, 2, h, w), foreground and background."""
        weights = aligned_weights(mask, size, like)
        return weights.masked_fill(weights < 1e-5, 0.0)  # smaller ones are round-off of the resize

    def over_shots(self, prototypes: Tensor, area: Tensor) -> tuple[Tensor, Tensor]:
        """Average over the shots whose mask has an area at the grid.

        Args:
            prototypes: (B, K, M, C).
            area: (B, K, M), in cells.

        Returns:
            (B, M, C) and whether there is any such shot (B, M).
        """
        is_present = area > 1e-4
        share = is_present.to(prototypes.dtype)
        total = (prototypes * share.unsqueeze(3)).sum(dim=1)
        return total / share.sum(dim=1).clamp_min(1.0).unsqueeze(2), is_present.any(dim=1)

    def perturb(self, support: Tensor) -> Tensor:
        """Perturb the style of support maps (B, K, C, h, w) in training, if a style module was given."""
        if not torch.jit.is_scripting() and self.style is not None and self.training:
            shape = [support.shape[0], support.shape[1]]
            return torch.unflatten(self.style(support.flatten(0, 1)), 0, shape)
        return support

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *arguments: object) -> None:
        # Sentences of different lengths are a different number of tokens; the units are the same.
        stored = state_dict.get(f"{prefix}background_embedding")
        if stored is not None and self.num_tokens > 1 and self.has_background and stored.numel() > 0:
            self.background_embedding = self.background_embedding.new_empty(stored.shape)
        super()._load_from_state_dict(state_dict, prefix, *arguments)
