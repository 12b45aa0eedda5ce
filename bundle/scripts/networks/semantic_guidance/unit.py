# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The Semantic-guided Unit of CD-TG in its exact one-token form.

The published unit lets every pixel attend to one text token that is repeated h * w times. All keys are the same vector,
so every row of the softmax is uniform and the attention gives the same vector to every pixel:

    c = W_o (W_v u + b_v) + b_o,   u = W_2 relu(W_1 t + b_1) + b_2,   y_i = LayerNorm(x_i + c)

Query and key projections have no influence and no gradient, so they are left out here; W_1 takes any text dimension.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

__all__ = ["SemanticUnit", "convert_reference_state"]


class SemanticUnit(nn.Module):
    """Adds one text vector to every pixel and normalises.

    Args:
        channels: width C of the maps.
        text_dim: width D of the text embedding.
    """

    def __init__(self, channels: int, text_dim: int) -> None:
        super().__init__()
        self.text_mlp = nn.Sequential(
            nn.Linear(text_dim, channels), nn.ReLU(inplace=True), nn.Linear(channels, channels)
        )
        self.value = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)
        self.norm = nn.LayerNorm(channels)

    def constant(self, text: Tensor) -> Tensor:
        """Vector that the attention adds to every pixel: text (..., D) -> c (..., C). It can be kept per class."""
        return self.out(self.value(self.text_mlp(text)))

    def forward(self, features: Tensor, constant: Tensor) -> Tensor:
        """Guide a map.

        Args:
            features: (N, C, h, w).
            constant: (N, C) from :meth:`constant`.

        Returns:
            (N, C, h, w), in channels-last memory.
        """
        pixels = (features.flatten(2).transpose(1, 2) + constant.unsqueeze(1)).contiguous()
        return self.norm(pixels).transpose(1, 2).unflatten(2, [features.shape[2], features.shape[3]])

    def prototypes(self, features: Tensor, constants: Tensor, weights: Tensor, eps: float = 1e-6) -> Tensor:
        """Masked averages of guided maps, without making these maps.

        With mean and variance over channels mu_i, v_i of x_i + c and w_i = m_i / sqrt(v_i),

            p = gamma * (sum w_i x_i + c sum w_i - sum w_i mu_i) / A + beta * (sum m_i) / A,   A = sum m_i + eps

        Args:
            features: (N, C, h, w).
            constants: (N, M, C), one per mask.
            weights: (N, M, h, w), non-negative masks.
            eps: keeps an empty mask finite; its prototype is zero.

        Returns:
            (N, M, C).
        """
        pixels = features.flatten(2)
        mask = weights.flatten(2)
        mean = pixels.mean(dim=1, keepdim=True)
        variance = (pixels.square().mean(dim=1, keepdim=True) - mean.square()).clamp_min(0.0)
        centred = constants - constants.mean(dim=2, keepdim=True)
        covariance = torch.matmul(centred, pixels) / pixels.shape[1]
        total = variance + centred.square().mean(dim=2, keepdim=True) + 2.0 * covariance
        area = mask.sum(dim=2, keepdim=True) + eps
        scaled = mask * torch.rsqrt(total.clamp_min(0.0) + self.norm.eps) / area
        offset = (scaled * mean).sum(dim=2, keepdim=True)
        pooled = torch.matmul(scaled, pixels.transpose(1, 2)) + centred * scaled.sum(dim=2, keepdim=True) - offset
        return self.norm.weight * pooled + self.norm.bias * (1.0 - eps / area)


def convert_reference_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a state of the published module; only the value rows of its in-projection are needed.

    Args:
        state: names ``attn.in_proj_weight``, ``attn.in_proj_bias``, ``attn.out_proj.*``, ``text_mlp.0.*``,
            ``text_mlp.2.*``, ``norm.*``.

    Returns:
        A state for :class:`SemanticUnit`, in float32.

    Raises:
        ValueError: when a name is missing.
    """
    names = [f"{module}.{kind}" for module in ("text_mlp.0", "text_mlp.2", "norm") for kind in ("weight", "bias")]
    sources = {name: name for name in names}
    for kind in ("weight", "bias"):
        sources[f"out.{kind}"] = f"attn.out_proj.{kind}"
        sources[f"value.{kind}"] = f"attn.in_proj_{kind}"
    missing = [source for source in sources.values() if source not in state]
    if missing:
        raise ValueError(f"not a state of the published unit: {missing} missing, found {sorted(state)[:4]} ...")
    converted = {name: state[source].float() for name, source in sources.items()}
    for kind in ("weight", "bias"):
        value = converted[f"value.{kind}"]
        converted[f"value.{kind}"] = value[2 * (value.shape[0] // 3) :].clone()
    return converted
