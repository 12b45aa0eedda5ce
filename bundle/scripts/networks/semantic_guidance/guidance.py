# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CD-TG's plug-in: text-guided prototypes, their fusion with a host's, and guided maps.

For every shot, the support map guided by the class's sentence is averaged under the mask, and the map guided by the
background's sentence outside of it. The mean over shots is fused with the host's prototype:

    P = (1 - alpha) P_host + alpha P_text

The released code averages text prototypes over the whole batch and lets empty masks shrink the host's prototype; here
the average runs over an episode's non-empty shots, and an episode without any keeps its host prototype.
"""

from collections.abc import Mapping, Sequence
from typing import Optional, Union

import torch
from torch import Tensor, nn

from scripts.networks.blocks.masks import aligned_weights
from scripts.networks.semantic_guidance.unit import SemanticUnit

__all__ = ["SemanticGuidance"]


class SemanticGuidance(nn.Module):
    """Text guidance for a host, with one unit per distinct width of its maps.

    Args:
        channels: width of every map that the host will have guided, by any name.
        text_dim: width D of the text embeddings.
        background_embedding: (D,) embedding of the background's sentence; None leaves background prototypes alone.
        alpha: share of the text in the fusion.
        use_guided_features: whether the host replaces its support and query maps by guided ones (as the paper's figure)
            or keeps the raw ones (as the released code).
        rescale: whether a text prototype is brought to the length of the host's before the fusion.
        style: module that perturbs support maps (N, C, h, w) in training, such as ``StylePerturbation``; None for none.

    Raises:
        ValueError: for values out of range or a background embedding of another width.
    """

    def __init__(
        self,
        channels: Mapping[str, int],
        *,
        text_dim: int,
        background_embedding: Union[Tensor, Sequence[float], None] = None,
        alpha: float = 0.3,
        use_guided_features: bool = False,
        rescale: bool = False,
        style: Optional[nn.Module] = None,
    ) -> None:
        super().__init__()
        if not channels or not 0 <= alpha <= 1:
            raise ValueError(f"guidance needs channels (got {dict(channels)}) and alpha in [0, 1] (got {alpha})")
        self.has_background = background_embedding is not None
        embedding = torch.zeros(0)
        if background_embedding is not None:
            embedding = torch.as_tensor(background_embedding, dtype=torch.float32).flatten().clone()
            if embedding.numel() != text_dim:
                raise ValueError(f"background embedding has {embedding.numel()} numbers, text_dim is {text_dim}")
        self.text_dim = int(text_dim)
        self.alpha = float(alpha)
        self.use_guided_features = bool(use_guided_features)
        self.rescale = bool(rescale)
        self.background_embedding: Tensor
        self.register_buffer("background_embedding", embedding)
        widths = sorted(set(channels.values()))
        self.units = nn.ModuleDict({str(width): SemanticUnit(width, text_dim) for width in widths})
        self.style = style

    def class_text(self, text_embedding: Optional[Tensor]) -> Tensor:
        """Check an episode's text and drop its token axis.

        Args:
            text_embedding: (B, 1, D).

        Returns:
            (B, D).

        Raises:
            ValueError: when it is None, or has several tokens or another width.
        """
        if text_embedding is None:
            raise ValueError("this host was built with text guidance and needs text_embedding (B, 1, D), got None")
        if text_embedding.dim() != 3 or text_embedding.shape[1] != 1 or text_embedding.shape[2] != self.text_dim:
            raise ValueError(
                f"text_embedding must be (B, 1, {self.text_dim}): one sentence embedding per episode; "
                f"got {list(text_embedding.shape)}"
            )
        return text_embedding[:, 0].to(self.background_embedding.dtype)

    def fuse(self, host_prototypes: Tensor, support: Tensor, mask: Tensor, text: Tensor) -> Tensor:
        """Fuse a host's prototypes with the text-guided ones.

        Args:
            host_prototypes: (B, 2, C), foreground and background.
            support: (B, K, C, h, w) raw support maps.
            mask: (B, K, 1, H, W) in {0, 1, 255}.
            text: (B, D) from :meth:`class_text`.

        Returns:
            (B, 2, C).
        """
        shape = [support.shape[0], support.shape[1]]
        maps = support.flatten(0, 1)
        weights = self.mask_weights(mask.flatten(0, 1), [maps.shape[2], maps.shape[3]], maps)
        sentences = text.unsqueeze(1)
        if self.has_background:
            background = self.background_embedding.expand(text.shape[0], 1, self.text_dim)
            sentences = torch.cat([sentences, background], dim=1)
        sides = sentences.shape[1]
        prototypes = self.text_prototypes(maps, sentences.repeat_interleave(shape[1], dim=0), weights[:, :sides])
        area = weights[:, :sides].sum(dim=[2, 3])
        text_prototypes, is_present = self.over_shots(prototypes.unflatten(0, shape), area.unflatten(0, shape))
        own = host_prototypes[:, :sides]
        if self.rescale:
            length = own.square().sum(2, keepdim=True) / text_prototypes.square().sum(2, keepdim=True).clamp_min(1e-12)
            text_prototypes = text_prototypes * length.sqrt()
        fused = torch.where(is_present.unsqueeze(2), (1.0 - self.alpha) * own + self.alpha * text_prototypes, own)
        return torch.cat([fused, host_prototypes[:, sides:]], dim=1)

    def host_maps(self, features: Tensor, text: Tensor) -> Tensor:
        """Maps (N, C, h, w) for the host, guided by text (N, D) or raw, as ``use_guided_features`` says."""
        if self.use_guided_features:
            return self.guide(features, text)
        return features

    def guide(self, features: Tensor, text: Tensor) -> Tensor:
        """Guide maps (N, C, h, w) by their class's text (N, D): (N, C, h, w)."""
        guided = features
        is_known = False
        for width, unit in self.units.items():
            if int(width) == features.shape[1]:
                guided = unit(features, unit.constant(text))  # type: ignore[operator]
                is_known = True
        if not is_known:
            raise ValueError(f"semantic guidance was built without a unit for maps of {features.shape[1]} channels")
        return guided

    def text_prototypes(self, features: Tensor, sentences: Tensor, weights: Tensor) -> Tensor:
        """Masked averages of maps guided by several sentences.

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
            return self.style(support.flatten(0, 1)).unflatten(0, shape)
        return support
