# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""PATNet: transform, correlations, 4-D head, loss and gradients, votes, fine-tuning; and CD-TG wired into it."""

from __future__ import annotations

import json
from itertools import groupby

import torch
from torch import Tensor
from torch.nn import functional as F

from golden_checks.case import Case, assert_close
from scripts.losses.episode_loss import EpisodeLoss
from scripts.networks.blocks.anchor_transform import dense_correlation
from scripts.networks.hosts.anchor_host import STAGES
from scripts.networks.hosts.convert.hypercorrelation import head_names
from scripts.networks.hosts.convert.patnet import convert_patnet
from scripts.networks.hosts.patnet import PATNet, PATNetContext
from scripts.networks.hosts.released.patnet import ReleasedPATNet
from scripts.networks.semantic_guidance import SemanticGuidance, convert_reference_state

Features = dict[str, Tensor]


def check_patnet(case: Case) -> None:
    """Check a case by its kind; what the released code does reproducibly, the corrected must do too."""
    kind = case.header.get("kind", "")
    if "support_masks" not in case.tensors or not kind.startswith(("released", "corrected")):
        raise case.cannot_place(f"kind {kind!r}")
    corrected_only = {name for name in case.tensors if name.startswith("corrected_")}
    released_only = {name for name in case.tensors if name in ("pred_kshot", "finetune_kl_released")}
    check_host(case, PATNet, released_only)
    if kind.startswith("released"):
        check_host(Case(case.path), ReleasedPATNet, corrected_only)


class Inputs:
    """Maps, masks and weights of a case; shots in the second axis."""

    def __init__(self, case: Case) -> None:
        source = case if "this file" in case.header["features_from"] else case.other(case.header["features_from"])
        scale = float(source.header["feature_scale"])
        number = sum(name.startswith("query_feat/") for name in source.tensors)
        query = [source.take(f"query_feat/{index}").float() * scale for index in range(number)]
        support = [source.take(f"support_feat/{index}").float().transpose(0, 1) * scale for index in range(number)]
        stages = [list(maps) for _, maps in groupby(query, key=lambda maps: maps.shape[1:])]
        names = [f"{stage}.{i}" for stage, maps in zip(STAGES, stages, strict=True) for i in range(len(maps))]
        self.channels = {name: maps.shape[1] for name, maps in zip(names, query, strict=True)}
        self.query = dict(zip(names, query, strict=True))
        self.support = dict(zip(names, support, strict=True))
        masks = case if "support_masks" in case.tensors else source
        self.support_mask = masks.take("support_masks").float().unsqueeze(2)
        self.query_mask = masks.take("query_mask").float().unsqueeze(1)

    def shot(self, index: int) -> tuple[Features, Tensor]:
        """One shot alone, as a support set of one."""
        one = slice(index, index + 1)
        return {name: maps[:, one] for name, maps in self.support.items()}, self.support_mask[:, one]


def published_state(weights: Case) -> dict[str, Tensor]:
    """Weights stored as integers and a scale."""
    tensors = weights.tensors
    return {n: v.float() * tensors[f"{n}.scale"] for n, v in tensors.items() if not n.endswith(".scale")}


def check_host(case: Case, kind: type[PATNet], not_of_this_kind: set[str]) -> None:
    inputs = Inputs(case)
    host = kind(inputs.channels)
    host.load_state_dict(convert_patnet(published_state(case.other(case.header["weights"]))))
    support, mask = inputs.shot(0)
    context = host.encode(support, mask)
    query_factors, support_factors = host.factors(inputs.query, context)
    encoded = host.head.encode(query_factors, support_factors)
    logits = host.upsample(host.decode(inputs.query, context), inputs.query_mask)
    loss = EpisodeLoss()(
        host.training_terms(inputs.query, support, mask, inputs.query_mask, context), inputs.query_mask
    )
    loss.backward()
    case.compare(
        {
            "encoded": encoded,
            "decoder1": host.head.decoder(encoded),
            "logits_small": host.decode(inputs.query, context),
            "logits": logits if logits.shape[-1] <= 64 else logits[..., ::2, ::2],
            "loss": loss,
        }
    )
    first = [stage[0] for stage in host.stages]
    prototypes = host.passes(support, mask, None).prototypes
    rows = torch.cat([prototypes[name] for name in first], dim=2)
    case.compare({"proto_f": rows[:, 0], "proto_b": rows[:, 1]})
    compare_transformed(case, host, inputs, context)
    squeezed = host.head.squeezed(query_factors, support_factors)
    for number, maps, left, right in zip((2, 3, 4), squeezed, query_factors, support_factors, strict=True):
        correlation = dense_correlation(left, right)
        case.compare({f"sqz{number}": maps.permute(0, 5, 1, 2, 3, 4), f"corr_l{number}_map0": correlation[:, 0]})
        name = f"corr_l{number}"
        if name in case.tensors:  # of several maps, the first ones may be stored
            case.compare({name: correlation[:, : case.tensors[name].shape[1]]})
    case.compare(gradient_norms(host), tolerance=1e-3)
    compare_shots(case, host, inputs)
    compare_fine_tuning(case, host, inputs, context)
    case.assert_all_checked(without=not_of_this_kind)


def compare_transformed(case: Case, host: PATNet, inputs: Inputs, context: PATNetContext) -> None:
    """Transformed maps R^T a of the first episodes; the support's is masked."""
    for name in [name for name in case.tensors if name.startswith("transformed_")]:
        index = int(name.rsplit("/", 1)[1])
        level = host.levels[index]
        stage = next(i for i, stage in enumerate(host.stages) if level in stage)
        anchors = host.anchors[stage]()
        inverse = context.inverse[level][:, 0]
        if name.startswith("transformed_query/"):
            coordinates = torch.einsum("bmc,bchw->bmhw", inverse, inputs.query[level])
        else:
            coordinates = context.support[level][:, 0]
        transformed = torch.einsum("mc,bmhw->bchw", anchors, coordinates)
        case.compare({name: transformed[: case.tensors[name].shape[0]]})


def gradient_norms(host: PATNet) -> dict[str, Tensor]:
    parameters = dict(host.named_parameters())
    names = {f"reference_layer{index + 1}.weight": f"anchors.{index}.weight" for index in range(3)} | head_names()
    return {f"gradnorm/{theirs}": parameters[ours].grad.norm() for theirs, ours in names.items()}


@torch.no_grad()
def compare_shots(case: Case, host: PATNet, inputs: Inputs) -> None:
    """K independent passes in one: logits, votes, and the two ways to merge them."""
    small = host.shot_logits(inputs.query, host.encode(inputs.support, inputs.support_mask))
    shots = small.shape[1]
    flat = host.upsample(small.flatten(0, 1), inputs.query_mask)
    large = flat.unflatten(0, [-1, shots])
    # Stored after a way to the image's size and back.
    back = F.interpolate(flat, small.shape[-2:], mode="bilinear", align_corners=True)
    case.compare({"logits_per_shot_small": back.unflatten(0, [-1, shots])})
    sure = ((large[:, :, 1] - large[:, :, 0]).abs() > 1e-4 * large.abs().max()).all(dim=1)
    predicted = host.merge_shots(large).argmax(dim=1)
    merged = "pred_kshot" if isinstance(host, ReleasedPATNet) else "corrected_pred_mean_softmax"
    for name, ours in (("votes", large.argmax(dim=2).sum(dim=1)), (merged, predicted)):
        if name in case.tensors:
            golden = case.take(name)
            assert_close(f"{case.path.name}: {name}", torch.where(sure, ours, golden), golden, 0.0)
            assert sure.float().mean() > 0.98


def compare_fine_tuning(case: Case, host: PATNet, inputs: Inputs, context: PATNetContext) -> None:
    """Divergence of the first stage's foreground prototypes, the query's under its true mask."""
    if not any("finetune" in name or name.startswith("query_proto") for name in case.tensors):
        return
    levels = host.stages[0]
    found = host.foreground_prototypes(inputs.query, inputs.query_mask, context.text)
    support, mask = inputs.shot(0)
    true = host.foreground_prototypes({name: maps[:, 0] for name, maps in support.items()}, mask[:, 0], context.text)
    case.compare({"query_proto_f_first4": torch.stack([found[level] for level in levels], dim=1)})
    inverse = {level: rows[:, 0] for level, rows in context.inverse.items()}
    divergence = host.divergence({level: true[level] for level in levels}, found, inverse)
    if isinstance(host, ReleasedPATNet):
        assert not divergence.requires_grad
        case.compare({"finetune_kl_released": divergence})
    else:
        norms = torch.autograd.grad(divergence, list(host.adaptable_parameters()), allow_unused=True)
        case.compare({"corrected_finetune_kl": divergence})
        ours = {
            f"corrected_finetune_gradnorm/reference_layer{index + 1}.weight": gradient.norm()
            for index, gradient in enumerate(norms)
            if gradient is not None
        }
        case.compare(ours, tolerance=1e-3)


class OneWidthGuidance(SemanticGuidance):
    """Guidance of the maps of one width only, as the released unit would fit them."""

    def fuse(self, host_prototypes: Tensor, support: Tensor, mask: Tensor, text: Tensor) -> Tensor:
        if str(support.shape[2]) not in self.units:
            return host_prototypes
        return super().fuse(host_prototypes, support, mask, text)


@torch.no_grad()
def check_wired_patnet(case: Case) -> None:
    """CD-TG in PATNet: fused prototypes, logits and loss for several shares of the text."""
    base = case.other(case.header["features_from"])
    inputs = Inputs(base)
    unit_file, host_file = case.header["weights"].split(" + ")
    text, background = case.take("text_fg"), case.take("text_bg")
    assert bool((background == background[:1]).all())
    for alpha in json.loads(case.header["alphas"]):
        guidance = OneWidthGuidance(
            {"map": text.shape[1]}, text_dim=text.shape[1], background_embedding=background[0], alpha=alpha
        )
        guidance.units[str(text.shape[1])].load_state_dict(convert_reference_state(case.other(unit_file).tensors))
        host = PATNet(inputs.channels, guidance=lambda _, guidance=guidance: guidance)
        state = convert_patnet(published_state(case.other(host_file)))
        host.load_state_dict(state | {f"guidance.{name}": value for name, value in guidance.state_dict().items()})
        context = host.encode(inputs.support, inputs.support_mask, text.unsqueeze(1))
        terms = host.training_terms(inputs.query, inputs.support, inputs.support_mask, inputs.query_mask, context)
        logits = host.decode(inputs.query, context)
        passes = host.passes(inputs.support, inputs.support_mask, text.unsqueeze(1))
        fused = passes.prototypes[host.levels[0]]
        case.compare(
            {
                f"logits_small/{alpha}": logits,
                f"loss/{alpha}": EpisodeLoss()(terms, inputs.query_mask),
                f"fused_f_map0/{alpha}": fused[:, 0],
                f"fused_b_map0/{alpha}": fused[:, 1],
            }
        )
        if alpha == 0:
            assert_close(f"{case.path.name}: no text", logits, base.tensors["logits_small"], 1e-4)
    case.assert_all_checked()
