# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CD-TG: low-rank adapters on the text tower, bypassed as released and taking part as corrected."""

from __future__ import annotations

import torch
from open_clip.transformer import TextTransformer
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn

from golden_checks.case import Case
from scripts.text.lora import adapt_tower


def check_lora(case: Case) -> None:
    """Three towers: without adapters, with peft's on the fused attention, with ours."""
    ids, rank, alpha = case.take("token_ids"), int(case.header["r"]), int(case.header["lora_alpha"])
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.1, bias="none", target_modules=["out_proj"])
    released = set_adapters(inject_adapter_in_model(config, tower(case)), case).eval()
    adapted = set_adapters(adapt_tower(tower(case), rank, alpha), case).eval()
    with torch.no_grad():
        base, bypassed = tower(case)(ids), released(ids)
    features = adapted(ids)
    loss = features.square().mean()
    loss.backward()
    case.compare(
        {
            "text_features_base": base,
            "text_features_released": bypassed,
            "corrected_text_features": features,
            "corrected_probe_loss": loss,
        }
    )
    norms = {f"gradnorm_corrected/lora/{name}": weight.grad.norm() for name, weight in adapters(adapted).items()}
    case.compare(norms, tolerance=1e-3)
    case.assert_all_checked()


def tower(case: Case) -> nn.Module:
    """The case's text tower, in open_clip's class."""
    weights = {name.removeprefix("weights/"): case.take(name) for name in case.tensors if name.startswith("weights/")}
    network = TextTransformer(
        context_length=int(case.header["context"]),
        vocab_size=int(case.header["vocab"]),
        width=int(case.header["width"]),
        heads=int(case.header["heads"]),
        layers=int(case.header["layers"]),
        output_dim=weights["text_projection"].shape[1],
    )
    network.load_state_dict(weights)
    return network.eval()


def adapters(network: nn.Module) -> dict[str, Tensor]:
    """Weights A and B of each block, under the case's names."""
    found = {}
    for name, parameter in network.named_parameters():
        if ".lora_" in name:
            found[f"{name.split('.')[2]}.{'A' if '.lora_A.' in name else 'B'}"] = parameter
    return found


@torch.no_grad()
def set_adapters(network: nn.Module, case: Case) -> nn.Module:
    """Fill the adapters with the case's weights, all of them."""
    own = adapters(network)
    assert {f"lora/{name}" for name in own} == {name for name in case.tensors if name.startswith("lora/")}
    for name, parameter in own.items():
        parameter.copy_(case.take(f"lora/{name}"))
    return network
