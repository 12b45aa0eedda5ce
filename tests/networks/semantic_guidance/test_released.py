# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What the released code of the text guidance does otherwise."""

from __future__ import annotations

import torch

from scripts.networks.semantic_guidance import ReleasedSemanticGuidance, SemanticGuidance

TEXT_DIM, CHANNELS = 6, 10
BACKGROUND = torch.linspace(-1, 1, TEXT_DIM)


def make(kind: type[SemanticGuidance] = ReleasedSemanticGuidance) -> SemanticGuidance:
    torch.manual_seed(0)
    return kind({"c4": CHANNELS}, text_dim=TEXT_DIM, background_embedding=BACKGROUND, alpha=1.0)


def episode(batch: int = 2, shots: int = 3) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {
        "host_prototypes": torch.randn(batch, 2, CHANNELS),
        "support": torch.randn(batch, shots, CHANNELS, 4, 4),
        "mask": (torch.rand(batch, shots, 1, 16, 16) > 0.5).float(),
        "text": torch.randn(batch, TEXT_DIM),
    }


def test_one_prototype_for_the_whole_batch() -> None:
    """The mean of all episodes' and all shots' averages."""
    made, guidance = episode(), make()
    fused = guidance.fuse(**made)
    assert torch.equal(fused[0], fused[1])
    for side in range(2):
        averages = []
        for b in range(2):
            sentence = made["text"][b] if side == 0 else BACKGROUND
            for maps, mask in zip(made["support"][b], made["mask"][b], strict=True):
                share = torch.nn.functional.interpolate(mask[None], (4, 4), mode="bilinear", align_corners=True)
                weights = share if side == 0 else 1 - share
                guided = guidance.guide(maps[None], sentence[None])
                averages.append((guided * weights).sum((0, 2, 3)) / weights.sum())
        torch.testing.assert_close(fused[0, side], torch.stack(averages).mean(0), rtol=1e-4, atol=1e-4)


def test_one_episode_of_one_shot_is_not_affected() -> None:
    made = episode(1, 1)
    torch.testing.assert_close(make().fuse(**made), make(SemanticGuidance).fuse(**made), rtol=1e-4, atol=1e-4)


def test_empty_shots_count_as_zero() -> None:
    made = episode(1, 2)
    made["mask"][0, 1] = 0
    first = {**made, "support": made["support"][:, :1], "mask": made["mask"][:, :1]}
    alone, both = make().fuse(**first)[0, 0], make().fuse(**made)[0, 0]
    torch.testing.assert_close(both, alone / 2, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(make(SemanticGuidance).fuse(**made)[0, 0], alone, rtol=1e-4, atol=1e-4)


def test_unknown_pixels_are_background() -> None:
    mask = torch.full((1, 1, 8, 8), 255.0)
    mask[..., 4:] = 1
    weights = make().mask_weights(mask, [4, 4], mask)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(1, 4, 4))
    assert weights[0, 1, :, 0].tolist() == [1, 1, 1, 1]
    assert make(SemanticGuidance).mask_weights(mask, [4, 4], mask)[0, 1].max() == 0
