# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""From a configuration to the values that decide a training's result.

The sections that the trainer and the validation are made of are followed from reference to reference, so that no
option of a host, a transform or an optimizer can be forgotten. Each is described by its ``_target_`` and its arguments,
resolved to plain values; what is content (datalists, descriptions of classes, weights) by a digest. Left out is what
doesn't change the result: folders, the device, caches, workers, reports, and the number of epochs.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from monai.bundle import ConfigParser
from monai.bundle.config_item import ConfigComponent, ConfigExpression
from monai.bundle.reference_resolver import ReferenceResolver
from torch import Tensor

from ...files.digest import content_digest
from ...handlers.experiment import Experiment
from .own_names import own_name
from .plain_values import is_plain
from .running_config import running_config

__all__ = ["describe_experiment", "experiment_of"]

_PLACES = frozenset({"bundle_root", "dataset_dir", "output_dir", "ckpt_dir", "feature_cache_dir", "device"})
_LENGTH = "epochs"
_NO_PART = frozenset(
    {
        *("_desc_", "_disabled_", "_requires_"),
        *("device", "max_epochs", "num_workers", "pin_memory", "persistent_workers", "prefetch_factor"),
        *("cache_rate", "cache_dir", "cache_file", "index_file", "mask_dir", "log_dir", "progress"),
        *("print_lr", "exec_at_start"),
        "adaptation",  # acts after the training only
    }
)
_REPORTS = ("ProgressBar", "StatsHandler", "TensorBoardStatsHandler", "TensorBoardImageHandler", "MLFlowHandler")
_OMITTED = object()


def describe_experiment(engines: Sequence[str], names: Mapping[str, str]) -> Experiment:
    """Describe the training of the configuration that calls this, which builds it.

    Args:
        engines: ids of the trainer and of the evaluator that chooses ``best.pt``.
        names: what to call the training by, such as ``{"host": "@host_name"}``.

    Raises:
        RuntimeError: when no configuration is running.
    """
    return experiment_of(running_config("describe_experiment").parser, engines, names)


def experiment_of(parser: ConfigParser, engines: Sequence[str], names: Mapping[str, str]) -> Experiment:
    """Describe the training of a parsed configuration; see :func:`describe_experiment`."""
    description = _Description(parser)
    sections = description.sections([ReferenceResolver.normalize_id(engine) for engine in engines])
    is_shared = dist.is_available() and dist.is_initialized()
    processes = dist.get_world_size() if is_shared else 1
    values = {"names": dict(names), "options": description.options, "processes": processes, **sections}
    told: list[Any] = [values]
    if is_shared:  # the first process has handlers that the others lack, and it writes the checkpoint
        dist.broadcast_object_list(told, src=0)
    return Experiment(told[0], description.keys)


class _Description:
    """Walks a configuration; gathers what it passes."""

    def __init__(self, parser: ConfigParser) -> None:
        self.parser = parser
        self.options: dict[str, Any] = {}  # plain keys behind what is described by its result, such as a fold
        self.keys: dict[str, str] = {}
        self._waiting: list[str] = []
        folder = parser.get("dataset_dir", None)
        found = None if folder is None else parser.get_parsed_content("dataset_dir")
        self._data_folder = Path(found).expanduser().absolute() if isinstance(found, str | Path) else None

    def sections(self, roots: Sequence[str]) -> dict[str, Any]:
        """Describe the roots and all sections that they refer to, by id with dots."""
        found: dict[str, Any] = {}
        self._waiting = list(roots)
        while self._waiting:
            id_ = self._waiting.pop(0)
            name = id_.replace("::", ".")
            if name not in found:
                found[name] = None
                found[name] = self._described(id_, self.parser[id_], name)
        return {name: value for name, value in found.items() if value is not _OMITTED}

    def _described(self, id_: str, raw: Any, path: str) -> Any:
        if ConfigComponent.is_instantiable(raw):
            return self._component(id_, raw, path)
        if isinstance(raw, dict):
            return self._parts(id_, raw, path)
        if isinstance(raw, list):
            described = [self._described(f"{id_}::{index}", part, f"{path}.{index}") for index, part in enumerate(raw)]
            return [part for part in described if part is not _OMITTED]
        if isinstance(raw, str):
            return self._text(id_, raw, path)
        return raw

    def _parts(self, id_: str, raw: Mapping[str, Any], path: str) -> dict[str, Any]:
        described = {
            key: self._described(f"{id_}::{key}", part, f"{path}.{key}")
            for key, part in raw.items()
            if key not in _NO_PART
        }
        return {key: part for key, part in described.items() if part is not _OMITTED}

    def _component(self, id_: str, raw: Mapping[str, Any], path: str) -> Any:
        target = raw["_target_"]
        if isinstance(target, str) and target.rpartition(".")[2] in _REPORTS:
            return _OMITTED
        made = self.parser.get_parsed_content(id_)
        if made is None:
            return None
        result = self._result(made, raw)
        if result is not _OMITTED:
            return result
        described = {**self._parts(id_, raw, path), "_target_": own_name(target) if isinstance(target, str) else ""}
        if hasattr(type(made), "fingerprint"):  # not of the object: a metric of Ignite's has every attribute
            fingerprint = made.fingerprint
            described["content_sha256"] = str(fingerprint() if callable(fingerprint) else fingerprint)
        return described

    def _text(self, id_: str, raw: str, path: str) -> Any:
        references = list(ReferenceResolver.match_refs_pattern(raw))
        if not references and not ConfigExpression.is_expression(raw):
            return _file_or_text(raw)
        tops = {ReferenceResolver.split_id(reference)[0] for reference in references}
        if _LENGTH in tops:
            return own_name(raw)
        is_reference = len(references) == 1 and ReferenceResolver.normalize_id(raw) == f"@{references[0]}"
        if is_reference and tops <= _PLACES:
            return _OMITTED
        value = self.parser.get_parsed_content(references[0] if is_reference else id_)
        if isinstance(value, str) and self._is_place(references):
            return _file_or_text(value, otherwise=_OMITTED)
        if is_reference and is_plain(value) and _is_literal(self.parser[references[0]]):
            self.keys[path] = references[0].replace("::", "#")
            return _file_or_text(value) if isinstance(value, str) else value
        result = self._result(value, raw)
        if result is not _OMITTED:
            if len(references) == 1:
                self.keys[path] = references[0].replace("::", "#")
            return result
        self._waiting += [each for each in references if ReferenceResolver.split_id(each)[0] not in _PLACES]
        return own_name(raw)

    def _result(self, value: Any, raw: Any) -> Any:
        """Describe what a component or an expression gave, if it is plain or content; note the keys behind it."""
        if isinstance(value, str):
            described: Any = _file_or_text(value)
        elif _is_items(value):
            described = {"items": len(value), "items_sha256": _items_digest(value, self._data_folder)}
        elif isinstance(value, Tensor):
            described = {"shape": list(value.shape), "tensor_sha256": _tensor_digest(value)}
        elif is_plain(value):
            described = value
        else:
            return _OMITTED
        for reference in () if value is None else _closure(self.parser, raw):
            key = ReferenceResolver.split_id(reference)[0]
            literal = self.parser[key]
            is_option = _is_literal(literal) and not isinstance(literal, dict | list) and not _names_a_place(literal)
            if is_option and key not in (*_PLACES, _LENGTH, *_NO_PART):
                self.options[key] = literal
        return described

    def _is_place(self, references: Sequence[str]) -> bool:
        return any(
            ReferenceResolver.split_id(each)[0] in _PLACES
            for each in _closure(self.parser, [f"@{r}" for r in references])
        )


def _closure(parser: ConfigParser, raw: Any) -> list[str]:
    """Ids that a piece of configuration refers to, again and again."""
    found: dict[str, None] = {}
    waiting = list(_references(raw))
    while waiting:
        id_ = waiting.pop()
        if id_ not in found:
            found[id_] = None
            waiting += _references(parser.get(id_, None))
    return list(found)


def _references(raw: Any) -> Iterator[str]:
    if isinstance(raw, str):
        yield from ReferenceResolver.match_refs_pattern(raw)
    elif isinstance(raw, Mapping | list):
        for part in raw.values() if isinstance(raw, Mapping) else raw:
            yield from _references(part)


def _is_literal(raw: Any) -> bool:
    return is_plain(raw) and not ConfigComponent.is_instantiable(raw) and not _has_syntax(raw)


def _has_syntax(raw: Any) -> bool:
    if isinstance(raw, str):
        return raw.startswith(("$", "@", "%"))
    if isinstance(raw, Mapping | list):
        return any(_has_syntax(part) for part in (raw.values() if isinstance(raw, Mapping) else raw))
    return False


def _names_a_place(value: Any) -> bool:
    return isinstance(value, str) and (os.sep in value or _is_file(value))


def _is_file(text: str) -> bool:
    try:
        return ("." in text or os.sep in text) and Path(text).expanduser().is_file()
    except OSError:  # longer than a name may be
        return False


def _file_or_text(text: str, otherwise: Any = None) -> Any:
    """Describe a text by its file's content, if it names one."""
    if _is_file(text):
        return {"file_sha256": content_digest(Path(text).expanduser())}
    if os.sep in text and Path(text).expanduser().is_dir():
        return _OMITTED
    return text if otherwise is None else otherwise


def _is_items(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and len(value) > 0
        and all(isinstance(item, Mapping) and "image" in item for item in value)
    )


def _items_digest(items: Sequence[Mapping[str, Any]], folder: Path | None) -> str:
    """Digest of a datalist: what its items say, their files by name within the data set's folder and by content."""
    known: dict[str, str] = {}

    def named(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(key): named(part) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [named(part) for part in value]
        if isinstance(value, str | Path) and os.sep in str(value):
            text = str(value)
            if text not in known:
                path = Path(text).expanduser().absolute()
                inside = folder is not None and path.is_relative_to(folder)
                name = path.relative_to(folder).as_posix() if inside and folder is not None else path.name
                known[text] = f"{name} {content_digest(path)}" if path.exists() else text
            return known[text]
        return value if value is None or isinstance(value, bool | int | float) else str(value)

    digest = hashlib.sha256()
    for item in items:
        digest.update(json.dumps(named(item), sort_keys=True).encode() + b"\n")
    return digest.hexdigest()


def _tensor_digest(tensor: Tensor) -> str:
    content = tensor.detach().cpu().contiguous()
    digest = hashlib.sha256(f"{content.dtype} {tuple(content.shape)} ".encode())
    digest.update(content.view(torch.uint8).numpy().tobytes() if content.numel() else b"")
    return digest.hexdigest()
