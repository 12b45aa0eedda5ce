# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Vision-language segmentation: CLIPSeg, CRIS, adapters, losses. What a case is about is read from its header."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor, nn

from golden_checks.case import Case
from golden_checks.vlsm_cris import check_attention_pool, check_head, check_resnet
from golden_checks.vlsm_losses import check_losses
from scripts.networks.language.adapters.bottleneck import Bottleneck
from scripts.networks.language.base import Normalise
from scripts.networks.language.clipseg.decoder import CLIPSegDecoder
from scripts.networks.language.clipseg.network import CLIPSeg
from scripts.networks.language.clipseg.shape import CLIPSegShape, TextShape, VisionShape
from scripts.networks.language.loading import load_named

UNUSED = ("clip.logit_scale",)


def check_vlsm(case: Case) -> None:
    """Choose the check by header and tensors."""
    names = set(case.tensors)
    if {"act_0", "cond"} <= names:
        check_clipseg_decoder(case)
    elif {"pixel_values", "input_ids"} <= names:
        check_clipseg(case)
    elif {"v3", "v4", "v5", "words"} <= names:
        check_head(case)
    elif "w_connect.0.weight" in names:
        check_attention_pool(case)
    elif {"c3", "c4", "c5", "x"} <= names:
        check_resnet(case)
    elif {"logits", "target"} <= names:
        check_losses(case)
    elif "w_fc1.weight" in names:
        check_adapter(case)
    else:
        raise case.cannot_place("neither CLIPSeg, CRIS, an adapter nor losses")


def check_clipseg_decoder(case: Case) -> None:
    config = json.loads(case.header["config"])
    count = sum(name.startswith("act_") for name in case.tensors)
    decoder = CLIPSegDecoder(
        config["hidden"],
        config["proj"],
        depth=count,
        reduced=config["reduce"],
        num_heads=config["heads"],
        hidden=config["ffn"],
        patch_size=config["patch"],
        conditional_layer=config["cond"],
        is_complex=config["cplx"],
    ).eval()
    load_named(decoder, case.other(case.header["weights"]).tensors, case.path)
    activations = [case.take(f"act_{index}").requires_grad_() for index in range(count)]
    condition = case.take("cond").requires_grad_()
    side = int((activations[0].shape[1] - 1) ** 0.5)

    found: dict[str, Tensor] = {}
    watch(found, "mid_film_mul", decoder.film_mul)
    watch(found, "mid_film_add", decoder.film_add)
    for index, (reduce, layer) in enumerate(zip(decoder.reduces, decoder.layers, strict=True)):
        watch(found, f"mid_reduce_{index}", reduce)
        watch(found, f"mid_block_out_{index}", layer)
        layer.register_forward_pre_hook(
            lambda _module, inputs, index=index: found.__setitem__(f"mid_block_in_{index}", inputs[0])
        )
    if isinstance(decoder.transposed_convolution, nn.Sequential):
        for index, part in enumerate(decoder.transposed_convolution):
            watch(found, f"mid_tconv_{index}", part)
    logits = decoder(activations, condition, (side, side))[:, 0]
    case.compare({"logits": logits, **found})
    inputs = {f"grad_act_{index}": value for index, value in enumerate(activations)} | {"grad_cond": condition}
    compare_gradients(case, 100 * (logits * case.take("grad_logits_weight")).mean(), inputs, decoder)
    case.assert_all_checked()


def check_clipseg(case: Case) -> None:
    config = json.loads(case.header["config"])
    network = CLIPSeg(clipseg_shape(config)).eval()
    network.normalise = Normalise((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    load_named(network, case.other(case.header["weights"]).tensors, case.path, ignored=UNUSED)
    pixels, token_ids, mask = case.take("pixel_values"), case.take("input_ids"), case.take("attention_mask")
    vision, text = network.clip.vision_model, network.clip.text_model
    with torch.no_grad():
        states = vision(pixels)
        found = {f"vision_hidden_{index}": state for index, state in enumerate(states)}
        found["vision_pooled_projected"] = network.encode_prompt_image(pixels)
        found["text_last_hidden"], _ = text(token_ids, mask)
        found["text_pooled"] = text.at_end(found["text_last_hidden"], token_ids)
        vector = network.encode_token_ids(token_ids, mask)
        found["conditional_embeddings"] = vector
        features = network.encode_image(pixels)
        seen = torch.ones(len(vector), 1, dtype=torch.bool)
        logits = network.decode(features, network.encode_text(vector[:, None], seen))
        found["logits"] = logits[:, 0]
        if "labels" in case.tensors:
            labels = case.take("labels")
            found["bce_loss"] = nn.functional.binary_cross_entropy_with_logits(logits[:, 0], labels)
        if "conditional_pixel_values" in case.tensors:
            example = network.encode_prompt_image(case.take("conditional_pixel_values"))
            found["conditional_embeddings_image"] = example
            context = network.encode_text(example[:, None], seen)
            found["logits_image_prompt"] = network.decode(features, context)[:, 0]
    case.compare(found)
    case.assert_all_checked()


def clipseg_shape(config: dict[str, Any]) -> CLIPSegShape:
    vision, text = config["vision"], config["text"]
    return CLIPSegShape(
        vision=VisionShape(
            vision["hidden"], vision["ffn"], vision["layers"], vision["heads"], vision["patch"], vision["image_size"],
            vision["eps"],
        ),
        text=TextShape(
            text["hidden"], text["ffn"], text["layers"], text["heads"], text["vocab"], text["max_pos"],
            text["eos_token_id"],
        ),
        projection=config["projection_dim"],
        reduced=config["reduce_dim"],
        decoder_heads=config["decoder_heads"],
        decoder_hidden=config["decoder_ffn"],
        extract_layers=tuple(config["extract_layers"]),
        conditional_layer=config["conditional_layer"],
        is_complex=config["complex"],
    )  # fmt: skip


def check_adapter(case: Case) -> None:
    weights = take_weights(case)
    hidden, width = weights["fc1.weight"].shape
    adapter = Bottleneck(width, hidden, released=True)
    load_named(adapter, weights, case.path)
    x = case.take("x").requires_grad_()
    out = adapter(x)
    case.compare({"out": out}, tolerance=1e-5)
    loss = (out * case.take("grad_out_weight")).mean()
    parameters = dict(adapter.named_parameters())
    wanted = {"grad_x": x} | {
        name: parameters[name.removeprefix("gradw_")] for name in case.tensors if name.startswith("gradw_")
    }
    case.compare(dict(zip(wanted, torch.autograd.grad(loss, list(wanted.values())), strict=True)), tolerance=1e-3)
    case.assert_all_checked()


def take_weights(case: Case, prefix: str = "w_") -> dict[str, Tensor]:
    """Weights that lie in the case itself."""
    return {name.removeprefix(prefix): case.take(name) for name in case.tensors if name.startswith(prefix)}


def watch(found: dict[str, Tensor], name: str, module: nn.Module) -> None:
    """Record a module's output under a golden name."""
    module.register_forward_hook(lambda _module, _inputs, output: found.__setitem__(name, output))


def compare_gradients(case: Case, loss: Tensor, inputs: dict[str, Tensor], module: nn.Module) -> None:
    """Compare the loss, the gradients of inputs, and those of weights (``gradw_<name>``)."""
    parameters = dict(module.named_parameters())
    named = {name: parameters[name.removeprefix("gradw_")] for name in case.tensors if name.startswith("gradw_")}
    wanted = {**inputs, **named}
    case.compare({"loss": loss}, tolerance=1e-4)
    gradients = torch.autograd.grad(loss, list(wanted.values()))
    case.compare(dict(zip(wanted, gradients, strict=True)), tolerance=1e-3)
