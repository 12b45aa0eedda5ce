# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Form A of LSMS' decoder: all scales side by side at the finest, then one factorisation."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from scripts.networks.language.lsms.decoder_a import AllScaleHead, FactorisingDecoder

CHANNELS = (4, 6, 8, 10)


def maps(height: int = 8, width: int = 8) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(2, count, -(-height // side), -(-width // side), generator=generator)
        for count, side in zip(CHANNELS, (1, 2, 4, 8), strict=True)
    ]


@torch.no_grad()
@pytest.mark.parametrize(("size", "outputs"), [((8, 8), 1), ((16, 24), 2), ((7, 9), 1)])
def test_by_the_formula(size: tuple[int, int], outputs: int) -> None:
    torch.manual_seed(0)
    head = AllScaleHead(CHANNELS, 16, nn.Identity(), outputs, groups=4).eval()
    given = maps(*size)
    logits, features = head(given)
    assert logits.shape == (2, outputs, *size)
    assert features.shape == (2, 8, *size)
    coarse_first = [F.interpolate(value, size, mode="bilinear") for value in (given[3], given[2], given[1])]
    squeezed = F.group_norm(head.squeeze[0](torch.cat([*coarse_first, given[0]], 1)), 4).relu()
    aligned = F.group_norm(head.align[0](squeezed), 4).relu()
    torch.testing.assert_close(features, aligned)
    torch.testing.assert_close(logits, head.classify(aligned))


def test_dropout_is_of_the_logits_alone() -> None:
    torch.manual_seed(0)
    head = AllScaleHead(CHANNELS, 16, nn.Identity(), groups=4, dropout=1.0)
    logits, features = head(maps())
    assert features.any()
    torch.testing.assert_close(logits, head.classify.bias.view(1, 1, 1, 1).expand_as(logits))  # type: ignore[union-attr]


@pytest.mark.parametrize("learned", [True, False])
def test_form_a(learned: bool) -> None:
    torch.manual_seed(0)
    decoder = FactorisingDecoder(CHANNELS, 64, rank=4, learned_bases=learned).eval()
    with torch.no_grad():
        first, features = decoder(maps())
        assert features.shape == (2, decoder.out_width, 8, 8)
        assert torch.equal(decoder(maps(), torch.rand(2, 1))[0], first)  # the uncertainty makes no difference
    decoder(maps())[0].square().mean().backward()
    assert all(value.grad is not None for value in decoder.parameters())
    assert ("context.factorisation.bases" in dict(decoder.named_parameters())) == learned
