from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import DataError, SpecError
from engine.spec.resolve import resolve
from engine.spec.runspec import RunSpec
from tests.checkpoints import save, save_preset


def runs_by_cell(path: Path) -> dict[tuple[str, int, int], RunSpec]:
    return {(r.model.name, r.frequency, r.seed): r for r in resolve(path).runs}


def ids(path: Path) -> set[str]:
    return {r.run_id for r in resolve(path).runs}


def test_a_cell_for_each_combination(write_sweep: Callable[..., Path]) -> None:
    resolved = resolve(write_sweep())
    assert len(resolved.runs) == 2 * 3 * 2
    assert len({r.run_id for r in resolved.runs}) == 12
    assert [r.seed for r in resolved.runs] == [0] * 6 + [1] * 6  # a whole grid of the first seed first


def test_ids_do_not_depend_on_where_the_files_lie(write_sweep: Callable[..., Path], tmp_path: Path) -> None:
    first = write_sweep()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("facts.jsonl", "templates.toml"):
        (elsewhere / name).write_bytes((tmp_path / name).read_bytes())
    second = elsewhere / "renamed.toml"
    second.write_text(first.read_text())
    assert ids(first) == ids(second)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("learning_rate", "0.01"),
        ("weight_decay", "0.06"),
        ("batch_size", "4"),
        ("context_length", "48"),
        ("initializer_range", "0.06"),
        ("prior_rate", "700"),
        ("num_infused", "44"),
        ("num_prior", "92"),
        ("vocab_size", "301"),
        ("num_tokens", '["21k"]'),
        ("seed", "[7, 8]"),
        ("questions_in_background", "false"),
        ("path", '"facts.jsonl"\nfacts_seed = 1'),
        ("beta2", '0.98\nprecision = "bf16"'),
    ],
)
def test_what_changes_training_changes_every_id(write_sweep: Callable[..., Path], key: str, value: str) -> None:
    assert not ids(write_sweep()) & ids(write_sweep(name="other.toml", **{key: value}))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("every_tokens", '"9k"'),
        ("num_choices", "3"),
        ("num_choices", "4\nquestions_per_fact = 2"),
        ("num_choices", '4\n[execution]\nslots = 1\nkeep_weights = "none"\ncheckpoint_every_s = 1'),
        ("num_choices", "4\n[analysis]\ntarget_retention = 0.5"),
    ],
)
def test_what_does_not_change_training_changes_no_id(write_sweep: Callable[..., Path], key: str, value: str) -> None:
    # Without every_tokens' own key at the end, sections may be added behind it.
    base = write_sweep().read_text().replace('every_tokens = "5k"\n', "")
    text = '[evaluation]\nevery_tokens = "5k"\n' if key == "every_tokens" else base
    path = write_sweep(base, name="base.toml")
    if key == "every_tokens":
        text = base + f"every_tokens = {value}\n"
    else:
        text = base.replace("num_choices = 4", f"num_choices = {value}")
    assert ids(path) == ids(write_sweep(text, name="changed.toml"))


def test_other_questions_have_another_evaluation_id(write_sweep: Callable[..., Path]) -> None:
    def evaluation(**changes: str) -> str:
        return resolve(write_sweep(**changes)).runs[0].evaluation_id

    assert evaluation() == evaluation(every_tokens='"9k"')
    assert len({evaluation(), evaluation(num_choices="3"), evaluation(num_choices="4\nquestions_per_fact = 2")}) == 3


def test_cells_with_nothing_infused_are_one_run(write_sweep: Callable[..., Path]) -> None:
    one = runs_by_cell(write_sweep())
    neutral = runs_by_cell(write_sweep(prior_rate='800\nfill = "neutral"', name="neutral.toml"))
    three = resolve(write_sweep(num_tokens='["20k"]\nnum_templates = [1, 3]', name="three.toml")).runs
    assert one["nano-3k", 0, 0].run_id == neutral["nano-3k", 0, 0].run_id
    assert one["nano-3k", 4, 0].run_id != neutral["nano-3k", 4, 0].run_id
    assert len(three) == 2 * 2 * (1 + 2 * 2)  # F = 0 once, the two doses with either number of templates
    assert one["nano-3k", 4, 0].run_id in {r.run_id for r in three}


def test_extending_an_axis_keeps_the_old_cells(write_sweep: Callable[..., Path]) -> None:
    assert ids(write_sweep()) < ids(write_sweep(infusion_frequency="[0, 4, 12, 20]", name="longer.toml"))


def test_facts_edited_change_ids(write_sweep: Callable[..., Path], tmp_path: Path, samples: Path) -> None:
    path = write_sweep()
    before = ids(path)
    (tmp_path / "facts.jsonl").unlink()
    text = (samples / "facts.jsonl").read_text()
    (tmp_path / "facts.jsonl").write_text(text.replace('"P17", "object": "Germany"', '"P17", "object": "Prussia"'))
    assert not before & ids(path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"path": '"absent.jsonl"'}, r"facts.path.*no such file"),
        ({"templates": '"absent.toml"'}, r"facts.templates.*no such file"),
        ({"num_prior": "5000"}, "facts are wanted"),
        ({"relations": '["P17", "P99"]'}, "P99"),
        ({"num_tokens": '["20k"]\nnum_templates = [9]'}, r"grid.num_templates = 9.*only 5"),
        ({"num_choices": "4\nquestion_template = 2"}, r"evaluation.question_template = 2.*only 2"),
        ({"prior_rate": "800\nnum_prior_templates = 6"}, r"num_prior_templates = 6"),
        ({"num_prior": "0"}, "prior_rate"),
        ({"num_choices": "20"}, r"num_choices = 20"),
        ({"num_tokens": "[16]"}, r"num_tokens = 16.*less than one row"),
    ],
)
def test_what_does_not_fit_together(write_sweep: Callable[..., Path], changes: dict[str, str], words: str) -> None:
    with pytest.raises((SpecError, DataError), match=words):
        resolve(write_sweep(**changes))


def test_a_relation_without_a_template_names_relation_and_fact(
    write_sweep: Callable[..., Path], tmp_path: Path, samples: Path
) -> None:
    path = write_sweep()
    (tmp_path / "templates.toml").unlink()
    (tmp_path / "templates.toml").write_text((samples / "templates.toml").read_text().replace("[P19]", "[P1]"))
    with pytest.raises(DataError, match=r"'P19'.*Add a table \[P19\]"):
        resolve(path)


def test_background_files_are_found_and_hashed(write_sweep: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one two three " * 5000)
    (tmp_path / "b.txt").write_text("four five six " * 5000)
    text = write_sweep().read_text() + '[background]\nsource = "files"\npath = "*.txt"\n'
    first = ids(write_sweep(text))
    (tmp_path / "b.txt").write_text("four five SIX " * 5000)
    assert not first & ids(write_sweep(text))
    with pytest.raises(SpecError, match="no such file"):
        resolve(write_sweep(text.replace("*.txt", "*.md")))
    for name in ("corpus/C.MD", "corpus/deep/d.jsonl.gz", "corpus/e.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")

    def found(pattern: str) -> list[str]:
        spec = resolve(write_sweep(text.replace("*.txt", pattern))).corpus
        return [Path(path).name for path in spec.background.paths]

    assert found("corpus") == ["C.MD", "d.jsonl.gz"]
    assert found("corpus/**/*.py") == ["e.py"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(SpecError, match=r"no file of this folder.*src/\*\*/\*\.py"):
        found("empty")


def test_init_from_is_hashed_and_must_be_safetensors(write_sweep: Callable[..., Path], tmp_path: Path) -> None:
    changes = {"model_size": '["nano-3k"]', "weight_decay": '0.05\ninit_from = "./start"'}
    with pytest.raises(SpecError, match="no such folder"):
        resolve(write_sweep(**changes))
    save_preset(tmp_path / "start", "nano-3k", rows=640)
    (tmp_path / "start" / "model.safetensors").rename(tmp_path / "start" / "pytorch_model.bin")
    with pytest.raises(DataError, match="safetensors"):
        resolve(write_sweep(**changes))
    (tmp_path / "start" / "pytorch_model.bin").rename(tmp_path / "start" / "model.safetensors")
    first = ids(write_sweep(**changes))
    save_preset(tmp_path / "start", "nano-3k", rows=640, seed=1)
    assert not first & ids(write_sweep(**changes))


def test_a_ladder_of_checkpoints_and_models_of_ones_own(write_sweep: Callable[..., Path], tmp_path: Path) -> None:
    for name, kind in (("ladder-small", "gpt2"), ("ladder-large", "gpt_neox")):
        save(tmp_path / name, kind, rows=4096, length=48)
    text = write_sweep(model_size='["small", "large", "mine"]').read_text()
    text += (
        '\n[models.small]\ninit_from = "ladder-small"\n[models.large]\ninit_from = "ladder-large"\n'
        "[models.mine]\nhidden_size = 16\nnum_layers = 2\nnum_heads = 4\nnum_kv_heads = 2\n"
    )
    shapes = {run.model.name: run.model for run in resolve(write_sweep(text)).runs}
    assert [shapes[name].architecture for name in ("small", "large", "mine")] == ["gpt2", "gpt_neox", "llama"]
    assert shapes["mine"].intermediate_size == 40
    by_pattern = text.partition("[models.small]")[0].replace(', "mine"', "")
    by_pattern = by_pattern.replace("weight_decay", 'init_from = "ladder-{model_size}"\nweight_decay')
    assert ids(write_sweep(by_pattern)) < ids(write_sweep(text))
    with pytest.raises(SpecError, match="only 48 positions"):
        resolve(write_sweep(text.replace("context_length = 32", "context_length = 64")))
    for wrong, words in (
        ("hidden_size = 18", "even multiple"), ("num_kv_heads = 3", "multiple of num_kv_heads"),
        ('hidden_size = 16\ninit_from = "x"', "leave out"), ("num_lairs = 2", "Did you mean num_layers"),
    ):  # fmt: skip
        key = wrong.split(" = ")[0].replace("num_lairs", "num_layers")
        lines = [wrong if line.startswith(f"{key} = ") else line for line in text.split("\n")]
        with pytest.raises(SpecError, match=words):
            resolve(write_sweep("\n".join(lines)))
    with pytest.raises(SpecError, match="no preset has"):
        resolve(write_sweep(text + '[models."nano-3k"]\nhidden_size = 16\nnum_layers = 1\nnum_heads = 4\n'))
    with pytest.raises(SpecError, match=r"grid.model_size.*'huge'"):
        resolve(write_sweep(text.replace('"mine"]', '"huge"]')))


def test_two_models_of_one_size_are_refused(write_sweep: Callable[..., Path]) -> None:
    text = write_sweep(model_size='["two", "four"]').read_text()
    for name, heads in (("two", 2), ("four", 4)):
        text += f"[models.{name}]\nhidden_size = 16\nnum_layers = 2\nnum_heads = {heads}\n"
    with pytest.raises(SpecError, match="two and four have the same N"):
        resolve(write_sweep(text))


def test_a_folder_in_the_place_of_a_file_is_told(write_sweep: Callable[..., Path]) -> None:
    for name in (".", "./", "..", "/"):
        with pytest.raises(SpecError, match=r"facts.path.*this is a folder; expected files"):
            resolve(write_sweep(path=f'"{name}"'))


@pytest.mark.parametrize("name", ["", "/", "~nobody-of-this-name/f.jsonl", "**x/f.jsonl", "x" * 5_000, "a\\u0000b"])
def test_names_that_are_no_paths(write_sweep: Callable[..., Path], name: str) -> None:
    with pytest.raises((SpecError, DataError)):
        resolve(write_sweep(path=f'"{name}"'))
    if name not in ("", "/"):  # folders
        text = write_sweep().read_text() + f'[background]\nsource = "files"\npath = "{name}"\n'
        with pytest.raises((SpecError, DataError)):
            resolve(write_sweep(text))


def test_questions_that_all_have_one_answer_are_refused(write_sweep: Callable[..., Path]) -> None:
    text = write_sweep(num_infused="4").read_text().replace("num_choices = 4", 'num_choices = 4\nkind = "rank"')
    with pytest.raises(DataError, match="whoever does not look at the subject is right"):
        resolve(write_sweep(text))
