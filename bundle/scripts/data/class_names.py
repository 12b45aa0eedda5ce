# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Names of label values."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["name_labels"]


def name_labels(values: Sequence[int], class_names: Sequence[str] = ()) -> dict[int, str]:
    """Name label values.

    Args:
        values: label values in rising order.
        class_names: as many names, in this order; empty: every value is called ``label <value>``.

    Raises:
        ValueError: when their numbers differ.
    """
    if not class_names:
        return {value: f"label {value}" for value in values}
    if len(class_names) != len(values):
        raise ValueError(
            f"{len(class_names)} class_names ({', '.join(class_names)}) for {len(values)} label values {list(values)}"
        )
    return dict(zip(values, class_names, strict=True))
