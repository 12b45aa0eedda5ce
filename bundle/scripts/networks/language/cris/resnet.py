# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CLIP's modified ResNet (Radford et al. 2021) with CRIS' spatial attention pool: maps at strides 8, 16 and 32."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from .attention_pool import SpatialAttentionPool

__all__ = ["ClipResNet"]

_EXPANSION = 4


class ClipResNet(nn.Module):
    """Three convolutions as stem, strides by average pools, attention at the end.

    Args:
        blocks: per stage.
        width: of the stem.
        out_channels: of the attention pool.
        num_heads: of the attention pool.
        image_size: for which its position table was learned.
    """

    def __init__(
        self,
        blocks: Sequence[int] = (3, 4, 6, 3),
        width: int = 64,
        out_channels: int = 1024,
        num_heads: int = 32,
        image_size: int = 224,
    ) -> None:
        super().__init__()
        half = width // 2
        self.conv1, self.bn1 = nn.Conv2d(3, half, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(half)
        self.conv2, self.bn2 = nn.Conv2d(half, half, 3, padding=1, bias=False), nn.BatchNorm2d(half)
        self.conv3, self.bn3 = nn.Conv2d(half, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.layer1 = _stage(width, width, blocks[0], 1)
        self.layer2 = _stage(width * 4, width * 2, blocks[1], 2)
        self.layer3 = _stage(width * 8, width * 4, blocks[2], 2)
        self.layer4 = _stage(width * 16, width * 8, blocks[3], 2)
        self.attnpool = SpatialAttentionPool(width * 32, out_channels, num_heads, image_size // 32)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode a normalised image (B, 3, H, W): maps at strides 8, 16 and, after the attention, 32."""
        x = F.relu(self.bn1(self.conv1(image)))
        x = F.relu(self.bn2(self.conv2(x)))
        x = F.avg_pool2d(F.relu(self.bn3(self.conv3(x))), 2)
        stride8 = self.layer2(self.layer1(x))
        stride16 = self.layer3(stride8)
        return stride8, stride16, self.attnpool(self.layer4(stride16))


class _Bottleneck(nn.Module):
    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        out_channels = width * _EXPANSION
        self.conv1, self.bn1 = nn.Conv2d(in_channels, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)
        self.avgpool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                OrderedDict(
                    [
                        ("-1", nn.AvgPool2d(stride)),
                        ("0", nn.Conv2d(in_channels, out_channels, 1, bias=False)),
                        ("1", nn.BatchNorm2d(out_channels)),
                    ]
                )
            )

    def forward(self, x: Tensor) -> Tensor:
        update = F.relu(self.bn1(self.conv1(x)))
        update = self.avgpool(F.relu(self.bn2(self.conv2(update))))
        return F.relu(self.bn3(self.conv3(update)) + self.downsample(x))


def _stage(in_channels: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    first = _Bottleneck(in_channels, width, stride)
    return nn.Sequential(first, *(_Bottleneck(width * _EXPANSION, width, 1) for _ in range(blocks - 1)))
