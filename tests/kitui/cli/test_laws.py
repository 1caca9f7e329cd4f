"""`kitui law --loss`, and predictions that are locked and scored, as a user meets them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from engine.records.metrics import RetentionRecord, read_metrics
from engine.records.plan import read_plan
from tests.conftest import CommandLine, wait_until

SMALL = ("--law", "30 * (N / 30k) ^ 0.5", "--frequencies", "0,1,2,4,8,16,32,64,96,128")


def test_a_prediction_is_locked_and_scored_when_its_size_is_there(kitui: CommandLine) -> None:
    assert kitui("simulate", *SMALL, "--name", "small", "--sizes", "7k,15k,30k,60k").returncode == 0
    first = kitui("predict", "small", "--params", "100k", "--lock")
    assert first.returncode == 0, first.stderr
    assert "locked as" in first.stdout
    again = kitui.json("predict", "small", "--params", "100k", "--lock")
    waiting = kitui.json("law", "small")["locked"]
    assert [one["id"] for one in waiting] == [again["locked"]["id"]]  # said twice, kept once
    assert waiting[0]["scored_in"] is None
    assert "not trained yet" in kitui("law", "small").stdout

    assert kitui("simulate", *SMALL, "--name", "large", "--sizes", "100k").returncode == 0
    for name in ("large", "small"):  # the sweep that has the size; the one that made the prediction, from then on
        done = kitui("law", name, "--json")
        (score,) = json.loads(done.stdout)["locked"]
        assert score["scored_in"] == "large"
        assert score["status"] == "observed"
        low, high = score["interval"]
        assert score["is_inside"] == (low <= score["observed"] <= high)
        assert np.isclose(score["error_ln"], np.log(score["predicted"] / score["observed"]))
        assert np.isclose(score["baseline_error_ln"], np.log(score["baseline"] / score["observed"]))
    assert "inside" in kitui("law", "small").stdout
    refused = kitui("predict", "small", "--params", "60k", "--lock")
    assert refused.returncode == 2
    assert "nothing left to predict" in refused.stderr


@pytest.mark.slow
def test_a_locked_prediction_outlives_its_sweep_and_is_believed_only_as_it_was_written(kitui: CommandLine) -> None:
    assert kitui("simulate", *SMALL, "--name", "small", "--sizes", "7k,15k,30k,60k").returncode == 0
    assert kitui("predict", "small", "--params", "100k", "--lock").returncode == 0
    assert kitui("simulate", *SMALL, "--name", "small", "--sizes", "7k,15k,30k,60k", "--replace").returncode == 0
    (path,) = kitui.workspace.predictions.glob("*.json")
    assert len(kitui.json("law", "small")["locked"]) == 1
    path.chmod(0o600)
    path.write_text(path.read_text().replace('"form": "power"', '"form": "offset"'))
    document = kitui.json("law", "small")
    assert document["locked"] == []
    assert any("a locked prediction is damaged" in warning for warning in document["warnings"])


@pytest.mark.slow
def test_what_is_known_already_is_not_locked_and_round_sizes_are_meant_as_such(kitui: CommandLine) -> None:
    assert kitui("simulate", *SMALL, "--name", "small", "--sizes", "7k,15k,30k,60k").returncode == 0
    assert kitui("simulate", *SMALL, "--name", "other", "--sizes", "100k").returncode == 0
    assert kitui("law", "other").returncode == 4  # one size has no law, and its results are on file from now on
    for size in ("100k", "101k", "nano-78k"):
        done = kitui("predict", "small", "--params", size, "--lock")
        assert (done.returncode == 2) == (size != "nano-78k"), done.stderr
    (score,) = kitui.json("law", "small")["locked"]
    assert score["scored_in"] is None
    assert kitui("simulate", *SMALL, "--name", "late", "--sizes", "78k").returncode == 0  # the preset has 77,680
    assert kitui("law", "late").returncode == 4
    (score,) = kitui.json("law", "small")["locked"]
    assert score["scored_in"] == "late"
    assert score["warning"] is None


def test_ctrl_c_ends_a_fit_of_many_curves_with_all_its_processes(kitui: CommandLine) -> None:
    assert kitui("simulate", *SMALL, "--name", "many", "--sizes", "geom(7k,700k,80)").returncode == 0
    folder = str(kitui.workspace.sweep("many").root)

    def fitting() -> list[psutil.Process]:
        return [p for p in psutil.process_iter(["cmdline"]) if folder in (p.info["cmdline"] or [])]

    command = subprocess.Popen(
        [sys.executable, "-m", "kitui", "law", "many"], env=kitui.environment(), stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    wait_until(lambda: len(fitting()) > 1, 60)
    command.send_signal(signal.SIGINT)
    assert command.wait(20) == 130
    wait_until(lambda: not fitting(), 10)


def test_without_a_law_nothing_is_locked(kitui: CommandLine) -> None:
    assert kitui("simulate", "--law", "none", "--name", "flat", "--sizes", "7k,15k").returncode == 0
    done = kitui("predict", "flat", "--params", "1M", "--lock", "--json")
    assert done.returncode == 4
    assert json.loads(done.stdout)["locked"] is None
    assert not list(kitui.workspace.predictions.glob("*"))


@pytest.mark.slow
def test_a_table_of_losses_has_a_law_of_its_own(kitui: CommandLine, tmp_path: Path) -> None:
    table, rng = tmp_path / "losses.csv", np.random.default_rng(0)
    rows = ["config.n,flops,val_loss"]
    for size in np.geomspace(1e7, 1e9, 5):
        for budget in np.geomspace(1e9, 1e11, 4):
            loss = (1.8 + 480 / size**0.35 + 2100 / budget**0.37) * np.exp(0.002 * rng.standard_normal())
            rows.append(f"{size},{6 * size * budget},{loss}")
    table.write_text("\n".join([*rows, "1e9,6e18,"]))
    mapped = ("--map", "num_params=config.n", "--map", "loss=val_loss")
    document = kitui.json("law", "--loss", table, *mapped)
    assert document["num_points"] == 20
    assert document["num_empty"] == 1
    low, high = document["law"]["parameters"]["alpha"]["interval"]
    assert low < 0.35 < high
    printed = kitui("law", "--loss", table, *mapped).stdout
    assert "alpha" in printed
    assert "1 row without a loss left out" in printed

    table.write_text("num_params,num_tokens,loss\n1e7,1e9,3\n")
    refused = kitui("law", "--loss", table, "--json")
    assert refused.returncode == 4
    assert "cannot carry" in json.loads(refused.stdout)["reason"]


def test_curves_can_be_of_a_log_probability_less_the_drift_of_unseen_facts(trained: CommandLine) -> None:
    document = trained.json("curves", "smoke", "--measure", "logprob", "--checkpoints", "2")
    assert "log-probability" in document["measure"]
    assert "last 2 scorings" in document["measure"]
    plan = read_plan(trained.workspace.sweep("smoke").plan)
    assert plan is not None
    for curve in document["curves"]:
        assert curve["fact_set"] != "unseen"
        for point in curve["points"]:
            for value in point["values"]:
                assert value["correct"] is None
                cell = next(
                    c
                    for c in plan.cells
                    if (c.num_params, c.frequency, c.seed)
                    == (curve["condition"]["num_params"], point["frequency"], value["seed"])
                )
                if curve["fact_set"] == "overall":
                    continue
                metrics = read_metrics(trained.workspace.run(cell.run_id).metrics)
                scorings = [record.sets for record in metrics if isinstance(record, RetentionRecord)][-2:]
                of_sets = [s[curve["fact_set"]].mean_logprob - s["unseen"].mean_logprob for s in scorings]
                assert np.isclose(value["retention"], np.mean(of_sets))
    printed = trained("law", "smoke", "--measure", "logprob").stdout
    assert "log-probability" in printed
    for arguments in (("--measure", "loss"), ("--checkpoints", "0")):
        assert trained("law", "smoke", *arguments).returncode == 2


def test_retention_can_be_read_over_what_was_read(trained: CommandLine) -> None:
    printed = trained("curves", "smoke", "--over", "exposures").stdout
    assert "prior exposures" in printed
    document = trained.json("curves", "smoke")
    values = [v for c in document["curves"] for p in c["points"] if p["frequency"] for v in p["values"]]
    assert values
    assert all(0 < value["infused_share"] < 1 and value["prior_exposures"] > 0 for value in values)
    assert trained("curves", "smoke", "--over", "time").returncode == 2


def test_laws_of_all_fact_sets_stand_side_by_side(kitui: CommandLine) -> None:
    assert kitui("simulate", *SMALL, "--name", "small", "--sizes", "7k,15k,30k,60k").returncode == 0
    document = kitui.json("law", "small", "--fact-set", "all")
    found = {law["fact_set"]: law for law in document["fact_sets"]}
    assert set(found) == {"overall", "prior", "infused"}
    assert found["prior"]["laws"]
    assert found["overall"]["laws"][0]["parameters"] == kitui.json("law", "small")["laws"][0]["parameters"]
    printed = kitui("law", "small", "--fact-set", "all").stdout
    for words in ("overall", "prior", "infused", "half-drop", "acquired", "exponent"):
        assert words in printed


def test_law_wants_a_sweep_or_losses(kitui: CommandLine) -> None:
    for arguments in ((), ("some", "--loss", "x.csv"), ("some", "--map", "a=b")):
        done = kitui("law", *arguments)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
