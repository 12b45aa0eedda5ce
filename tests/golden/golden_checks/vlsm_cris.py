# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CRIS: image encoder, spatial attention pool, and the head of neck, decoder and projector."""

from __future__ import annotations

import json

import torch
from torch import Tensor, nn

from golden_checks.case import Case
from scripts.networks.language.cris.attention_pool import SpatialAttentionPool
from scripts.networks.language.cris.decoder import CRISDecoder
from scripts.networks.language.cris.neck import Neck
from scripts.networks.language.cris.projector import Projector
from scripts.networks.language.cris.resnet import ClipResNet
from scripts.networks.language.loading import load_named
from scripts.networks.language.positions import sine_positions_1d, sine_positions_2d


class Head(nn.Module):
    """The parts under the names of the golden weights."""

    def __init__(self, config: dict[str, object]) -> None:
        super().__init__()
        fpn_in, fpn_out = tuple(config["fpn_in"]), tuple(config["fpn_out"])
        width = int(config["vis_dim"])
        self.neck = Neck(fpn_in, fpn_out)
        self.decoder = CRISDecoder(width, config["num_layers"], config["num_head"], config["dim_ffn"], dropout=0.0)
        self.proj = Projector(config["word_dim"], width // 2)


def check_head(case: Case) -> None:
    config = json.loads(case.header["config"])
    head = Head(config)
    load_named(head, case.other(case.header["weights"]).tensors, case.path)
    head.train(case.header.get("mode", "eval").startswith("train"))
    inputs = {name: case.take(name).requires_grad_() for name in ("v3", "v4", "v5", "words", "state")}
    case.take("input_ids")
    mask = case.take("pad_mask") == 0

    found: dict[str, Tensor] = {}
    parts = {
        "mid_neck_txt": head.neck.txt_proj, "mid_neck_f5": head.neck.norm_layer, "mid_neck_f4": head.neck.f2_cat,
        "mid_neck_f3": head.neck.f3_cat, "mid_neck_aggr": head.neck.aggr, "mid_neck_coord": head.neck.coordconv[0],
        "mid_proj_vis": head.proj.vis, "mid_proj_txt": head.proj.txt,
    }  # fmt: skip
    for name, part in parts.items():
        part.register_forward_hook(lambda _module, _inputs, output, name=name: found.__setitem__(name, output))
    for index, layer in enumerate(head.decoder.layers):
        for name, part in (("self", layer.self_attn), ("cross", layer.multihead_attn), ("layer", layer)):
            part.register_forward_hook(
                lambda _module, _inputs, output, name=f"mid_dec_{name}_{index}": found.__setitem__(name, output)
            )
    neck_out = head.neck(inputs["v3"], inputs["v4"], inputs["v5"], inputs["state"])
    decoded = head.decoder(neck_out, inputs["words"], mask)
    pred = head.proj(decoded, inputs["state"])
    for name, value in found.items():
        if name.startswith("mid_dec"):
            found[name] = (value[0] if isinstance(value, tuple) else value).transpose(0, 1)
    found |= {"neck_out": neck_out, "decoder_out": decoded, "pred": pred}
    found["pos1d"] = sine_positions_1d(config["vis_dim"], inputs["words"].shape[1])
    found["pos2d"] = sine_positions_2d(config["vis_dim"], tuple(neck_out.shape[2:]))
    if "pred_bicubic" in case.tensors:
        size = case.tensors["pred_bicubic"].shape[-2:]
        found["pred_bicubic"] = nn.functional.interpolate(pred, size=size, mode="bicubic", align_corners=True)
    case.compare(found)
    state = head.state_dict()
    case.compare({f"after_{name}": value for name, value in state.items()})

    loss = 100 * (pred * case.take("grad_pred_weight")).mean()
    parameters = dict(head.named_parameters())
    wanted = {f"grad_{name}": value for name, value in inputs.items()}
    wanted |= {name: parameters[name.removeprefix("gradw_")] for name in case.tensors if name.startswith("gradw_")}
    case.compare({"loss": loss})
    case.compare(dict(zip(wanted, torch.autograd.grad(loss, list(wanted.values())), strict=True)), tolerance=1e-3)
    case.assert_all_checked()


@torch.no_grad()
def check_attention_pool(case: Case) -> None:
    config = json.loads(case.header["config"])
    pool = SpatialAttentionPool(
        config["embed_dim"], config["output_dim"], config["heads"], config["spacial_dim"]
    ).eval()
    weights = {name.removeprefix("w_"): case.take(name) for name in case.tensors if name.startswith("w_")}
    load_named(pool, weights, case.path)
    x = case.take("x")
    positions = pool.positions((x.shape[2], x.shape[3])).T
    case.compare({"mid_pos": positions, "mid_residual": pool.connect(x), "out": pool(x)})
    case.assert_all_checked()


@torch.no_grad()
def check_resnet(case: Case) -> None:
    weights = case.other(case.header["weights"]).tensors
    width = weights["conv3.weight"].shape[0]
    table = weights["attnpool.positional_embedding"]
    blocks = [
        len({name.split(".")[1] for name in weights if name.startswith(f"layer{index}.")}) for index in range(1, 5)
    ]
    side = round((table.shape[0] - 1) ** 0.5)
    heads = max(table.shape[1] // 64, 1)
    network = ClipResNet(blocks, width, weights["attnpool.c_proj.weight"].shape[0], heads, side * 32).eval()
    load_named(network, weights, case.path)
    case.compare(dict(zip(("c3", "c4", "c5"), network(case.take("x")), strict=True)), tolerance=2e-4)
    case.assert_all_checked()
