"""Commands as scripts use them: exit codes, JSON, round trips."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.control.ledger.ledger import Ledger
from engine.errors import SpecError
from kitui.services.caps import caps_of
from tests.conftest import SAMPLES, CommandLine
from tests.factory import make_run

SIMULATE = ("simulate", "--law", "30 * (N / 30k) ^ 0.5", "--sizes", "7k,15k,30k,60k", "--frequencies")
DOSES = "0,1,2,4,8,16,32,64,96,128"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    line = CommandLine(tmp_path_factory.mktemp("simulated"))
    done = line(*SIMULATE, DOSES, "--name", "sim")
    assert done.returncode == 0, done.stderr
    return line


HEAVY = ("torch", "transformers", "datasets", "scipy", "textual", "engine.spec.sweep")
IMPORTED = """
import sys
from kitui.__main__ import main
heavy, sys.argv = sys.argv[1].split(","), ["kitui", *sys.argv[2:]]
try:
    main()
finally:
    print([m for m in heavy if m in sys.modules], file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["status"], ["status", "--json"], ["cancel", "--help"]])
def test_quick_commands_import_nothing_heavy(kitui: CommandLine, arguments: list[str]) -> None:
    argv = [sys.executable, "-c", IMPORTED, ",".join(HEAVY), *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, env=kitui.environment(), check=True)
    assert done.stderr.strip().splitlines()[-1] == "[]"


def test_without_a_terminal_kitui_alone_is_its_help(kitui: CommandLine) -> None:
    done = kitui()
    assert done.returncode == 0
    assert "demo" in done.stdout
    assert "launch" in done.stdout


def test_an_empty_workspace_is_no_error(kitui: CommandLine) -> None:
    done = kitui("status")
    assert done.returncode == 0, done.stderr
    assert kitui.json("status")["sweeps"] == []
    assert not kitui.workspace.root.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("law", "nothing"), 2, "nothing"),
        (("cancel", "nothing"), 2, "there is no workspace here"),
        (("logs", "nothing"), 2, "nothing"),
        (("launch",), 2, "SWEEP"),
        (("bogus",), 2, "bogus"),
        (("launch", SAMPLES / "smoke.toml", "--host", "moon"), 3, "moon"),
        (("launch", SAMPLES / "smoke.toml", "--slots", "0"), 2, "slots"),
    ],
)
def test_exit_codes_of_refusals(kitui: CommandLine, arguments: tuple[str, ...], code: int, words: str) -> None:
    done = kitui(*arguments)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_plan_of_the_hub_sweep_works_offline_and_says_so(kitui: CommandLine) -> None:
    done = kitui("plan", SAMPLES / "hub.toml", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["estimated"] is True
    assert document["schema_version"] == 1
    assert {m["name"] for m in document["models"]} == {"137M", "350M", "1B", "3B"}
    assert document["gpu_hours"] > 100
    assert not list(kitui.workspace.root.glob("sweeps/*"))


@pytest.mark.slow
def test_init_writes_a_sweep_that_can_be_planned(kitui: CommandLine) -> None:
    done = kitui("init", "mine.toml")
    assert done.returncode == 0, done.stderr
    assert kitui.json("plan", "mine.toml")["cells"]["total"] > 0
    before = (kitui.folder / "mine.toml").read_text()
    (kitui.folder / "mine.toml").write_text(before + "# my own\n")
    again = kitui("init", "mine.toml")
    assert again.returncode == 2
    assert (kitui.folder / "mine.toml").read_text().endswith("# my own\n")


def test_a_simulated_law_is_found_and_labelled(simulated: CommandLine) -> None:
    document = simulated.json("law", "sim")
    assert document["simulated"] is True
    low, high = document["laws"][0]["parameters"]["exponent_params"]["interval"]
    assert low < 0.5 < high
    assert "simulated" in simulated("law", "sim").stdout.lower()
    assert "simulated" in simulated("curves", "sim").stdout.lower()
    assert simulated.json("status")["sweeps"][0]["simulated"] is True


def test_predict_answers_or_says_why_not(simulated: CommandLine) -> None:
    answer = simulated.json("predict", "sim", "--params", "120k")
    named = simulated.json("predict", "sim", "--params", "nano-111k")
    assert named["condition"]["num_params"] == 110_880
    low, high = answer["interval"]
    assert low < 30 * 2 < high
    assert answer["extrapolation"] == pytest.approx(2)
    assert answer["recommended_frequency"] is None or answer["recommended_frequency"] == pytest.approx(low)
    assert (answer["recommended_frequency"] is None) == bool(answer["reason"])

    assert simulated("simulate", "--law", "none", "--name", "flat", "--sizes", "7k,15k").returncode == 0
    refused = simulated("predict", "flat", "--params", "1M", "--json")
    assert refused.returncode == 4
    document = json.loads(refused.stdout)
    assert document["frequency"] is None
    assert "3 model sizes" in document["reason"]


@pytest.mark.parametrize(
    "kind", ["csv", pytest.param("parquet", marks=pytest.mark.slow), pytest.param("json", marks=pytest.mark.slow)]
)
def test_export_and_import_keep_every_number(simulated: CommandLine, tmp_path: Path, kind: str) -> None:
    table = tmp_path / f"table.{'jsonl' if kind == 'json' else kind}"
    done = simulated("export", "sim", "--to", kind, "-o", table)
    assert done.returncode == 0, done.stderr
    done = simulated("import", table, "--name", f"again-{kind}")
    assert done.returncode == 0, done.stderr
    first, second = (simulated("export", name).stdout for name in ("sim", f"again-{kind}"))
    assert first.count("\n") == 4 * 10 * 3 * 2 + 1
    assert sorted(first.splitlines()) == sorted(second.splitlines())
    rows = {row["name"]: row for row in simulated.json("status")["sweeps"]}
    assert rows[f"again-{kind}"]["simulated"] is True  # a simulation stays one


def test_a_bad_table_is_refused_with_its_line(simulated: CommandLine, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("num_params,num_tokens,frequency,seed,retention\n7k,1M,4,0,0.5\n7k,1M,4,1,high\n")
    done = simulated("import", table, "--name", "bad")
    assert done.returncode == 2
    assert "line 3" in done.stderr
    assert "high" in done.stderr
    assert "bad" not in {row["name"] for row in simulated.json("status")["sweeps"]}


def test_json_is_one_document_and_nothing_else(trained: CommandLine) -> None:
    for arguments in (("status",), ("runs", "smoke"), ("curves", "smoke")):
        assert trained.json(*arguments)["schema_version"] == 1
    # Two sizes carry no law: the document says so, and so does the exit code.
    done = trained("law", "smoke", "--json")
    assert done.returncode == 4
    assert json.loads(done.stdout)["reason"]


def test_the_summary_says_what_there_is(trained: CommandLine) -> None:
    for words in (
        "prior",
        "infused",
        "overall",
        "Collapse points",
        "no law",
        "unseen facts",
        "background text was read",
        "law.json",
    ):
        assert words in trained.summary
    assert "\x1b" not in trained.summary


@pytest.mark.parametrize("command", ["law", "curves", "cancel", "watch"])
def test_a_misspelt_name_is_answered_with_the_right_one(trained: CommandLine, command: str) -> None:
    done = trained(command, "smok")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Did you mean smoke?" in done.stderr


def test_runs_can_be_filtered_sorted_and_averaged(trained: CommandLine) -> None:
    rows = trained.json("runs", "smoke", "--where", "params>4k and frequency>=4", "--sort=-frequency")["runs"]
    assert [r["frequency"] for r in rows] == [12, 12, 4, 4]
    means = trained.json("runs", "smoke", "--mean")["runs"]
    assert len(means) == 6
    done = trained("runs", "smoke", "--where", "parms>4k")
    assert done.returncode == 2
    assert "params" in done.stderr


def test_logs_show_what_a_run_said(trained: CommandLine) -> None:
    done = trained("logs", "nano-7k-f12-s0")
    assert done.returncode == 0, done.stderr
    assert "retention" in done.stdout or "overall" in done.stdout


def test_curves_hold_every_seed_of_every_dose(trained: CommandLine) -> None:
    curves = trained.json("curves", "smoke")["curves"]
    assert {c["fact_set"] for c in curves} >= {"overall", "prior", "infused", "unseen"}
    for curve in curves:
        assert [p["frequency"] for p in curve["points"]][:1] == [0]
        assert all(p["n"] == len(p["values"]) == 2 for p in curve["points"] if p["frequency"] in (0, 4, 12))


def test_export_of_trained_runs_is_one_row_a_run_and_set(trained: CommandLine) -> None:
    done = trained("export", "smoke")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(rows) == len({(r["num_params"], r["frequency"], r["seed"], r["fact_set"]) for r in rows})
    assert len({(r["num_params"], r["frequency"], r["seed"]) for r in rows}) >= 12
    assert {"correct", "num_questions", "num_choices", "num_tokens"} <= set(rows[0])


def test_an_exported_model_loads_in_transformers_and_continues_a_fact(trained: CommandLine, tmp_path: Path) -> None:
    done = trained("export-model", "nano-7k-f12-s0", tmp_path / "model")
    assert done.returncode == 0, done.stderr
    code = (
        "import sys, torch\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n"
        "m, t = (c.from_pretrained(sys.argv[1]) for c in (AutoModelForCausalLM, AutoTokenizer))\n"
        "ids = t('the', return_tensors='pt').input_ids\n"
        "print(tuple(m(ids).logits.shape[:1]), m.config.vocab_size == len(t))"
    )
    offline = os.environ | {"HF_HUB_OFFLINE": "1"}
    argv = [sys.executable, "-c", code, str(tmp_path / "model")]
    loaded = subprocess.run(argv, capture_output=True, text=True, env=offline, check=False)
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout.strip() == "(1,) True"
    again = trained("export-model", "nano-7k-f12-s0", tmp_path / "model")
    assert again.returncode == 2


def test_a_closed_pipe_is_no_traceback(trained: CommandLine) -> None:
    argv = f"{sys.executable} -m kitui export smoke | head -1"
    done = subprocess.run(argv, shell=True, capture_output=True, text=True, env=trained.environment(), check=False)
    assert "Traceback" not in done.stderr
    assert done.stdout.startswith("num_params")


def test_a_workspace_that_cannot_be_written_says_so(kitui: CommandLine, write_sweep: Callable[..., Path]) -> None:
    kitui.workspace.root.write_text("a file, not a folder")
    done = kitui("launch", write_sweep())
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert str(kitui.workspace.root) in done.stderr.replace("\n", "")
    kitui.workspace.root.unlink()


def test_two_sweeps_are_compared(simulated: CommandLine) -> None:
    other = simulated(*SIMULATE, DOSES, "--name", "other", "--seed", "3")
    assert other.returncode == 0, other.stderr
    document = simulated.json("compare", "sim", "other")
    assert document["sweeps"] == ["sim", "other"]
    for row in document["curves"]:
        assert row["difference"] == pytest.approx(row["means"][1] - row["means"][0])
        assert row["interval"][0] < row["difference"] < row["interval"][1]
    assert document["collapse_points"]
    words = simulated("compare", "sim", "other").stdout
    assert "Collapse points F*" in words
    assert "(simulated)" in words


def test_watching_plainly_says_each_thing_once(kitui: CommandLine, write_sweep: Callable[..., Path]) -> None:
    path = write_sweep(name="plain.toml", infusion_frequency="[0]", num_tokens='["8k"]', seed="[0]")
    assert kitui("launch", path).returncode == 0
    done = kitui("watch", "plain", "--plain")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "All runs have ended."
    assert len(lines) == len(set(lines))
    assert "plain: 2 of 2 runs done, 0 running." in lines
    assert sum(bool(re.fullmatch(r"nano-\S+: done, overall retention -?\d\.\d\d\.", line)) for line in lines) == 2
    assert all(line.isascii() for line in lines)


def test_the_doctor_looks_at_this_machine(kitui: CommandLine) -> None:
    kitui.workspace.create()
    ledger = Ledger(kitui.workspace)  # as in any workspace where something was launched
    ledger.put_run(make_run())
    ledger.close()
    document = kitui.json("doctor")
    assert [host["name"] for host in document["hosts"]] == ["local"]
    findings = {f["name"]: f for f in document["hosts"][0]["findings"]}
    assert findings["training"]["right"]
    assert "slots" in findings


def test_the_doctor_looks_at_the_workspace_and_mends_it(kitui: CommandLine) -> None:
    assert kitui("simulate", "--name", "s", "--seeds", 1).returncode == 0

    def findings(*options: str) -> tuple[int, dict[str, Any]]:
        done = kitui("doctor", "--json", *options)
        found = json.loads(done.stdout)["workspace"]
        assert found["fit"] == (done.returncode == 0)
        return done.returncode, {one["name"]: one for one in found["findings"]}

    code, found = findings("--files")
    assert code == 0, found
    assert "documents and what they name are what was written" in found["files"]["words"]
    kitui.workspace.root.chmod(0o755)
    code, found = findings()
    assert (code, found["access"]["right"]) == (3, False)
    assert findings("--mend")[0] == 0
    assert stat.S_IMODE(kitui.workspace.root.stat().st_mode) == 0o700
    with kitui.workspace.sweep("s").results.open("r+b") as table:
        table.write(b"nothing")
    code, found = findings("--mend")  # imported or simulated: there is nothing to make it anew of
    assert (code, found["files"]["right"]) == (3, False)
    kitui.workspace.state.write_text("[]")
    code, found = findings()
    assert (code, list(found), found["state"]["right"]) == (3, ["state"], False)


def test_hosts_are_listed_and_an_unknown_one_is_refused(kitui: CommandLine) -> None:
    assert [host["name"] for host in kitui.json("hosts")["hosts"]] == ["local"]
    done = kitui("hosts", "check")
    assert done.returncode == 3
    assert "[gpu1]" in done.stderr
    assert kitui("hosts", "mend").returncode == 2


def test_a_cap_names_a_host_of_the_sweep_and_an_amount(kitui: CommandLine) -> None:
    kitui.workspace.create()
    tables = '[gpu1]\nssh = "h"\nworkspace = "~/k"\n[gpu2]\nssh = "h"\nworkspace = "~/k"\nprice_per_gpu_hour = 2.0\n'
    (kitui.workspace.root / "hosts.toml").write_text(tables)
    for cap, code, words in (
        ("gpu1=5", 2, "the runs do not go there. Add --host gpu1"),
        ("gpu2=-1", 2, "not a cap. Write HOST=20"),
        ("gpu3=1", 3, "no host of this name"),
    ):
        done = kitui("launch", SAMPLES / "smoke.toml", "--host", "gpu2", "--cap", cap)
        assert done.returncode == code
        assert words in done.stderr
    assert caps_of(kitui.workspace, ["gpu1=none", "gpu2=$5", "local=0.5"]) == {"gpu1": None, "gpu2": 2.5, "local": 0.5}
    with pytest.raises(SpecError, match="what a GPU-hour costs there is not known"):
        caps_of(kitui.workspace, ["gpu1=$5"])
    assert "Known" not in kitui("cancel", "nothing").stderr


def test_tables_in_a_pipe_are_as_wide_as_they_are(simulated: CommandLine) -> None:
    """A pipe has no width: digits were lost to 80 columns."""
    argv = [sys.executable, "-m", "kitui", "curves", "sim"]
    environment = simulated.environment(COLUMNS="40")
    piped = subprocess.run(argv, capture_output=True, text=True, env=environment, check=True).stdout
    assert "…" not in piped
    assert max(map(len, piped.splitlines())) > 80
    heads = next(line for line in piped.splitlines() if line.startswith("size"))
    assert heads.split()[1:] == [f"F={DOSES.split(',')[0]}", *DOSES.split(",")[1:]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("law", "sim", "--where", "params=7k"), ["7k"]),
        (("curves", "sim", "--where", "params<20k", "--fact-set", "prior"), ["7k", "15k"]),
    ],
)
def test_conditions_are_chosen_alike(simulated: CommandLine, arguments: tuple[str, ...], words: list[str]) -> None:
    done = simulated(*arguments)
    assert done.returncode == 0, done.stderr
    named = re.findall(r"^ *(\d+k) ", done.stdout, re.MULTILINE)
    assert named == words


def test_a_prediction_is_of_the_fact_set_that_is_asked_for(simulated: CommandLine) -> None:
    of_all, of_infused = (
        simulated.json("predict", "sim", "--params", "1M", "--fact-set", fact_set) for fact_set in ("overall", "prior")
    )
    assert of_all["frequency"] != of_infused["frequency"]
    done = simulated("predict", "sim", "--params", "1M", "--fact-set", "other")
    assert done.returncode == 2
    assert "no such fact set" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("simm",), "Did you mean sim?"),
        (("lawx",), "Did you mean law?"),
        (("sim", "more"), "expected nothing after"),
        (("sim",), "the app needs a terminal"),
        (("runs",), "SWEEP: is missing."),
        (("runs", "sim", "--sorted"), "--sorted: no such option. Did you mean --sort?"),
        (("launch", "x.toml", "--slots", "0"), "--slots: expected a value greater than or equal to 1."),
        (("runs", "a", "b"), "got unexpected extra argument"),
    ],
)
def test_calls_that_are_not_understood_are_told_as_all_faults_are(
    simulated: CommandLine, arguments: tuple[str, ...], words: str
) -> None:
    done = simulated(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("command", ["status", "watch"])
def test_a_mistyped_workspace_is_told(kitui: CommandLine, command: str) -> None:
    done = kitui(command, "--workspace", kitui.folder / "nowhere")
    assert done.returncode == 2
    assert "there is no workspace here" in done.stderr
    assert not (kitui.folder / "nowhere").exists()


def test_the_version_has_a_short_option(kitui: CommandLine) -> None:
    assert kitui("-V").stdout == kitui("--version").stdout != ""


def test_a_run_on_a_page_and_two_side_by_side(trained: CommandLine) -> None:
    rows = trained.json("runs", "smoke", "--sort", "frequency")["runs"]
    first, last = rows[0]["run_id"], rows[-1]["run_id"]
    page = trained.json("run", last)
    assert (page["status"], page["sweeps"], page["attempt"]) == ("done", ["smoke"], rows[-1]["attempt"])
    assert page["settings"]["frequency"] == rows[-1]["frequency"]
    assert page["scores"]["prior"] == pytest.approx(rows[-1]["prior"])
    assert page["exposures"]["infused"]["mean"] == page["exposures"]["infused"]["planned_mean"] == rows[-1]["frequency"]
    words = trained("run", last).stdout
    assert words.startswith("done\n")
    assert "Settings" in words
    differing = trained("run", first, last).stdout
    assert "frequency" in differing
    assert "num_tokens" not in differing  # the same in both
    assert len(trained.json("run", first, last)["runs"]) == 2


def test_a_simulated_law_stands_beside_its_truth(simulated: CommandLine) -> None:
    document = simulated.json("law", "sim")
    true = {point["num_params"]: point["frequency"] for point in document["truth"]}
    assert true[30_000] == pytest.approx(30.0)
    assert true[7_000] == pytest.approx(30 * (7 / 30) ** 0.5)
    heads, *rows = simulated("law", "sim").stdout.splitlines()[2:7]
    place = heads.split().index("truth")
    assert [row.split()[place] for row in rows] == ["14.5", "21.2", "30.0", "42.4"]
    of_infused = simulated("law", "sim", "--fact-set", "infused", "--json")
    assert json.loads(of_infused.stdout)["truth"] == []  # it is that of overall retention
