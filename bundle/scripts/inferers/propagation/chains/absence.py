# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""How sure is it that a label is absent from a slice?

A label that was considered on a slice and lost is present there with the probability that its highest logit gives, p.
Beyond the slice on which its last chain ended nobody looked again: the label can be there only if it was missed at the
end, and then went on, so n steps farther p^(1 + n) stands in.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

__all__ = ["confidence_of_absence"]

CERTAIN = 0.999  # without an annotation nothing is surer


def confidence_of_absence(
    absent: Collection[int], strongest: Mapping[int, float], *, steps_per_slice: float = 1.0
) -> dict[int, float]:
    """Confidence per slice that a label is absent.

    Args:
        absent: the slices on which no pixel has the label.
        strongest: by slice, the highest logit of the label where it was considered; -inf where an annotation says that
            it isn't there.
        steps_per_slice: steps of a chain from one slice to the next; below 1 where chains skip slices.

    Returns:
        By slice of ``absent``, from 0 to 0.999. A slice without a logit takes the larger probability of presence that
        its nearest absent slices with one, on either side, leave.
    """
    known = {index: _sigmoid(strongest[index]) for index in sorted(absent) if index in strongest}
    confidence = {}
    for index in absent:
        if index in known:
            presence = known[index]
        else:
            below = max((other for other in known if other < index), default=None)
            above = min((other for other in known if other > index), default=None)
            presence = max(
                (known[end] ** (1 + steps_per_slice * abs(index - end)) for end in (below, above) if end is not None),
                default=0.0,
            )
        confidence[index] = min(CERTAIN, 1 - presence)
    return confidence


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit > -700 else 0.0
