# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The public relatives of LSMS' parts: SegNeXt's and SLViT's blocks and heads, LAVT's attention. LSMS has no oracle."""

from __future__ import annotations

import json
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from golden_checks.case import Case
from scripts.networks.language.loading import load_named
from scripts.networks.language.lsms.attention import LanguageBranch, SpatialGate
from scripts.networks.language.lsms.decoder_a import AllScaleHead
from scripts.networks.language.lsms.decoder_b import CellAttention
from scripts.networks.language.lsms.factorisation import Factorisation, Hamburger
from scripts.networks.language.lsms.mscan import Block
from scripts.networks.language.lsms.word_attention import WordFusion, Words

# Created by the public code and never used.
UNUSED = ("fusion.project_v.0.weight", "fusion.project_v.0.bias")
_ATTENTION = {
    "project_q.0": "query", "project_k.0": "key", "project_v.0": "value", "W.0": "output",
    "f_query.0": "query", "f_key.0": "key", "f_value.0": "value",
}  # fmt: skip
_BRANCH = {f"fusion.vis_lang_att.{theirs}": f"language.attention.{ours}" for theirs, ours in _ATTENTION.items()}
_BRANCH |= {"fusion.res_gate.0": "language.gate.first", "fusion.res_gate.2": "language.gate.second"}
_FUSION = {f"fusion.image_lang_att.{theirs}": f"attention.{ours}" for theirs, ours in _ATTENTION.items()}
_FUSION |= {
    "fusion.vis_project.0": "visual", "fusion.project_mm.0": "merge",
    "res_gate.0": "gate.first", "res_gate.2": "gate.second",
}  # fmt: skip
_HEAD = {
    "squeeze.conv": "squeeze.0", "squeeze.norm": "squeeze.1", "align.conv": "align.0", "align.norm": "align.1",
    "hamburger.ham_in.conv": "context.before", "hamburger.ham_out.conv": "context.after", "conv1": "classify",
}  # fmt: skip
_CELLS = {"Attention.qkv_linear": "qkv", "Attention.proj": "proj", "layer_scale": "layer_scale"}


def check_lsms(case: Case) -> None:
    """Choose the check by tensors."""
    names = set(case.tensors)
    if "bases0" in names:
        check_factorising_head(case)
    elif "w_Attention.qkv_linear.weight" in names:
        check_cell_attention(case)
    elif "w_res_gate.0.weight" in names:
        check_fusion(case)
    elif "w_layer_scale_1" in names:
        check_block(case)
    elif "w_conv0.weight" in names:
        check_gate(case)
    else:
        raise case.cannot_place("no part of SegNeXt, SLViT or LAVT")


def check_gate(case: Case) -> None:
    """SegNeXt's gate, or SLViT's with the branch of the words."""
    weights = take_weights(case, _BRANCH)
    channels = weights["conv3.weight"].shape[0]
    inputs = {"x": case.take("x").requires_grad_()}
    words = None
    if "l" in case.tensors:
        inputs["l"] = case.take("l").requires_grad_()
        words = words_of(case, inputs["l"])
    gate = SpatialGate(channels, language_of(case, channels))
    load_named(gate, weights, case.path)
    found: dict[str, Tensor] = {}
    for name in ("conv0", "conv0_2", "conv1_2", "conv2_2", "conv3"):
        watch(found, f"mid_{name}", getattr(gate, name))
    if gate.language is not None:
        watch(found, "mid_cross_ungated", gate.language.attention)
        watch(found, "mid_cross", gate.language)
    out, word_weights = gate(inputs["x"], words)
    found["out"] = out
    if word_weights is not None:
        found["sim_sum"] = word_weights.sum(2)[:, None]
    case.compare(found)
    compare_gradients(case, out, inputs, gate, _BRANCH)
    case.assert_all_checked()


def check_block(case: Case) -> None:
    config = json.loads(case.header["config"])
    inner = {f"attn.spatial_gating_unit.{key}": f"attn.spatial_gating_unit.{value}" for key, value in _BRANCH.items()}
    weights = take_weights(case, inner)
    channels = weights["layer_scale_1"].shape[0]
    words = words_of(case, case.take("l")) if "l" in case.tensors else None
    block = Block(channels, weights["mlp.fc1.weight"].shape[0] // channels, language_of(case, channels)).eval()
    load_named(block, weights, case.path)
    x = case.take("x").transpose(1, 2).unflatten(2, (config["H"], config["W"]))
    with torch.no_grad():
        attended, _ = block.attn(block.norm1(x), words)
        out, _ = block(x, words)
    case.compare({"mid_attn": attended, "out": out.flatten(2).transpose(1, 2)})
    case.assert_all_checked()


def check_fusion(case: Case) -> None:
    """LAVT's attention and gate."""
    config = json.loads(case.header["config"])
    weights = take_weights(case, _FUSION)
    inputs = {"x": case.take("x").requires_grad_(), "l": case.take("l").requires_grad_()}
    fusion = WordFusion(weights["visual.weight"].shape[0], inputs["l"].shape[1], config["heads"])
    load_named(fusion, weights, case.path)
    found: dict[str, Tensor] = {}
    watch(found, "mid_attention", fusion.attention)
    fusion.visual.register_forward_hook(
        lambda _module, _inputs, output: found.__setitem__(
            "mid_vis_project", nn.functional.gelu(output).transpose(1, 2)
        )
    )
    out, fused = fusion(inputs["x"], words_of(case, inputs["l"]))
    case.compare({**found, "out": out, "fused": fused})
    compare_gradients(case, out, inputs, fusion, _FUSION)
    case.assert_all_checked()


@torch.no_grad()
def check_factorising_head(case: Case) -> None:
    config = json.loads(case.header["config"])
    weights = take_weights(case, _HEAD)
    width, groups = config["ham_channels"], config["group_norm"]
    factorisation = Factorisation(width, config["R"], eval_steps=config["eval_steps"])
    head = AllScaleHead(
        config["dims"], width, Hamburger(width, factorisation), weights["classify.weight"].shape[0], groups
    ).eval()
    load_named(head, weights, case.path, absent=["context.factorisation"])
    bases = case.take("bases0")
    run = factorisation.forward
    factorisation.forward = lambda values: run(values, bases)  # type: ignore[method-assign]
    found: dict[str, Tensor] = {}
    watch(found, "mid_squeeze", head.squeeze)
    watch(found, "mid_nmf", factorisation)
    watch(found, "mid_hamburger", head.context)
    count = len(config["dims"])
    found["out"], _ = head([case.take(f"f{number}") for number in range(1, count + 1)])
    case.compare(found, tolerance=float(case.header.get("tolerance", 1e-4)))
    case.assert_all_checked()


@torch.no_grad()
def check_cell_attention(case: Case) -> None:
    config = json.loads(case.header["config"])
    attention = CellAttention(config["dim"], config["heads"], released=True)
    load_named(attention, take_weights(case, _CELLS), case.path)
    case.compare({"out": attention(case.take("x"))})
    case.assert_all_checked()


def take_weights(case: Case, names: Mapping[str, str]) -> dict[str, Tensor]:
    """Weights of the case under our names; kernels of one cell become matrices where ours are linear layers."""
    weights = {}
    for name in case.tensors:
        if name.startswith("w_"):
            value = case.take(name)
            if not name.endswith(UNUSED) or "vis_lang_att" in name:
                weights[renamed(name.removeprefix("w_"), names)] = value.squeeze(2) if value.ndim == 3 else value
    return weights


def renamed(name: str, names: Mapping[str, str]) -> str:
    for theirs, ours in names.items():
        if name == theirs or name.startswith(theirs + "."):
            return ours + name[len(theirs) :]
    return name


def words_of(case: Case, states: Tensor) -> Words:
    return Words(states.transpose(1, 2), case.take("l_mask")[..., 0] > 0)


def language_of(case: Case, channels: int) -> LanguageBranch | None:
    if "l" not in case.tensors:
        return None
    heads = json.loads(case.header["config"]).get("heads", 1)
    return LanguageBranch(channels, case.tensors["l"].shape[1], heads)


def watch(found: dict[str, Tensor], name: str, module: nn.Module) -> None:
    """Record a module's (first) output under a golden name."""
    module.register_forward_hook(
        lambda _module, _inputs, output: found.__setitem__(name, output[0] if isinstance(output, tuple) else output)
    )


def compare_gradients(
    case: Case, out: Tensor, inputs: dict[str, Tensor], module: nn.Module, names: Mapping[str, str]
) -> None:
    """Compare the loss and its gradients for inputs and weights."""
    loss = 100 * (out * case.take("grad_out_weight")).mean()
    case.compare({"loss": loss})
    parameters = dict(module.named_parameters())
    wanted = {f"grad_{name}": value for name, value in inputs.items()}
    for name in case.tensors:
        if name.startswith("gradw_"):
            wanted[name] = parameters[renamed(name.removeprefix("gradw_"), names)]
    case.compare(dict(zip(wanted, torch.autograd.grad(loss, list(wanted.values())), strict=True)), tolerance=1e-3)
