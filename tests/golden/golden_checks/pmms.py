# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""PMMs and RPMMs: means, match and head with every stored activation, losses, gradient norms, and the backbone."""

from __future__ import annotations

import re
import zlib
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from golden_checks.case import Case, assert_close
from golden_checks.ifa import fill
from scripts.losses import EpisodeLoss
from scripts.losses.episode_loss import ignoring_cross_entropy
from scripts.networks.backbones.pmms_resnet import pmms_resnet50
from scripts.networks.blocks.mixture_means import match_means, mixture_means
from scripts.networks.hosts.convert.pmms import convert_pmms, convert_rpmms, pmms_names, rpmms_names
from scripts.networks.hosts.pmms import PMMs
from scripts.networks.hosts.released.pmms import ReleasedPMMs, ReleasedRPMMs
from scripts.networks.hosts.rpmms import RPMMs

HOSTS: dict[tuple[str, str], Any] = {
    ("PMMs", "released"): ReleasedPMMs,
    ("PMMs", "corrected"): PMMs,
    ("RPMMs", "released"): ReleasedRPMMs,
    ("RPMMs", "corrected"): RPMMs,
}
LEVELS = {"c3": "layer2", "c4": "layer3"}


def check_pmms(case: Case) -> None:
    """Choose the check by tensors and header."""
    if "in.image" in case.tensors:
        check_backbone(case)
    elif "in.feat_q.layer2" in case.tensors and "mode" in case.header:
        check_head(case)
    else:
        raise case.cannot_place("neither backbone nor head")


def check_head(case: Case) -> None:
    method, behaviour, mode = case.header["method"], case.header.get("behaviour", ""), case.header["mode"]
    if (method, behaviour) not in HOSTS or mode not in ("eval", "bn_train"):
        raise case.cannot_place(f"method {method!r}, behaviour {behaviour!r}, mode {mode!r}")
    shots, width = int(case.header["K"]), int(case.header["width"])
    query = {level: case.take(f"in.feat_q.{layer}").requires_grad_() for level, layer in LEVELS.items()}
    options = {"sums_stages": shots > 1} if HOSTS[method, behaviour] is ReleasedRPMMs else {}
    channels = {level: maps.shape[1] for level, maps in query.items()}
    host = HOSTS[method, behaviour](channels, embedding_channels=width, dropout=0.0, **options)
    names = load(host, case, method)
    host.train(mode == "bn_train")
    supports = {
        level: [case.take(f"in.feat_s{k}.{layer}").requires_grad_() for k in range(shots)]
        for level, layer in LEVELS.items()
    }
    support = {level: torch.stack(maps, dim=1) for level, maps in supports.items()}
    masks = torch.stack([case.take(f"in.mask_s{k}").float() for k in range(shots)], dim=1)
    query_mask = case.take("in.mask_q").float()
    state = {name: value.clone() for name, value in host.state_dict().items()}

    with torch.no_grad():
        record = Recorder(host, shots)
        context = host.encode(support, masks)
        answer = host.decode(query, context)
        ours = record.activations()
        record.remove()
        host.load_state_dict(state)  # norms in training mode have moved, here and below
        ours |= means_and_matches(host, support, query, masks)
        host.load_state_dict(state)
        ours |= answers(host, query, context, query_mask)
        host.load_state_dict(state)
    full = host.upsample(answer, query_mask)
    ours["logits.out"], ours["prob.out5_released"] = answer, answer
    ours["pred.softmax_full"] = full.softmax(dim=1)
    ours["ce.of_output"] = ignoring_cross_entropy(full, query_mask)
    terms = host.training_terms(query, support, masks, query_mask, host.encode(support, masks))
    ours["loss"] = loss = EpisodeLoss()(terms, query_mask)
    case.compare(ours)
    _compare_argmax(case, "pred.argmax", full)
    _compare_argmax(case, "pred.argmax_last_stage", full)
    compare_gradients(case, host, names, loss, query, supports)
    case.assert_all_checked()


def load(host: nn.Module, case: Case, method: str) -> dict[str, str]:
    """Load the weights that the header names, or those of the fill rule; our parameter names by published ones."""
    convert, names = (convert_pmms, pmms_names()) if method == "PMMs" else (convert_rpmms, rpmms_names())
    starts = [case.take(f"in.mu_init.k{count}")[0].T for count in host.counts]  # type: ignore[union-attr, operator]
    if case.header["weights"].endswith(".safetensors"):
        state = case.other(case.header["weights"]).tensors
    else:
        own = host.state_dict()
        own["embedding.weight"] = torch.cat(list(host.embedding.weights), dim=1)  # type: ignore[union-attr, arg-type]
        gain = float(re.search(r"gain (\d+(?:\.\d+)?)", case.header["weights"])[1])  # type: ignore[index]
        state = {name: fill_with_gain(name, own[ours], gain) for name, ours in names.items()}
    host.load_state_dict(convert(state, torch.cat(starts)))
    return names


def fill_with_gain(name: str, value: Tensor, gain: float) -> Tensor:
    """The fill rule with another gain than one."""
    if value.ndim < 2:
        return fill(name, value)
    drawn = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(value.numel()).reshape(value.shape)
    return torch.from_numpy((drawn * gain / np.sqrt(np.prod(value.shape[1:]))).astype(np.float16)).float()


class Recorder:
    """Keeps what every part of a host returns."""

    def __init__(self, host: Any, shots: int) -> None:
        self.host, self.shots = host, shots
        head = host.head
        parts = {"layer5": host.embedding, "layer56": head.smooth, "layer9": head.classify}
        parts |= {f"residule{index + 1}": branch for index, branch in enumerate(head.trunk)}
        parts |= {"pool": head.pool} | {f"pyramid{index}": branch for index, branch in enumerate(head.pyramid)}
        self.found: dict[str, list[Tensor]] = {name: [] for name in (*parts, "layer55", "layer7")}
        self.handles = [
            part.register_forward_hook(lambda _module, _inputs, output, name=name: self.found[name].append(output))
            for name, part in parts.items()
        ]
        of_mean, finish = head.prototypes.of_mean, head.merge.finish
        head.prototypes.of_mean = lambda *arguments: self._keep("layer55", of_mean(*arguments))
        head.merge.finish = lambda maps: self._keep("layer7", finish(maps))

    def _keep(self, name: str, value: Tensor) -> Tensor:
        self.found[name].append(value)
        return value

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()
        del self.host.head.prototypes.of_mean, self.host.head.merge.finish

    def activations(self) -> dict[str, Tensor]:
        """By the names and the order of calls of the golden files."""
        found = {name: list(values) for name, values in self.found.items()}
        supports, query = found["layer5"]
        by_shot = list(supports.unflatten(0, (-1, self.shots)).unbind(dim=1))
        found["layer5"] = [*by_shot, query] if self.shots == 1 else [query, *by_shot]
        pools = found.pop("pool")
        branches = zip(*(found.pop(f"pyramid{index}") for index in range(4)), strict=True)
        found["layer6"] = [
            torch.cat([pool.expand_as(maps[0]), *maps], dim=1) for pool, maps in zip(pools, branches, strict=True)
        ]
        return {f"act.{name}.{index}": value for name, values in found.items() for index, value in enumerate(values)}


def means_and_matches(
    host: Any, support: dict[str, Tensor], query: dict[str, Tensor], masks: Tensor
) -> dict[str, Tensor]:
    """Per stage: the sample map, means after 1, 2 and all iterations, and the match."""
    shots = masks.shape[1]
    maps = host.embed({level: value.flatten(0, 1) for level, value in support.items()})
    query_maps = host.embed(query)
    size = list(maps.shape[2:])
    weights = host.region_weights(masks.flatten(0, 1), maps).unflatten(0, (-1, shots)).transpose(1, 2).flatten(2)
    by_shot = maps.unflatten(0, (-1, shots)).transpose(1, 2)  # (B, C, K, h, w)
    features, values, begin = by_shot.flatten(2), {}, 0
    for stage, count in enumerate(host.counts):
        start, name = host.start[begin : begin + count], f"pmm{stage}"
        means = {steps: mixture_means(features, weights, start, steps) for steps in (1, 2, 10)}
        values[f"{name}.feature_in"] = by_shot.flatten(2, 3)
        for side, part in enumerate(("fg", "bg")):
            values |= {f"{name}.{part}.mu_after_iter{steps}": means[steps][:, side] for steps in (1, 2)}
        values |= {f"{name}.mu_f": means[10][:, 0], f"{name}.mu_b": means[10][:, 1]}
        assigned = match_means(query_maps.flatten(2), means[10]).flatten(1, 2)
        values[f"{name}.P"] = assigned.unflatten(2, size)
        values[f"{name}.prob_map"] = host.match(query_maps, means[10])
        begin += count
    return values


def answers(host: Any, query: dict[str, Tensor], context: Any, query_mask: Tensor) -> dict[str, Tensor]:
    """What only the residual variant has: every stage's logits and its part of the loss."""
    if not isinstance(host, RPMMs):
        return {}
    stages = host.stages(query, context)
    losses = [ignoring_cross_entropy(host.upsample(logits, query_mask), query_mask) for logits in stages]
    return {
        "logits.out0": stages[0],
        "logits.out1": stages[1],
        "logits.last_stage": stages[2],
        "prob.mean3": torch.stack(stages).softmax(dim=2).mean(dim=0),
        "loss.seg1": losses[1],
        "loss.seg2_last": losses[2],
    }


def compare_gradients(
    case: Case,
    host: nn.Module,
    names: dict[str, str],
    loss: Tensor,
    query: dict[str, Tensor],
    supports: dict[str, list[Tensor]],
) -> None:
    """Norms of all stored gradients, and which inputs get none."""
    parameters = dict(host.named_parameters())
    inputs = {theirs: parameters[ours] for theirs, ours in names.items() if ours in parameters}
    inputs |= {name: value for name, value in parameters.items() if name.startswith("embedding.weights")}
    features = {f"feat_q.{layer}": query[level] for level, layer in LEVELS.items()}
    for level, layer in LEVELS.items():
        features |= {f"feat_s{k}.{layer}": maps for k, maps in enumerate(supports[level])}
    gradients = torch.autograd.grad(loss, [*inputs.values(), *features.values()], allow_unused=True)
    by_name = dict(zip([*inputs, *features], gradients, strict=True))
    by_name["layer5.0.weight"] = torch.cat(
        [by_name[name] for name in inputs if name.startswith("embedding.weights")], 1
    )
    norms = {f"gradnorm.{name}": torch.zeros(()) if value is None else value.norm() for name, value in by_name.items()}
    for name in case.header.get("gradient_exactly_zero", "").split():
        assert norms[name] < 1e-5, f"{case.path.name}: {name} should be zero, is {norms[name]:.3g}"
    case.compare(norms, tolerance=1e-3)
    case.compare({f"grad_is_none.{name}": torch.tensor(by_name[name] is None).float() for name in features})


def check_backbone(case: Case) -> None:
    network = pmms_resnet50()
    network.load_state_dict({name: fill(f"model_res.{name}", value) for name, value in network.state_dict().items()})
    with torch.no_grad():
        x = network.maxpool(network.act1(network.bn1(network.conv1(case.take("in.image")))))
        found = {}
        for layer in (1, 2, 3):
            x = getattr(network, f"layer{layer}")(x)
            found[f"out.layer{layer}"] = x
    for name, value in list(found.items()):
        if f"{name}.norm" in case.tensors:
            assert_close(f"{case.path.name}: {name}.norm", value.norm(dim=1), case.take(f"{name}.norm"), 1e-4)
        if name in case.tensors:
            found[name] = value[:, : case.tensors[name].shape[1]]  # the plain name holds the first channels
    case.compare(found)
    case.assert_all_checked()


def _compare_argmax(case: Case, name: str, logits: Tensor) -> None:
    """The prediction must agree except where both channels are equal to the tolerance."""
    if name not in case.tensors:
        return
    golden = case.take(name).reshape(logits[:, 0].shape)
    margin = (logits[:, 1] - logits[:, 0]).abs()
    differs = (logits.argmax(dim=1) != golden) & (margin > 1e-4 * logits.abs().max())
    assert_close(f"{case.path.name}: {name}", differs.float(), torch.zeros_like(margin), 0.0)
