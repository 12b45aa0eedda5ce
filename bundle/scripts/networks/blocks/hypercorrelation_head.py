# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""HSNet's 4-D head (Min et al., ICCV 2021, section 4.2), which PATNet and DMTNet share: from correlations to logits.

Three stages of correlations, at strides 8, 16 and 32, are squeezed along the support axes, mixed from coarse to fine,
averaged over the support, and decoded. Correlations come as thin factors and are never stored whole.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .centre_pivot import CentrePivotConv4d

__all__ = ["HypercorrelationHead"]

_WIDTHS = (16, 64, 128)
_SQUEEZE = (((5, 4), (5, 4), (3, 2)), ((5, 4), (3, 2), (3, 2)), ((3, 2), (3, 2), (3, 2)))
"""Kernel and support stride of the three blocks of every stage, finest stage first."""
_GROUPS = 4


class CentrePivotBlock(nn.Module):
    """Centre-pivot convolution, group norm over all four axes, ReLU.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: odd side of the kernels.
        stride: of the support axes.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = CentrePivotConv4d(in_channels, out_channels, kernel_size, stride)
        self.norm = nn.GroupNorm(_GROUPS, out_channels)

    def forward(self, maps: Tensor) -> Tensor:
        """Transform (B, h, w, h', w', C)."""
        return self.activate(self.conv(maps))

    def correlate(self, query: Tensor, support: Tensor) -> Tensor:
        """Transform the correlation of factors, see ``CentrePivotConv4d.correlate``."""
        return self.activate(self.conv.correlate(query, support))

    def activate(self, maps: Tensor) -> Tensor:
        """Group norm and ReLU."""
        shape = maps.shape
        rows = maps.reshape(shape[0], shape[1] * shape[2], shape[3] * shape[4], shape[5])
        normed: Tensor = self.norm(rows.permute(0, 3, 1, 2))
        return normed.relu_().permute(0, 2, 3, 1).reshape(shape)


class SqueezeStage(nn.Module):
    """The blocks of one stage: correlations of n maps -> 128 channels on a support grid 8 to 32 times coarser.

    Args:
        number: n.
        steps: (kernel, support stride) of every block.
    """

    def __init__(self, number: int, steps: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        widths = [number, *_WIDTHS]
        self.first = CentrePivotBlock(widths[0], widths[1], *steps[0])
        later = [CentrePivotBlock(widths[i], widths[i + 1], *steps[i]) for i in range(1, len(steps))]
        self.later = nn.Sequential(*later)

    def forward(self, query: Tensor, support: Tensor) -> Tensor:
        """Squeeze factors (B, h, w, n, D) and (B, h', w', n, D) to (B, h, w, h'', w'', 128)."""
        squeezed: Tensor = self.later(self.first.correlate(query, support))
        return squeezed


class HypercorrelationHead(nn.Module):
    """From the correlations of three stages to logits.

    Args:
        numbers: maps per stage, finest first.
    """

    def __init__(self, numbers: Sequence[int]) -> None:
        super().__init__()
        if len(numbers) != len(_SQUEEZE) or min(numbers) < 1:
            raise ValueError(f"the head needs maps at strides 8, 16 and 32, got {list(numbers)} maps per stage")
        width = _WIDTHS[-1]
        self.squeeze = nn.ModuleList(
            [SqueezeStage(number, steps) for number, steps in zip(numbers, _SQUEEZE, strict=True)]
        )
        self.mix_middle = nn.Sequential(*[CentrePivotBlock(width, width, 3) for _ in range(3)])
        self.mix_finest = nn.Sequential(*[CentrePivotBlock(width, width, 3) for _ in range(3)])
        self.decoder = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width // 2, 3, padding=1), nn.ReLU()
        )
        self.classifier = nn.Sequential(
            nn.Conv2d(width // 2, width // 2, 3, padding=1), nn.ReLU(), nn.Conv2d(width // 2, 2, 3, padding=1)
        )

    def forward(self, query: list[Tensor], support: list[Tensor]) -> Tensor:
        """Segment the query.

        Args:
            query: factors (B, h, w, n, D) of every stage, finest first.
            support: factors (B, h', w', n, D) of every stage.

        Returns:
            (B, 2, 2h, 2w) logits at twice the finest grid, background first.

        Raises:
            ValueError: when the stages' squeezed support grids differ.
        """
        return self.decode(self.encode(query, support))

    def squeezed(self, query: list[Tensor], support: list[Tensor]) -> list[Tensor]:
        """Squeeze every stage: [(B, h, w, h'', w'', 128)], finest first."""
        stages: list[Tensor] = []
        for index, stage in enumerate(self.squeeze):
            stages.append(stage(query[index], support[index]))
        return stages

    def encode(self, query: list[Tensor], support: list[Tensor]) -> Tensor:
        """Squeeze, mix and average over the support: (B, 128, h, w), channels last."""
        fine, middle, coarse = self.squeezed(query, support)
        mixed: Tensor = self.mix_middle(middle + resize_query(coarse, middle))
        mixed = self.mix_finest(fine + resize_query(mixed, fine))
        return mixed.mean(dim=[3, 4]).permute(0, 3, 1, 2)

    def decode(self, encoded: Tensor) -> Tensor:
        """Decode (B, 128, h, w) to logits (B, 2, 2h, 2w)."""
        features = self.decoder(encoded)
        size = self.output_size(features.shape[2], features.shape[3])
        logits: Tensor = self.classifier(F.interpolate(features, size, mode="bilinear", align_corners=True))
        return logits

    def output_size(self, height: int, width: int) -> list[int]:
        """Size of the logits for a finest grid."""
        return [2 * height, 2 * width]


def resize_query(maps: Tensor, like: Tensor) -> Tensor:
    """Resize the query axes of (B, h, w, h', w', C) to those of another map, bilinearly with aligned corners."""
    if maps.shape[3] != like.shape[3] or maps.shape[4] != like.shape[4]:
        raise ValueError(
            f"squeezed support grids of two stages differ: {list(maps.shape[3:5])} and {list(like.shape[3:5])}; the "
            "head needs maps at strides 8, 16 and 32 (a dilated backbone: output_stride 32)"
        )
    planes = maps.flatten(3).permute(0, 3, 1, 2)
    size = [like.shape[1], like.shape[2]]
    planes = F.interpolate(planes, size, mode="bilinear", align_corners=True)
    return torch.unflatten(planes.permute(0, 2, 3, 1), 3, [maps.shape[3], maps.shape[4], maps.shape[5]])
