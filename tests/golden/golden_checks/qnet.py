# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Q-Net: head in test and training mode, the prototypes' refinement, the embedding and the published backbone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from golden_checks.case import Case, assert_close
from golden_checks.ifa import fill
from scripts.losses import EpisodeLoss
from scripts.networks.backbones.qnet_resnet import qnet_resnet101
from scripts.networks.blocks.prototype_refinement import prepare_query, refine_prototype
from scripts.networks.blocks.upsampled_pooling import upsampled_average
from scripts.networks.hosts.base import TrainingTerm
from scripts.networks.hosts.convert.qnet import convert_qnet
from scripts.networks.hosts.qnet import QNet
from scripts.networks.hosts.released.qnet import ReleasedQNet

WIDTHS = {"c4": 1024, "c5": 2048}


def check_qnet(case: Case) -> None:
    """Choose the check by tensors and header."""
    if "in.image" in case.tensors:
        check_backbone(case)
    elif "in.layer3" in case.tensors:
        check_embedding(case)
    elif "in.down2_q" in case.tensors and "train" in case.header:
        check_head(case)
    else:
        raise case.cannot_place("neither backbone, embedding nor head")


class _FromMaps:
    """The head behind the embedding: features are the embedded maps and the threshold."""

    def embed(self, features: dict[str, Tensor]) -> list[Tensor]:
        return [features["c4"], features["c5"]]

    def threshold(self, features: dict[str, Tensor]) -> Tensor:
        return features["t"]


class _Head(_FromMaps, QNet):
    pass


class _ReleasedHead(_FromMaps, ReleasedQNet):
    pass


def check_head(case: Case) -> None:
    heads: dict[str, Any] = {"released": _ReleasedHead, "corrected": _Head}
    behaviour, shots, batch = case.header.get("behaviour", ""), int(case.header["K"]), int(case.header["B"])
    if behaviour not in heads or float(case.header["scaler"]) != 20:
        raise case.cannot_place(f"behaviour {behaviour!r}, scaler {case.header.get('scaler')!r}")
    is_training, steps = case.flag("train"), int(case.header["n_iters"])
    names = {"c4": "down2", "c5": "down3"}
    query = {level: case.take(f"in.{name}_q").requires_grad_(is_training) for level, name in names.items()}
    width = query["c4"].shape[1]
    head = heads[behaviour](
        {"c4": width, "c5": width}, fine_weight=float(case.header["alpha"]), refinement_steps=steps
    ).train(is_training)
    supports = {
        level: [case.take(f"in.{name}_s{k}").requires_grad_(is_training) for k in range(shots)]
        for level, name in names.items()
    }
    thresholds = case.take("in.t_all").requires_grad_(is_training)  # shot by shot, then the queries
    threshold = thresholds[shots * batch :]
    masks = torch.stack([case.take(f"in.mask_s{k}").float() for k in range(shots)], dim=1).unsqueeze(2)
    query_mask = case.take("in.mask_q").float().unsqueeze(1)
    support = {level: torch.stack(maps, dim=1) for level, maps in supports.items()}
    context = head.encode({**support, "t": thresholds[: shots * batch].unflatten(0, (shots, batch)).mT}, masks)
    features = {**query, "t": threshold}
    maps = [query["c4"], query["c5"]]

    before = [head.foreground(maps[n], context.prototypes[:, n], threshold)[:, 0] for n in (0, 1)]
    ours = {"thresh": threshold}
    for n in (0, 1):
        ours |= {f"proto.{n}": context.prototypes[:, n], f"pred.{n}": before[n]}
    loss = EpisodeLoss()
    if is_training:
        terms = head.training_terms(features, {**support, "t": threshold}, masks, query_mask, context)
        zero = terms[0].logits.sum() * 0
        ours["loss.query"] = loss(terms[:1], query_mask)
        ours["loss.align"] = loss(terms[1:], query_mask) if terms[1:] else zero
        ours["loss.total"] = ours["loss.query"] + ours["loss.align"]
        logits = terms[0].logits
        ours |= alignment(head, maps, logits, threshold, support)
    else:
        logits = head.decode(features, context)
        ours["loss.query"] = loss([TrainingTerm(logits, query_mask, 1.0, head.background_weight)], query_mask)
        ours |= refinement(head, case, maps, context.prototypes, threshold, steps)
    ours["out"] = logits.softmax(dim=1)
    case.compare(ours)
    if is_training:
        inputs = {f"grad.q.{name}": query[level] for level, name in names.items()}
        for k in range(shots):
            inputs |= {f"grad.s{k}.{name}": supports[level][k] for level, name in names.items()}
        inputs["grad.t"] = thresholds
        gradients = torch.autograd.grad(ours["loss.total"], list(inputs.values()), materialize_grads=True)
        case.compare(dict(zip(inputs, gradients, strict=True)), tolerance=1e-3)
    _compare_argmax(case, logits)
    case.assert_all_checked()


def alignment(
    head: QNet, maps: list[Tensor], logits: Tensor, threshold: Tensor, support: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Prototypes of the query and what they say of every support: scale 1, then 2, support by support."""
    found = logits.argmax(dim=1, keepdim=True).float()
    shots = support["c4"].shape[1]
    values = {}
    for n, level in enumerate(("c4", "c5")):
        prototype = upsampled_average(maps[n], found)
        for k in range(shots):
            values[f"align.proto.{2 * k + n}"] = prototype
            values[f"align.pred.{2 * k + n}"] = head.foreground(support[level][:, k], prototype, threshold)[:, 0]
    return values


def refinement(
    head: QNet, case: Case, maps: list[Tensor], prototypes: Tensor, threshold: Tensor, steps: int
) -> dict[str, Tensor]:
    """Every step's loss by the definition, and the predictions and prototypes after it."""
    values: dict[str, Tensor] = {}
    for n in (0, 1):
        query = prepare_query(maps[n])
        trace = [
            refine_prototype(query, prototypes[:, n], threshold, step, is_swapped=head.is_swapped)
            for step in range(steps + 1)
        ]
        after = [head.foreground(maps[n], prototype, threshold)[:, 0] for prototype in trace]
        losses = [literal_loss(maps[n], p, y > 0.5, head.is_swapped) for p, y in zip(trace, after, strict=True)]
        values[f"refined_proto.{n}"] = trace[-1]
        values[f"pred.{n + 2}"] = after[-1]
        values[f"refine.{n}.loss_per_iter"] = torch.stack(losses[:steps]) if steps else torch.zeros(0)
        if steps:
            values[f"refine.{n}.pred_after_1"] = after[1]
    return values


def literal_loss(maps: Tensor, prototype: Tensor, is_claimed: Tensor, is_swapped: bool) -> Tensor:
    """Cross-entropy between the map and its reconstruction, both scaled over the whole map, of one episode."""
    rebuilt = torch.where(is_claimed.unsqueeze(1), prototype[:, :, None, None], maps)
    scaled = [((x - x.min()) / (x.max() - x.min())).sigmoid() for x in (maps, rebuilt)]
    return F.binary_cross_entropy(*scaled) if is_swapped else F.binary_cross_entropy(scaled[1], scaled[0])


def check_embedding(case: Case) -> None:
    host = QNet(WIDTHS)
    host.load_state_dict(convert_qnet(_filled(_published_names(host))))
    features = {"c4": case.take("in.layer3"), "c5": case.take("in.layer4")}
    case.compare(_embedded(host, features))
    case.assert_all_checked()


def check_backbone(case: Case) -> None:
    host, network = QNet(WIDTHS), qnet_resnet101()
    host.load_state_dict(convert_qnet(_filled(_published_names(host))))
    names = {name: f"encoder.backbone.{name}" for name in network.state_dict()}
    network.load_state_dict({name: fill(names[name], value) for name, value in network.state_dict().items()})
    with torch.no_grad():
        x = network.maxpool(network.act1(network.bn1(network.conv1(case.take("in.image")))))
        found = {"out.maxpool": x}
        for layer in (1, 2, 3, 4):
            x = getattr(network, f"layer{layer}")(x)
            found[f"out.layer{layer}"] = x
        embedded = _embedded(host, {"c4": found["out.layer3"], "c5": x})
    for name, value in embedded.items():
        if f"{name}.norm" in case.tensors:
            assert_close(f"{case.path.name}: {name}.norm", value.norm(dim=1), case.take(f"{name}.norm"), 1e-4)
            embedded[name] = value[:, : case.tensors[name].shape[1]]  # the plain name holds the first channels
    case.compare(found | embedded)
    case.assert_all_checked()


def _embedded(host: QNet, features: dict[str, Tensor]) -> dict[str, Tensor]:
    with torch.no_grad():
        fine, coarse = host.embed(features)
        hidden = host.threshold_head[0](features["c5"].mean(dim=(2, 3)))
        return {"out.down2": fine, "out.down3": coarse, "out.fc": hidden, "out.t": host.threshold(features)}


def _published_names(host: nn.Module) -> dict[str, Tensor]:
    """Parameters of the host under their published names."""
    names = {
        "embed_fine": "encoder.reduce1",
        "embed_coarse": "encoder.reduce2",
        "threshold_head.0": "encoder.backbone.fc",
        "threshold_head.1": "encoder.reduce1d",
    }
    renamed = {}
    for name, value in host.state_dict().items():
        module, kind = name.rsplit(".", 1)
        renamed[f"{names[module]}.{kind}"] = value
    return renamed


def _filled(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: fill(name, value) for name, value in state.items()}


def _compare_argmax(case: Case, logits: Tensor) -> None:
    """The prediction must agree except where both channels are equal to the tolerance."""
    golden = case.take("argmax")
    probability = logits.softmax(dim=1)
    margin = (probability[:, 1] - probability[:, 0]).abs()
    differs = (logits.argmax(dim=1) != golden) & (margin > 1e-4)
    assert_close(f"{case.path.name}: argmax", differs.float(), torch.zeros_like(margin), 0.0)
