# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CD-TG: semantic unit, prototypes and their fusion, style perturbation."""

from __future__ import annotations

import json
import random

import torch
from torch import Tensor

from golden_checks.case import Case
from golden_checks.cdtg_lora import check_lora
from golden_checks.patnet import check_wired_patnet
from scripts.networks.semantic_guidance import ReleasedSemanticGuidance, SemanticGuidance, convert_reference_state
from scripts.networks.style_perturbation import (
    STYLES,
    ReleasedStylePerturbation,
    StylePerturbation,
    boundary_style,
    laplacian,
    transfer_statistics,
)


def check_cdtg(case: Case) -> None:
    """Choose the check by header and tensors."""
    method, kind = case.header.get("method", ""), case.header.get("kind", "")
    if "LoRA" in method:
        check_lora(case)
    elif "features_from" in case.header:
        check_wired_patnet(case)
    elif "content" in case.tensors:
        check_style(case)
    elif kind == "released" and "support_feats" in case.tensors:
        check_released(case)
    elif kind == "corrected" and "base_case" in case.header:
        check_corrected(case)
    else:
        raise case.cannot_place(f"method {method!r}, kind {kind!r}")


class Inputs:
    """Inputs of a released case, shots in the second axis."""

    def __init__(self, case: Case) -> None:
        self.support = case.take("support_feats").transpose(0, 1)
        self.mask = case.take("support_masks").transpose(0, 1).unsqueeze(2)
        self.query = case.take("query_feat")
        self.text, self.background = case.take("text_fg"), case.take("text_bg")
        self.host = torch.stack([case.take("host_fp"), case.take("host_bp")], dim=1)
        self.weights = case.other(case.header["weights"])
        self.alpha = float(case.header["alpha"])

    def guidance(self, kind: type[SemanticGuidance]) -> SemanticGuidance:
        """Build the guidance with the reference's weights; the background's text is the same for all."""
        channels, text_dim = self.query.shape[1], self.text.shape[1]
        assert bool((self.background == self.background[:1]).all())
        guidance = kind({"map": channels}, text_dim=text_dim, background_embedding=self.background[0], alpha=self.alpha)
        guidance.units[str(channels)].load_state_dict(convert_reference_state(self.weights.tensors))
        return guidance


def check_released(case: Case) -> None:
    inputs = Inputs(case)
    guidance = inputs.guidance(ReleasedSemanticGuidance)
    shots = inputs.support.shape[1]
    unit = guidance.units[str(inputs.query.shape[1])]
    text = guidance.class_text(inputs.text.unsqueeze(1))
    maps = inputs.support.flatten(0, 1)
    weights = guidance.mask_weights(inputs.mask.flatten(0, 1), list(maps.shape[2:]), maps)
    sentences = torch.stack([inputs.text, inputs.background], dim=1).repeat_interleave(shots, dim=0)
    prototypes = guidance.text_prototypes(maps, sentences, weights).unflatten(0, [-1, shots])
    text_prototypes = guidance.over_shots(prototypes, weights.sum(dim=(2, 3)).unflatten(0, [-1, shots]))[0]
    fused = guidance.fuse(inputs.host, inputs.support, inputs.mask, text)
    query_attended = guidance.guide(inputs.query, text)
    support_attended = guidance.guide(maps, text.repeat_interleave(shots, dim=0)).unflatten(0, [-1, shots])
    scale = torch.linspace(0.5, 1.5, inputs.query.shape[1]).view(1, -1, 1, 1)
    loss = fused[:, 0].square().mean() + fused[:, 1].square().mean() + (scale * query_attended.square()).mean()
    loss.backward()
    case.compare(
        {
            "text_mlp_fg": unit.text_mlp(inputs.text),
            "text_mlp_bg": unit.text_mlp(inputs.background),
            "attn_constant_fg": unit.constant(inputs.text),
            "attn_constant_bg": unit.constant(inputs.background),
            "proto_fg_per_shot": prototypes[:, :, 0].transpose(0, 1),
            "proto_bg_per_shot": prototypes[:, :, 1].transpose(0, 1),
            "FP_t": text_prototypes[:1, 0],
            "BP_t": text_prototypes[:1, 1],
            "FP": fused[:, 0],
            "BP": fused[:, 1],
            "query_attended": query_attended,
            "support_attended": support_attended.transpose(0, 1),
            "probe_loss": loss,
        }
    )
    case.compare(gradient_norms(dict(unit.named_parameters())), tolerance=1e-3)
    dead = [f"gradnorm/attn.in_proj_weight.{part}" for part in "qk"]
    assert all(case.take(name) < 1e-8 for name in dead if name in case.tensors), (
        "query or key projection has a gradient"
    )
    case.assert_all_checked()


def gradient_norms(parameters: dict[str, Tensor]) -> dict[str, Tensor]:
    """Norms of our gradients under the reference's names; its in-projection has a gradient in the value rows alone."""
    norms = {f"gradnorm/{name}": value.grad.norm() for name, value in parameters.items()}
    for kind in ("weight", "bias"):
        norms[f"gradnorm/attn.out_proj.{kind}"] = norms.pop(f"gradnorm/out.{kind}")
        norms[f"gradnorm/attn.in_proj_{kind}"] = norms.pop(f"gradnorm/value.{kind}")
    norms["gradnorm/attn.in_proj_weight.v"] = norms["gradnorm/attn.in_proj_weight"]
    return norms


@torch.no_grad()
def check_corrected(case: Case) -> None:
    inputs = Inputs(case.other(case.header["base_case"]))
    inputs.alpha = float(case.header["alpha"])
    guidance = inputs.guidance(SemanticGuidance)
    shots = inputs.support.shape[1]
    maps = inputs.support.flatten(0, 1)
    weights = guidance.mask_weights(inputs.mask.flatten(0, 1), list(maps.shape[2:]), maps)
    area = weights.sum(dim=(2, 3)).unflatten(0, [-1, shots])
    sentences = torch.stack([inputs.text, inputs.background], dim=1).repeat_interleave(shots, dim=0)
    prototypes = guidance.text_prototypes(maps, sentences, weights).unflatten(0, [-1, shots])
    text_prototypes, _ = guidance.over_shots(prototypes, area)
    fused = guidance.fuse(inputs.host, inputs.support, inputs.mask, inputs.text)
    case.compare(
        {
            "area_fg": area[:, :, 0].transpose(0, 1),
            "area_bg": area[:, :, 1].transpose(0, 1),
            "FP_t": text_prototypes[:, 0],
            "BP_t": text_prototypes[:, 1],
            "FP": fused[:, 0],
            "BP": fused[:, 1],
        }
    )
    case.assert_all_checked()


@torch.no_grad()
def check_style(case: Case) -> None:
    """Released styles with the noise and kernel that were drawn, and the corrected boundary."""
    content, noise = case.take("content"), case.take("noise")
    strength = float(case.header["strength"])
    released, corrected = ReleasedStylePerturbation(strength), StylePerturbation(strength)
    std, mean = torch.std_mean(content, dim=(2, 3))
    boundary = boundary_style(content, case.take("boundary_kernel_released"), strength)
    laplacian_boundary = corrected.style("boundary", content, noise)
    ours = {
        "mean": mean,
        "std_unbiased": std,
        "boundary_style": boundary,
        "boundary_out": transfer_statistics(content, boundary, is_unbiased=True),
        "corrected_boundary_style": laplacian_boundary,
        "corrected_boundary_out": transfer_statistics(content, laplacian_boundary, is_unbiased=True),
        "corrected_boundary_out_popstd": transfer_statistics(content, laplacian_boundary),
    }
    for name in ("noise", "contrast", "low_contrast"):
        ours[f"{name}_out"] = transfer_statistics(content, released.style(name, content, noise), is_unbiased=True)
    case.compare(ours)
    case.assert_all_checked()
    order = json.loads(case.header["random_choice_order_python_seed"])
    state = random.getstate()
    random.seed(order["seed"])
    drawn = [random.choice(STYLES) for _ in order["first12"]]
    random.setstate(state)
    assert drawn == order["first12"]
    assert laplacian(content).sum() == 0
