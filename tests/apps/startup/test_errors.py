# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
import sys

import pytest
from monai.bundle import ConfigParser
from monai.transforms import Compose, Lambda

from scripts.apps.startup.errors import cause_of, tell_cause_last


def fail(_=None):
    try:
        raise KeyError("inner")
    except KeyError as error:
        raise ValueError("dataset_dir: no such folder") from error


def wrapped_by_monai() -> RuntimeError:
    parser = ConfigParser({"again": "$@first + 1", "first": "$work([1])"}, globals={"work": Compose([Lambda(fail)])})
    with pytest.raises(RuntimeError) as error:
        parser.get_parsed_content("again")
    return error.value


def test_the_cause_is_found_behind_monai_wrappers():
    cause = cause_of(wrapped_by_monai())
    assert isinstance(cause, ValueError)  # not the KeyError behind it, which the ValueError explains
    assert str(cause) == "dataset_dir: no such folder"


def test_an_error_of_its_own_stays():
    error = RuntimeError("out of memory")
    assert cause_of(error) is error
    bare = RuntimeError("Failed to evaluate")
    assert cause_of(bare) is bare


def test_it_is_the_last_line_that_is_printed(capsys, monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    tell_cause_last()
    tell_cause_last()
    error = wrapped_by_monai()
    sys.excepthook(type(error), error, error.__traceback__)
    printed = capsys.readouterr().err
    assert printed.startswith("Traceback") or "Traceback (most recent call last)" in printed
    assert printed.splitlines()[-1] == "ValueError: dataset_dir: no such folder"
    plain = OSError("no space")
    sys.excepthook(OSError, plain, None)
    assert capsys.readouterr().err.count("no space") == 1
