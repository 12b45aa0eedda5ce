# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Centre-pivot 4-D convolution (Min et al., HSNet, ICCV 2021, section 4.2), laid out for fast 2-D convolutions.

A 4-D map holds a vector for every pair of a query position and a support position. The 4-D kernel keeps only the
positions where one of both displacements is zero, so that the convolution is a sum of two 2-D ones:

    y(q, s) = sum_d W_q(d) x(q + d, s) + sum_d W_s(d) x(q, s + d) + b

Maps lie as (B, h, w, h', w', C), query axes first, channels last: all support planes of a batch of queries are one
channels-last batch as they lie, and the query planes of the few support positions that a stride leaves are gathered.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

__all__ = ["CentrePivotConv4d"]

_CORRELATIONS_AT_A_TIME = 500_000  # small enough to stay in a processor's cache


class CentrePivotConv4d(nn.Module):
    """Sum of a convolution over the query axes and one over the support axes.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: odd side of both 2-D kernels; the padding keeps the grid.
        stride: of the support axes.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.chunk = _CORRELATIONS_AT_A_TIME
        padding = kernel_size // 2
        self.query_conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding)
        self.support_conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding)

    def forward(self, maps: Tensor) -> Tensor:
        """Convolve (B, h, w, h', w', C) to (B, h, w, ceil(h' / stride), ceil(w' / stride), out_channels)."""
        planes = maps[:, :, :, :: self.stride, :: self.stride].permute(0, 3, 4, 1, 2, 5)
        reach = self.support_conv.weight.shape[2] // 2
        if self.stride == 1 and maps.shape[3] <= reach + 1 and maps.shape[4] <= reach + 1:
            return self._add_query(self._over_small_support(maps, reach), planes)
        return self._add_query(self.over_support(maps), planes)

    def correlate(self, query: Tensor, support: Tensor) -> Tensor:
        """Convolve the correlation of two sets of n maps without keeping it: it is made in parts, twice in training.

        Args:
            query: (B, h, w, n, D) factors.
            support: (B, h', w', n, D) factors; the correlation is their inner product over D, negative ones set to 0.

        Returns:
            (B, h, w, ceil(h' / stride), ceil(w' / stride), out_channels).
        """
        grid = [support.shape[1], support.shape[2]]
        positions = query.flatten(1, 2).flatten(2)  # (B, h * w, n * D)
        basis = _block_diagonal(support.flatten(1, 2))
        step = max(1, self.chunk // basis.shape[2])
        parts: list[Tensor] = []
        for episode in range(positions.shape[0]):
            for rows in positions[episode].split(step):
                parts.append(self._correlate_rows(rows, basis[episode], grid))
        total = torch.cat(parts) if len(parts) > 1 else parts[0]
        total = total.unflatten(0, [query.shape[0], query.shape[1], query.shape[2]])
        kept = support[:, :: self.stride, :: self.stride]
        planes = _correlation(kept.flatten(1, 2).flatten(2), _block_diagonal(query.flatten(1, 2)))
        planes = planes.unflatten(2, [query.shape[1], query.shape[2], query.shape[3]])
        return self._add_query(total, planes.unflatten(1, [kept.shape[1], kept.shape[2]]))

    def over_support(self, maps: Tensor) -> Tensor:
        """Convolve the support axes of (..., h', w', C) maps, for every query position by itself."""
        flat = maps.reshape([-1, maps.shape[-3], maps.shape[-2], maps.shape[-1]])
        result: Tensor = self.support_conv(flat.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return result.reshape(list(maps.shape[:-3]) + list(result.shape[1:]))

    def _over_small_support(self, maps: Tensor, reach: int) -> Tensor:
        """Convolve support grids in which every position reaches every other: one matrix for each query position.

        The matrix is laid out as a kernel as long as the grid has positions, since long kernels run fastest.
        """
        height, width = maps.shape[3], maps.shape[4]
        windows: list[Tensor] = []
        for y in range(reach, reach - height, -1):
            for x in range(reach, reach - width, -1):
                windows.append(self.support_conv.weight[:, :, y : y + height, x : x + width])
        positions = len(windows)
        kernel = torch.cat(windows).flatten(2).unsqueeze(2)
        bias = self.support_conv.bias
        if bias is not None:
            bias = bias.repeat(positions)
        image = maps.reshape([maps.shape[0], maps.shape[1], maps.shape[2] * positions, maps.shape[5]])
        result = F.conv2d(image.permute(0, 3, 1, 2), kernel, bias, stride=(1, positions))
        return torch.unflatten(result.permute(0, 2, 3, 1), 3, [height, width, -1])

    def _correlate_rows(self, rows: Tensor, basis: Tensor, grid: list[int]) -> Tensor:
        if not torch.jit.is_scripting():  # noqa: SIM102 - TorchScript drops the block only if it stands alone
            if torch.is_grad_enabled():
                arguments = (rows, basis, grid)
                return checkpoint(self._convolve_rows, *arguments, use_reentrant=False, preserve_rng_state=False)
        return self._convolve_rows(rows, basis, grid)

    def _convolve_rows(self, rows: Tensor, basis: Tensor, grid: list[int]) -> Tensor:
        """Correlate and convolve L query positions: (L, n * D), (n * D, h' * w' * n) -> (L, h'', w'', C)."""
        maps = _correlation(rows, basis).unflatten(1, [grid[0], grid[1], -1])
        return self.over_support(maps)

    def _add_query(self, total: Tensor, planes: Tensor) -> Tensor:
        """Add the convolution of the query axes, given as planes (B, h'', w'', h, w, C), to a map in place."""
        flat = planes.flatten(0, 2).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        result = self.query_conv(flat).permute(0, 2, 3, 1)
        result = result.unflatten(0, [planes.shape[0], planes.shape[1], planes.shape[2]])
        return total.add_(result.permute(0, 3, 4, 1, 2, 5))


def _correlation(rows: Tensor, basis: Tensor) -> Tensor:
    return (rows @ basis).relu_()


def _block_diagonal(factors: Tensor) -> Tensor:
    """Factors (B, L, n, D) as a matrix (B, n * D, L * n), whose product with rows (n * D) has channels last."""
    number = factors.shape[2]
    identity = torch.eye(number, dtype=factors.dtype, device=factors.device)
    blocks = factors.permute(0, 2, 3, 1).unsqueeze(4) * identity[:, None, None, :]
    return blocks.flatten(3).flatten(1, 2)
