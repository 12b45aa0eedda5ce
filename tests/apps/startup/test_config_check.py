# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
import json
import os
import subprocess
import sys

import pytest
from monai.bundle import ConfigParser, ConfigWorkflow, run

from scripts.apps import refuse_unknown_ids
from scripts.apps.startup.config_check import unknown_ids

TRAIN = {
    "imports": ["$import scripts", "$import scripts.apps"],
    "epochs": 3,
    "learning_rate": 0.1,
    "weight": "$torch.nn.Parameter(torch.zeros(1))",
    "optimizer": {"_target_": "torch.optim.SGD", "params": ["@weight"], "lr": "@learning_rate"},
    "save_dict": {"optimizer": "@optimizer", "nested": {"_target_": "torch.nn.Identity"}},
    "saved": "$list(@save_dict)",
    "train": {
        "handlers": [{"_target_": "StatsHandler", "name": "train"}],
        "dataloader": {"_target_": "DataLoader", "dataset": [1, 2, 3], "batch_size": 1},
        "trainer": {
            "_target_": "SupervisedTrainer",
            "device": "cpu",
            "max_epochs": "@epochs",
            "train_data_loader": "@train#dataloader",
            "network": {"_target_": "torch.nn.Identity"},
            "optimizer": "@optimizer",
            "loss_function": {"_target_": "torch.nn.MSELoss"},
            "train_handlers": "@train#handlers",
        },
    },
    "initialize": ["$scripts.apps.refuse_unknown_ids('train.json')"],
    "run": ["$print('epochs', @train#trainer.state.max_epochs, 'lr', @optimizer.param_groups[0]['lr'])"],
    "training": "%run",
}
EVALUATE = {"num_episodes": 600, "initialize": ["$scripts.apps.refuse_unknown_ids('train.json', 'evaluate.json')"]}


@pytest.fixture
def configs(tmp_path):
    folder = tmp_path / "bundle" / "configs"
    (folder / "hosts").mkdir(parents=True)
    (folder / "train.json").write_text(json.dumps(TRAIN))
    (folder / "evaluate.json").write_text(json.dumps(EVALUATE))
    (folder / "hosts" / "ifa.json").write_text(
        json.dumps({"refinement_steps": 2, "optimizer#momentum": "@refinement_steps"})
    )
    return folder


def execute(configs, *overlays, run_id="run", **overrides):
    files = [str(configs / name) for name in ("train.json", *overlays)]
    run(run_id=run_id, config_file=files, logging_file=False, **overrides)


def complaint(configs, *overlays, **overrides) -> str:
    """The message of the one ValueError, which MONAI wraps in its own RuntimeError."""
    with pytest.raises(RuntimeError, match="refuse_unknown_ids") as error:
        execute(configs, *overlays, **overrides)
    assert isinstance(error.value.__cause__, ValueError)
    return str(error.value.__cause__)


@pytest.mark.parametrize(
    ("overrides", "printed"),
    [
        ({}, "epochs 3 lr 0.1"),
        ({"epochs": 5}, "epochs 5 lr 0.1"),
        ({"train#trainer#max_epochs": 2}, "epochs 2 lr 0.1"),
        ({"train::trainer::max_epochs": 2, "optimizer#lr": 0.3}, "epochs 2 lr 0.3"),
        ({"train#trainer#key_train_metric": None}, "epochs 3 lr 0.1"),
        # ids of one's own are fine where they are referred to, in a chain, by a section's name or as a copy
        ({"mine": 7, "epochs": "@mine"}, "epochs 7 lr 0.1"),
        ({"a": 4, "b": "$@a + 4", "epochs": "@b"}, "epochs 8 lr 0.1"),
        ({"train#length": 6, "epochs": "@train#length"}, "epochs 6 lr 0.1"),
        ({"other": {"_target_": "torch.nn.L1Loss"}, "train#trainer#loss_function": "%other"}, "epochs 3 lr 0.1"),
        # a section that is handed over as a whole is data
        ({"save_dict#more": "@optimizer"}, "epochs 3 lr 0.1"),
    ],
)
def test_sound_overrides_run(configs, capsys, overrides, printed):
    execute(configs, **overrides)
    assert printed in capsys.readouterr().out


def test_merging_overlays_and_the_alias_run(configs, capsys):
    (configs / "more.json").write_text(
        json.dumps({"+initialize": ["$print('merged')"], "+train#handlers": [{"_target_": "StatsHandler"}]})
    )
    execute(configs, "evaluate.json", "hosts/ifa.json", "more.json", run_id="training", num_episodes=5)
    assert "merged\nepochs 3 lr 0.1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"epoch": 1}, "epoch: did you mean 'epochs'?"),
        ({"lerning_rate": 1}, "lerning_rate: did you mean 'learning_rate'?"),
        ({"zzz": 1}, "zzz: nothing has this name or refers to it"),
        ({"num_episodes": 5}, "num_episodes: belongs to evaluate.json, which is not part of this run"),
        ({"refinement_steps": 5}, "refinement_steps: belongs to hosts/ifa.json, which is not part of this run"),
        ({"a": "@b", "b": 1}, "a: nothing has this name or refers to it"),
        ({"train#trainr": 1}, "train#trainr: did you mean 'trainer'?"),
        (
            {"train#trainer#max_epoch": 2},
            "train#trainer#max_epoch: monai.engines.trainer.SupervisedTrainer takes no 'max_epoch'; "
            "did you mean 'max_epochs'?",
        ),
        (
            {"optimizer#learning": 2},
            "optimizer#learning: torch.optim.SGD takes no 'learning'; it takes params, lr, momentum",
        ),
        (
            {"train#handlers#0#nam": "x"},
            "train#handlers#0#nam: monai.handlers.stats_handler.StatsHandler takes no 'nam'",
        ),
        ({"train#trainer#loss_function#reductoin": "sum"}, "takes no 'reductoin'; did you mean 'reduction'?"),
    ],
)
def test_mistyped_ids_are_refused(configs, capsys, overrides, expected):
    assert expected in complaint(configs, **overrides)
    assert "epochs 3" not in capsys.readouterr().out


def test_one_error_names_all(configs):
    message = complaint(configs, "evaluate.json", epoch=1, **{"optimizer#learning": 2, "num_episode": 4})
    assert message.count("\n") == 3
    assert message.splitlines()[0] == "unknown ids in the configuration:"
    assert "  num_episode: did you mean 'num_episodes'?" in message.splitlines()


def test_a_referenced_override_of_a_wrong_id_does_not_hide_it(configs):
    assert "epoch: did you mean" in complaint(configs, epoch="@mine", mine=2)


def test_nothing_unbuilt_is_imported_and_nothing_disabled_is_looked_at(configs, tmp_path, monkeypatch):
    package = tmp_path / "heavy"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    config = ConfigParser.load_config_file(configs / "train.json") | {
        "spare": {"_target_": "heavy.Network", "size": 3},
        "off": {
            "_target_": "torch.nn.Identity",
            "_disabled_": "$True",
            "x": {"_target_": "torch.nn.MSELoss", "nothing": 1},
        },
    }
    assert unknown_ids(config, config) == []
    assert "heavy" not in sys.modules
    # what the run builds may break while it is imported: MONAI tells that when it comes to it
    assert unknown_ids(config | {"run": ["@spare"]}, config) == []


def test_a_target_that_takes_anything_and_an_expression_are_let_through():
    config = {
        "run": ["@a", "@b"],
        "a": {"_target_": "builtins.dict", "anything": 1},
        "b": {"_target_": "$@a.get", "key": "anything", "_mode_": "callable", "_desc_": "text"},
    }
    assert unknown_ids(config, config) == []


def test_tracking_ids_are_known():
    base = {"run": ["$1"]}
    assert unknown_ids(base | {"tracking_uri": "x", "experiment_name": "y", "_meta_": {}}, base) == []


def test_the_python_api_is_checked_too(configs):
    workflow = ConfigWorkflow(config_file=str(configs / "train.json"), logging_file=False, epoch=1)
    with pytest.raises(RuntimeError) as error:
        workflow.initialize()
    assert "epoch: did you mean 'epochs'?" in str(error.value.__cause__)


def test_a_bare_parser_is_checked_against_the_bundle_files(configs, monkeypatch):
    monkeypatch.setattr("scripts.apps.startup.config_check.CONFIGS", configs)
    parser = ConfigParser()
    parser.read_config(str(configs / "train.json"))
    parser["epoch"] = 1
    with pytest.raises(RuntimeError) as error:
        parser.get_parsed_content("initialize")
    assert "epoch: did you mean 'epochs'?" in str(error.value.__cause__)


def test_without_a_configuration_it_says_where_it_belongs():
    with pytest.raises(RuntimeError, match="put it into `initialize`"):
        refuse_unknown_ids("train.json")


def test_a_missing_base_file_is_named(configs, monkeypatch):
    monkeypatch.setattr("scripts.apps.startup.config_check.CONFIGS", configs)
    (configs / "own.json").write_text(
        json.dumps(TRAIN | {"initialize": ["$scripts.apps.refuse_unknown_ids('trian.json')"]})
    )
    with pytest.raises(RuntimeError) as error:
        run(config_file=str(configs / "own.json"), logging_file=False)
    assert "no shipped configuration trian.json" in str(error.value.__cause__)


@pytest.mark.slow
def test_the_command_line_is_checked(configs, bundle_root):
    more = configs.parent / "more.json"
    more.write_text(json.dumps({"initialize": ["$scripts.apps.tell_cause_last()", *TRAIN["initialize"]]}))
    files = f"['{configs / 'train.json'}', '{more}']"
    command = [sys.executable, "-m", "monai.bundle", "run", "training", "--config_file", files]
    command += ["--logging_file", "False", "--epoch", "1", "--train#trainer#max_epochs", "2"]
    environment = os.environ | {"PYTHONPATH": str(bundle_root), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, cwd=configs.parent, env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode == 1
    assert result.stderr.endswith("\nValueError: unknown ids in the configuration:\n  epoch: did you mean 'epochs'?\n")
