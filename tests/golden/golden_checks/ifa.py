# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""IFA: head in test and training mode, its published backbone, and the metric defect."""

from __future__ import annotations

import zlib

import numpy as np
import torch
from torch import Tensor

from golden_checks.case import Case, assert_close
from scripts.losses.episode_loss import EpisodeLoss, ignoring_cross_entropy
from scripts.metrics.segmentation import CaseArrays, CaseRow, count_overlap, figures
from scripts.networks.backbones.ifa_resnet import ifa_resnet50
from scripts.networks.blocks.self_support import Cells, Matched, own_prototypes, prepare_cells, refine
from scripts.networks.hosts.ifa import IFA
from scripts.networks.hosts.released.ifa import ReleasedIFA

GOLDEN_NAMES = {
    "query_refined": "out_refine",
    "query_1": "out_1",
    "query_self": "self_out",
    "support_self": "supp_out_0",
    "support_1": "supp_out_1",
    "query_2": "out_2",
    "support_2": "supp_out_2",
    "query_3": "out_3",
    "support_3": "supp_out_3",
}


def check_ifa(case: Case) -> None:
    """Choose the check by header and tensors."""
    if "n_classes" in case.header and "in.pred" in case.tensors:
        check_metric(case)
    elif "in.image" in case.tensors:
        check_backbone(case)
    elif "in.feat_q" in case.tensors and "training" in case.header:
        check_head(case)
    else:
        raise case.cannot_place("neither metric, backbone nor head")


def check_head(case: Case) -> None:
    hosts = {"released": ReleasedIFA, "corrected": IFA}
    behaviour = case.header.get("behaviour", "")
    if behaviour not in hosts:
        raise case.cannot_place(f"behaviour {behaviour!r}")
    is_training = case.flag("training")
    host = hosts[behaviour](
        levels=("c4",),
        use_refinement=case.flag("refine"),
        use_global_background=_has_global_background(case),
        has_adaptation=True,
    )
    shots = int(case.header["K"])
    query = case.take("in.feat_q").requires_grad_(is_training)
    query_mask = case.take("in.mask_q").float().unsqueeze(1)
    supports = [case.take(f"in.feat_s{k}").requires_grad_(is_training) for k in range(shots)]
    support = torch.stack(supports, dim=1)
    support_mask = torch.stack([case.take(f"in.mask_s{k}").float() for k in range(shots)], dim=1).unsqueeze(2)
    context = host.encode({"c4": support}, support_mask)
    foreground, background = context.foreground.unsqueeze(2), context.background.unsqueeze(2)

    if is_training:
        terms = host.training_terms({"c4": query}, {"c4": support}, support_mask, query_mask, context)
        outputs = host.outputs({"c4": query}, {"c4": support}, support_mask, query_mask, context, 3)
        targets = {name: support_mask.flatten(0, 1) if "support" in name else query_mask for name in outputs}
        logits = {name: host.upsample(output, query_mask) for name, output in outputs.items()}
        cross_entropies = {name: ignoring_cross_entropy(logits[name], targets[name]) for name in outputs}
        loss = EpisodeLoss()
        is_source = 5 if host.use_refinement else 4
        ours = {f"ce.{GOLDEN_NAMES[name]}": value for name, value in cross_entropies.items()}
        ours |= {
            f"logits.{GOLDEN_NAMES[name]}": _shot_major(value, shots) if "support" in name else value
            for name, value in logits.items()
        }
        ours |= {"loss.source": loss(terms[:is_source], query_mask), "loss.ifa": loss(terms, query_mask)}
        case.compare(ours)
        gradients = torch.autograd.grad(ours["loss.ifa"], [query, *supports])
        names = ["grad.ifa.feat_q", *(f"grad.ifa.feat_s{k}" for k in range(shots))]
        case.compare(dict(zip(names, gradients, strict=True)), tolerance=1e-3)
        best = logits["query_refined" if host.use_refinement else "query_1"]
    else:
        best = host.upsample(host.decode({"c4": query}, context), query_mask)
        name = "out_refine" if host.use_refinement else "out_1"
        case.compare({f"logits.{name}": best})
        if host.use_refinement:
            host.use_refinement = False
            case.compare({"logits.out_1": host.upsample(host.decode({"c4": query}, context), query_mask)})
            host.use_refinement = True
    _compare_argmax(case, best)
    rounds = 3 if is_training else 1
    case.compare(trace(host, query, support, foreground, background, rounds))
    case.assert_all_checked()


@torch.no_grad()
def trace(
    host: IFA, query: Tensor, support: Tensor, foreground: Tensor, background: Tensor, rounds: int
) -> dict[str, Tensor]:
    """Everything that the golden files record inside the rounds, under their names."""
    shots = support.shape[1]
    grid = list(query.shape[2:])
    cells, support_cells = prepare_cells(query), prepare_cells(support.flatten(0, 1))
    found: dict[str, Tensor] = {}

    def record(name: str, value: Tensor, size: list[int]) -> None:
        found[name] = value.unflatten(2, size if value.shape[2] > 1 else [1, 1])

    def record_score(name: str, score: Tensor, used_foreground: Tensor, used_background: Tensor) -> None:
        record(name, score, grid)
        record(f"{name}.FP_used", used_foreground, grid)
        record(f"{name}.BP_used", used_background, grid)

    def record_own(name: str, image: Cells, score: Tensor) -> None:
        for part, value in zip(("SSFP", "SSBP", "ASBP"), own_prototypes(image, score), strict=True):
            record(f"{name}.{part}", value, grid)
        probability = score.softmax(dim=1)
        found[f"{name}.n_fg"] = (probability[:, 1] > 0.7).sum(dim=1)
        found[f"{name}.n_bg"] = (probability[:, 0] > 0.6).sum(dim=1)

    for number in range(1, rounds + 1):
        start = f"it{number}"
        record(f"{start}.in_FP", foreground, grid)
        record(f"{start}.in_BP", background, grid)
        query_pass, support_pass = host.iterate(cells, support_cells, foreground, background, shots)
        record_score(f"{start}.q.sim0", query_pass.first, foreground, background)
        record_own(f"{start}.q.ssp0", cells, query_pass.first)
        record_score(f"{start}.q.sim1", query_pass.second, query_pass.foreground, query_pass.background)
        if number == 1 and host.use_refinement:
            refined = refine(cells, query_pass, foreground, background)
            record_own(f"{start}.q.ssp1", cells, query_pass.second)
            record_score(f"{start}.q.sim2", refined.first, refined.foreground, refined.background)
        own = Matched(*(_shot_major(value, shots) for value in support_pass))
        shot_major_cells = Cells(*(_shot_major(value, shots) for value in support_cells))
        used = host.to_supports(query_pass.foreground, shots), host.to_supports(query_pass.background, shots)
        used_background = host.crossing(used[1])
        record_score(f"{start}.s.sim0", own.first, _shot_major(used[0], shots), _shot_major(used_background, shots))
        record_own(f"{start}.s.ssp0", shot_major_cells, own.first)
        record_score(f"{start}.s.sim1", own.second, own.foreground, own.background)
        record(f"{start}.out_FP", host.from_supports(support_pass.foreground, shots), grid)
        record(f"{start}.out_BP", host.from_supports(support_pass.background, shots), grid)
        foreground, background = host.next_prototypes(support_pass, shots)
    return found


def check_backbone(case: Case) -> None:
    network = ifa_resnet50()
    network.load_state_dict({name: fill(name, value) for name, value in network.state_dict().items()})
    with torch.no_grad():
        x = network.maxpool(network.act1(network.bn1(network.conv1(case.take("in.image")))))
        found = {"out.layer0": x}
        for layer in (1, 2, 3):
            x = getattr(network, f"layer{layer}")(x)
            found[f"out.layer{layer}"] = x
    case.compare(found)
    case.assert_all_checked()


def fill(name: str, value: Tensor) -> Tensor:
    """Deterministic weights from a parameter's name."""
    if name.endswith("num_batches_tracked"):
        return torch.zeros_like(value)
    drawn = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(value.numel()).reshape(value.shape)
    if value.ndim >= 2:
        filled = drawn / np.sqrt(np.prod(value.shape[1:]))
    else:
        filled = (0.1 * drawn).astype(np.float16).astype(np.float64)
        if name.endswith("running_var"):
            filled = 1 + np.abs(filled)
        elif name.endswith("weight"):
            filled = 1 + filled
    return torch.from_numpy(filled.astype(np.float16)).float()


def check_metric(case: Case) -> None:
    """Per-class IoU as it should be, and the released value, which depends on the batch size."""
    pred, mask = case.take("in.pred"), case.take("in.mask")
    classes = case.take("in.class_id").tolist()
    number = int(case.header["n_classes"])
    counts = [count_overlap(one, truth) for one, truth in zip(pred, mask, strict=True)]
    rows = [CaseRow(f"{c}", f"{i}", count) for i, (c, count) in enumerate(zip(classes, counts, strict=True))]
    values = figures(CaseArrays.from_rows(rows))
    ours = {
        "corrected.miou": torch.tensor(values["class_miou"][0]),
        "corrected.fb_iou": torch.tensor(values["fb_iou"][0]),
        "corrected.iou_per_class": torch.tensor([values[f"iou/{c}"][0] for c in range(number)]),
    }
    for name in case.tensors:
        if name.startswith("released.miou_batch"):
            batch = int(name.removeprefix("released.miou_batch"))
            ours[name] = torch.tensor(released_miou(pred.numpy(), mask.numpy(), classes, number, batch))
    case.compare(ours, tolerance=1e-6)
    case.assert_all_checked()


def released_miou(pred: np.ndarray, mask: np.ndarray, classes: list[int], number: int, batch: int) -> float:
    """Mean IoU after every batch was relabelled with its first item's class (1-based), with one column too few."""
    histogram = np.zeros((number, number))
    for start in range(0, len(classes), batch):
        label = classes[start] + 1
        truth = mask[start : start + batch].astype(int) * label
        claimed = pred[start : start + batch].astype(int) * label
        counted = truth < number
        pairs = number * truth[counted] + claimed[counted]
        histogram += np.bincount(pairs, minlength=number**2)[: number**2].reshape(number, number)
    overlap = np.diag(histogram)
    union = histogram.sum(axis=0) + histogram.sum(axis=1) - overlap
    return float(np.mean(overlap[union > 0] / union[union > 0]))


def _has_global_background(case: Case) -> bool:
    """Whether a background prototype on its way to another image is one vector, though there are several positions."""
    crossing = [value for name, value in case.tensors.items() if name.startswith("it1.s.sim0.BP_used")]
    positions = case.tensors["in.feat_q"].shape[2] * case.tensors["in.feat_q"].shape[3]
    if not crossing or positions == 1:
        return False
    return crossing[0].shape[-2:].numel() == 1


def _shot_major(value: Tensor, shots: int) -> Tensor:
    """Rows of the supports in the golden files' order: (B * K, ...) -> (K * B, ...)."""
    return value.unflatten(0, [-1, shots]).transpose(0, 1).flatten(0, 1)


def _compare_argmax(case: Case, logits: Tensor) -> None:
    """The prediction must agree except where both channels are equal to the tolerance."""
    if "argmax" not in case.tensors:
        return
    golden = case.take("argmax")
    margin = (logits[:, 1] - logits[:, 0]).abs()
    differs = (logits.argmax(dim=1) != golden) & (margin > 1e-4 * logits.abs().max())
    assert_close(f"{case.path.name}: argmax", differs.float(), torch.zeros_like(margin), 0.0)
