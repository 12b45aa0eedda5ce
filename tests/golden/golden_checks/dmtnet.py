# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""DMTNet: local prototypes, coarse maps, both transforms and correlations, losses, dropout, votes, self-fine-tuning."""

from __future__ import annotations

import re
from itertools import cycle

import torch
from torch import Tensor
from torch.nn import functional as F

from golden_checks.case import Case, assert_close
from golden_checks.patnet import Inputs, published_state
from scripts.losses.episode_loss import EpisodeLoss, ignoring_cross_entropy
from scripts.networks.blocks.anchor_transform import anchor_coordinates, dense_correlation, unit_rows
from scripts.networks.blocks.cell_prototypes import cell_prototypes, count_cells
from scripts.networks.hosts.convert.dmtnet import convert_dmtnet
from scripts.networks.hosts.convert.hypercorrelation import head_names
from scripts.networks.hosts.dmtnet import DMTNet, DMTNetContext
from scripts.networks.hosts.released.dmtnet import ReleasedDMTNet
from scripts.networks.hosts.released.patnet import ReleasedAnchorHost

_KEPT = 0.8


class KeepMasks:
    """Stands in for a released host's dropout: the stored masks, in the order in which the anchors are drawn.

    The masks were read off the dropout's output, so that entries whose weight is zero count as dropped, whatever they
    were. The values are the same either way, but not the gradients of these entries.
    """

    def __init__(self, case: Case, levels: int) -> None:
        masks = []
        for index in range(levels):
            of_query = case.take(f"dropout_keep/Rq{index}").flip(1)  # the converter exchanged the anchors' rows
            masks += [case.take(f"dropout_keep/R{index}"), of_query]
        self.masks = cycle(masks)
        self.dropped: list[tuple[Tensor, Tensor]] = []

    def __call__(self, weight: Tensor, count: int) -> Tensor:
        mask = next(self.masks)
        assert mask.shape == (count, *weight.shape)
        rows = weight * mask / _KEPT
        if rows.requires_grad:
            rows.retain_grad()
            self.dropped.append((weight, rows))
        return unit_rows(rows)

    def largest_gradient(self, weight: Tensor) -> Tensor:
        """Bound of what the entries of zero weight may add to the gradient's norm."""
        gradients = [rows.grad.abs().sum(dim=0) for source, rows in self.dropped if source is weight]  # type: ignore[union-attr]
        return (torch.stack(gradients).sum(dim=0) / _KEPT)[weight == 0].norm()


def check_dmtnet(case: Case) -> None:
    """Check a case by its kind; where the released code is right, the corrected must agree."""
    kind = case.header.get("kind", "")
    if "support_masks" not in case.tensors or not kind.startswith(("released", "corrected")):
        raise case.cannot_place(f"kind {kind!r}")
    inputs = Inputs(case)
    state = converted_state(case)
    if kind.startswith("released"):
        host: DMTNet = ReleasedDMTNet(inputs.channels)
        compare_corrected(case, inputs, state)
        assert case.tensors.get("reproducible", torch.zeros(())) < 1e-4, f"{case.path}: depends on the LAPACK build"
    else:
        # These were made with the stored anchors as they are, not with those that the released order amounts to.
        host = DMTNet(inputs.channels)
        state = {n: v.flip(0) if n.startswith("query_anchors.") else v for n, v in state.items()}
    host.load_state_dict(state)
    host.eval()
    if "train mode" in kind:
        host.anchor_rows = KeepMasks(case, len(host.levels))  # type: ignore[method-assign]
    support, mask = inputs.shot(0)
    context = host.encode(support, mask)
    compare_prototypes(case, host, inputs, context)
    compare_branches(case, host, inputs, context)
    compare_losses(case, host, inputs, context)
    compare_shots(case, host, inputs)
    compare_fine_tuning(case, host, inputs)
    case.assert_all_checked(without=["reproducible"])


def converted_state(case: Case) -> dict[str, Tensor]:
    anchors, head = case.header["weights"].removesuffix(" (hpn_learner.*)").split(" + ")
    state = {n: v for n, v in published_state(case.other(head)).items() if n.startswith("hpn_learner.")}
    return convert_dmtnet(state | published_state(case.other(anchors)))


@torch.no_grad()
def compare_corrected(case: Case, inputs: Inputs, state: dict[str, Tensor]) -> None:
    """With both classes in every cell, and no dropout, the exchange of anchor rows is all that differs."""
    support, mask = inputs.shot(0)
    host = DMTNet(inputs.channels).eval()
    for maps in support.values():
        weights = host.mask_weights(mask[:, 0], list(maps.shape[-2:]), maps)
        if cell_prototypes(maps[:, 0], weights)[1].min() <= 1e-3 or "train mode" in case.header["kind"]:
            return
    host.load_state_dict(state)
    logits = host.decode(inputs.query, host.encode(support, mask))
    assert_close(f"{case.path.name}: corrected", logits, case.tensors["logits_small_fg"], 1e-4)


@torch.no_grad()
def compare_prototypes(case: Case, host: DMTNet, inputs: Inputs, context: DMTNetContext) -> None:
    """Prototypes of maps 0 and 4, local ones, coarse maps of all."""
    support, mask = inputs.shot(0)
    prototypes = host.passes(support, mask, None).prototypes
    own, of_query, singular = [], [], []
    found: dict[str, Tensor] = {}
    for index, level in enumerate(host.levels):
        own.append(prototypes[level])
        maps, directions = inputs.query[level], context.directions[level]
        scores = anchor_coordinates(maps, directions[:, 0]).unsqueeze(1)
        of_query.append(host.query_prototypes(maps, scores)[:, 0].flip(1))
        singular.append(torch.linalg.svdvals(unit_rows(of_query[-1])).min())
        found[f"pred/{index}"] = host.coarse_map(maps, directions)[:, 0] * released_ratio(host, context, level)
        weights = host.mask_weights(mask[:, 0], list(maps.shape[-2:]), maps)
        cells = cell_prototypes(support[level][:, 0], weights)[0]
        found |= {
            f"grid_proto_f/{index}": cells[:, 0].transpose(0, 1),
            f"grid_proto_b/{index}": cells[:, 1].transpose(0, 1),
        }
    for name, rows in (("proto", own), ("query_proto", of_query)):
        both = torch.cat([rows[0], rows[4]], dim=2)
        found |= {f"{name}_f": both[:, 0], f"{name}_b": both[:, 1]}
    found["n_cells"] = torch.tensor([count_cells(*context.support[level].shape[-2:]) for level in host.levels])
    found["query_min_singular"] = torch.stack(singular)
    case.compare(found)


def released_ratio(host: DMTNet, context: DMTNetContext, level: str) -> float:
    return host.cell_ratio(context, level) if isinstance(host, ReleasedDMTNet) else 1.0


@torch.no_grad()
def compare_branches(case: Case, host: DMTNet, inputs: Inputs, context: DMTNetContext) -> None:
    """Correlations, encoding and logits against the support's foreground and its background."""
    query, *supports = host.factors(inputs.query, context)
    for side, support in zip(("fg", "bg"), supports, strict=True):
        encoded = host.head.encode(query, support)
        small = host.head.decode(encoded)
        case.compare({f"encoded_{side}": encoded, f"logits_small_{side}": small})
        if side == "fg":
            large = host.upsample(small, inputs.query_mask)
            case.compare({"logits": large if large.shape[-1] <= 40 else large[..., ::2, ::2]})
        for number, left, right in zip((2, 3, 4), query, support, strict=True):
            name = f"corr_l{number}_{side}"
            correlation = dense_correlation(left, right)
            stored = case.tensors[name]  # of several maps, only the first ones may be stored
            case.compare({name: correlation[:, : stored.shape[1]] if stored.dim() == 6 else correlation[:, 0]})


def compare_losses(case: Case, host: DMTNet, inputs: Inputs, context: DMTNetContext) -> None:
    """All losses, and the gradient of their sum, to which the coarse maps contribute nothing."""
    support, mask = inputs.shot(0)
    terms = host.training_terms(inputs.query, support, mask, inputs.query_mask, context)
    loss = EpisodeLoss()
    total = loss(terms, inputs.query_mask)
    coarse = {
        level: host.coarse_map(inputs.query[level], context.directions[level])[:, 0]
        * released_ratio(host, context, level)
        for level in host.levels
    }
    truncated, nearest = (coarse_loss(coarse, inputs.query_mask, is_nearest) for is_nearest in (False, True))
    if isinstance(host, ReleasedDMTNet):
        assert_close(
            f"{case.path.name}: terms of the coarse maps", 2 * loss(terms[2:], inputs.query_mask), truncated, 1e-5
        )
    else:
        total = total + 0.5 * truncated
    ours = {"loss_fg": loss(terms[:1], inputs.query_mask), "loss_bg": loss(terms[1:2], inputs.query_mask)}
    case.compare({**ours, "loss_pred": truncated, "loss_pred_nearest_target": nearest, "loss_total": total})
    assert not truncated.requires_grad
    total.backward()
    parameters = dict(host.named_parameters())
    names = head_names() | {f"reference_layer{i + 1}.weight": f"anchors.{i}.weight" for i in range(3)}
    names |= {f"reference_layer{i + 4}.weight": f"query_anchors.{i}.weight" for i in range(3)}
    norms = {theirs: parameters[ours].grad.norm() for theirs, ours in names.items()}  # type: ignore[union-attr]
    if isinstance(host.anchor_rows, KeepMasks):
        for theirs in [name for name in names if name.startswith("reference_layer")]:
            unknown = host.anchor_rows.largest_gradient(parameters[names[theirs]])
            golden, known = case.take(f"gradnorm/{theirs}"), norms.pop(theirs)
            assert (1 - 1e-3) * known <= golden <= (1 + 1e-3) * torch.hypot(known, unknown), f"{case.path}: {theirs}"
    case.compare({f"gradnorm/{theirs}": norm for theirs, norm in norms.items()}, tolerance=1e-3)


def coarse_loss(coarse: dict[str, Tensor], mask: Tensor, is_nearest: bool) -> Tensor:
    """Mean over the levels of the cross-entropy against the resized mask."""
    losses = []
    for maps in coarse.values():
        if is_nearest:
            target = F.interpolate(mask, maps.shape[-2:], mode="nearest")
        else:
            target = F.interpolate(mask, maps.shape[-2:], mode="bilinear", align_corners=True).trunc()
        losses.append(ignoring_cross_entropy(maps, target))
    return torch.stack(losses).mean()


@torch.no_grad()
def compare_shots(case: Case, host: DMTNet, inputs: Inputs) -> None:
    """K independent passes in one: logits and votes."""
    if "votes" not in case.tensors:
        return
    query, support, _ = host.factors(inputs.query, host.encode(inputs.support, inputs.support_mask))
    shots = inputs.support_mask.shape[1]
    small = host.segment(query, support, shots)
    flat = host.upsample(small.flatten(0, 1), inputs.query_mask)
    large = flat.unflatten(0, [-1, shots])
    # Stored after a way to the image's size and back.
    back = F.interpolate(flat, small.shape[-2:], mode="bilinear", align_corners=True)
    case.compare({"logits_per_shot_small": back.unflatten(0, [-1, shots])})
    sure = ((large[:, :, 1] - large[:, :, 0]).abs() > 1e-4 * large.abs().max()).all(dim=1)
    merged = ReleasedAnchorHost.merge_shots(host, large).argmax(dim=1)  # type: ignore[arg-type]
    for name, ours in (("votes", large.argmax(dim=2).sum(dim=1)), ("pred_kshot", merged)):
        golden = case.take(name)
        assert_close(f"{case.path.name}: {name}", torch.where(sure, ours, golden), golden, 0.0)
    assert sure.float().mean() > 0.98


def compare_fine_tuning(case: Case, host: DMTNet, inputs: Inputs) -> None:
    """One Adam step of self-matching on all episodes at once."""
    if "tsf_loss" not in case.tensors:
        return
    context = host.encode(inputs.support, inputs.support_mask)
    tuned = list(host.adaptable_parameters())
    loss = host.adaptation_loss(inputs.support, inputs.support_mask, context)
    gradients = torch.autograd.grad(loss, tuned)
    case.compare({"tsf_loss": loss})
    names = [f"hpn_learner.encoder_layer{stage}.7.weight" for stage in ("4to3", "3to2")]
    case.compare({f"tsf_grad/{name}": value for name, value in zip(names, gradients, strict=True)})
    rate = re.search(r"lr ([0-9.e-]+)", case.header["tsf"])
    assert rate, case.header["tsf"]
    optimizer = torch.optim.Adam(tuned, lr=float(rate[1]))
    for parameter, gradient in zip(tuned, gradients, strict=True):
        parameter.grad = gradient
    optimizer.step()
    for name, parameter, gradient in zip(names, tuned, gradients, strict=True):
        # The first step goes by the gradient's sign alone, which round-off decides for the smallest.
        golden = case.tensors[f"tsf_after/{name}"]
        after = torch.where(gradient.abs() > 1e-6, parameter.detach(), golden)
        case.compare({f"tsf_after/{name}": after})
        parameter.data.copy_(after)
    with torch.no_grad():
        small = host.decode(inputs.query, context)
        back = F.interpolate(
            host.upsample(small, inputs.query_mask), small.shape[-2:], mode="bilinear", align_corners=True
        )
        case.compare({"tsf_logits_small": back})
