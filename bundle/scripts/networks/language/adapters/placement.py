# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Where VLSM-Adapter puts its adapters in a CLIPSeg: in the encoders' blocks (dense), or behind them (shallow).

Each has the parts ``V`` (image encoder), ``L`` (text encoder) and ``C`` (condition vector); published are V, VL and
VLC. Module names follow the released checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ..clipseg.shape import CLIPSegShape
from .bottleneck import Bottleneck

__all__ = ["BlockAdapters", "DenseAdapters", "ShallowAdapters"]

_CONDITION_HIDDEN = 256


class BlockAdapters:
    """Two adapters for each of an encoder's first blocks: after the attention and after the MLP."""

    def __init__(self, after_attention: Sequence[nn.Module], after_mlp: Sequence[nn.Module]) -> None:
        self.after_attention = after_attention
        self.after_mlp = after_mlp

    def of(self, index: int) -> tuple[nn.Module | None, nn.Module | None]:
        """Adapters of a block; None for blocks that have none."""
        if index >= len(self.after_attention):
            return None, None
        return self.after_attention[index], self.after_mlp[index]


class DenseAdapters(nn.Module):
    """Adapters inside the encoders' blocks, before the residual additions.

    Args:
        shape: of the CLIPSeg.
        hidden: of the bottlenecks.
        parts: those of ``VLC`` that have adapters.
        released: as in the released code: adapters of its kind, and none in the block whose output is the deepest that
            the decoder reads.
    """

    def __init__(self, shape: CLIPSegShape, hidden: int = 64, parts: str = "VLC", released: bool = False) -> None:
        super().__init__()
        _check_parts(parts)
        depth = max(shape.extract_layers) + (0 if released else 1)

        def row(width: int, length: int) -> nn.ModuleList:
            return nn.ModuleList([Bottleneck(width, hidden, released) for _ in range(length)])

        if "V" in parts:
            self.v_attn_adapters = row(shape.vision.width, depth)
            self.v_out_adapters = row(shape.vision.width, depth)
        if "L" in parts:
            text_depth = min(depth, shape.text.num_layers)
            self.l_attn_adapters = row(shape.text.width, text_depth)
            self.l_out_adapters = row(shape.text.width, text_depth)
        if "C" in parts:
            self.cond_adapter = Bottleneck(shape.projection, _CONDITION_HIDDEN, released)
        self.parts = parts

    @property
    def vision(self) -> BlockAdapters | None:
        """Of the image encoder."""
        return BlockAdapters(_list(self.v_attn_adapters), _list(self.v_out_adapters)) if "V" in self.parts else None

    @property
    def text(self) -> BlockAdapters | None:
        """Of the text encoder."""
        return BlockAdapters(_list(self.l_attn_adapters), _list(self.l_out_adapters)) if "L" in self.parts else None

    def activations(self, activations: Sequence[Tensor]) -> list[Tensor]:
        """Leave the decoder's activations as they are."""
        return list(activations)

    def condition(self, condition: Tensor, end_states: Sequence[Tensor] | None = None) -> Tensor:
        """Adapt the condition vector (B, C)."""
        return self.cond_adapter(condition) if "C" in self.parts else condition


class ShallowAdapters(nn.Module):
    """Adapters on the activations that the decoder reads, and on the same blocks' end tokens of the text encoder.

    The latter are added to the condition vector, so both must have one width. Their identity is added as well in the
    released code; here only what was learned is, so that the start is the frozen network.

    Args:
        shape: of the CLIPSeg.
        hidden: of the bottlenecks.
        parts: those of ``VLC`` that have adapters.
        released: as in the released code.

    Raises:
        ValueError: for the part L where the text encoder has another width than the condition, or fewer blocks.
    """

    vision = None
    text = None

    def __init__(self, shape: CLIPSegShape, hidden: int = 512, parts: str = "VLC", released: bool = False) -> None:
        super().__init__()
        _check_parts(parts)
        count = len(shape.extract_layers)
        if "V" in parts:
            self.vision_extract_adapters = nn.ModuleList(
                [Bottleneck(shape.vision.width, hidden, released) for _ in range(count)]
            )
        if "L" in parts:
            if shape.text.width != shape.projection or max(shape.extract_layers) >= shape.text.num_layers:
                raise ValueError(
                    f"shallow adapters of the text encoder need its width {shape.text.width} to be that of the "
                    f"condition, {shape.projection}, and a block for each of {shape.extract_layers}"
                )
            self.text_extract_adapters = nn.ModuleList(
                [Bottleneck(shape.text.width, hidden, released) for _ in range(count)]
            )
        if "C" in parts:
            self.cond_adapter = Bottleneck(shape.projection, _CONDITION_HIDDEN, released)
        self.parts = parts
        self.released = released

    def activations(self, activations: Sequence[Tensor]) -> list[Tensor]:
        """Adapt the decoder's activations (B, N, D)."""
        if "V" not in self.parts:
            return list(activations)
        return [adapter(value) for adapter, value in zip(self.vision_extract_adapters, activations, strict=True)]

    def condition(self, condition: Tensor, end_states: Sequence[Tensor] | None = None) -> Tensor:
        """Adapt the condition vector.

        Args:
            condition: (B, C).
            end_states: (B, D) of the end token after each block that the decoder reads, for the part L.
        """
        if "C" in self.parts:
            condition = self.cond_adapter(condition)
        if "L" not in self.parts or end_states is None:
            return condition
        for adapter, state in zip(self.text_extract_adapters, end_states, strict=True):
            condition = condition + adapter(state, with_identity=self.released)
        return condition


def _check_parts(parts: str) -> None:
    if not parts or set(parts) - set("VLC") or len(set(parts)) != len(parts):
        raise ValueError(f"parts of the adapters are some of V, L and C, such as 'VLC', got {parts!r}")


def _list(modules: nn.ModuleList) -> list[nn.Module]:
    return list(modules)
