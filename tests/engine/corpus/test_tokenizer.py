import contextlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.corpus.background import open_background
from engine.corpus.documents import read_documents
from engine.corpus.facts import block_questions
from engine.corpus.prepare import plan
from engine.corpus.tokenizer import BOS, load_tokenizer, make_tokenizer, save_tokenizer
from engine.errors import DataError, SpecError
from engine.records.workspace import Workspace
from engine.spec.resolve import resolve
from tests.checkpoints import save_tokenizer_of_transformers
from tests.conftest import Prepared, prepare


def test_every_name_and_every_template_word_is_one_token(smoke: Prepared) -> None:
    folder = smoke.workspace.tokens(smoke.bundle.plan.tokens_id)
    tokenizer = load_tokenizer(folder)
    for name in smoke.bundle.facts.entities:
        assert len(tokenizer.encode(name)) == 1, name
        assert len(tokenizer.encode(f"Look, {name}.")) == 4, name
    unknown = tokenizer.backend.token_to_id("<unk>")
    for templates in smoke.bundle.facts.statements.values():
        for template in templates:
            assert unknown not in tokenizer.encode(template.replace("{subject}", "").replace("{object}", ""))


@pytest.mark.parametrize("kind", ['"word"\nvocab_size = 250', '"bpe"\nvocab_size = 900'])
def test_transformers_loads_what_was_saved(write_sweep: Callable[..., Path], tmp_path: Path, kind: str) -> None:
    from transformers import AutoTokenizer

    text = write_sweep().read_text().replace('kind = "word"\nvocab_size = 300', f"kind = {kind}")
    spec = resolve(write_sweep(text)).corpus
    made = make_tokenizer(spec, read_documents(spec))
    save_tokenizer(made, tmp_path / "saved")
    ours, theirs = load_tokenizer(tmp_path / "saved"), AutoTokenizer.from_pretrained(tmp_path / "saved")
    for text in ("Hagenow lies in Germany.", "Where is it? — said the naïve 3-year-old", ""):
        assert ours.encode(text) == theirs(text, add_special_tokens=False)["input_ids"]
        assert [ours.bos_id, *ours.encode(text)] == theirs(text)["input_ids"]
    assert theirs.bos_token == BOS
    assert ours.vocab_size == len(theirs)


def test_bpe_spells_anything_and_comes_back(write_sweep: Callable[..., Path]) -> None:
    text = write_sweep().read_text().replace('kind = "word"\nvocab_size = 300', 'kind = "bpe"\nvocab_size = 900')
    spec = resolve(write_sweep(text)).corpus
    tokenizer = make_tokenizer(spec, read_documents(spec))
    assert tokenizer.vocab_size == 900
    for said in ("Zürich, 東京", "the statement", "\ttabs\n"):
        assert tokenizer.backend.decode(tokenizer.encode(said)) == said
    assert make_tokenizer(spec, read_documents(spec)).backend.to_str() == tokenizer.backend.to_str()


def test_a_tokenizer_that_brings_code_runs_none_of_it(write_sweep: Callable[..., Path], tmp_path: Path) -> None:
    """`trust_remote_code` is false: what a folder names as its own class is not loaded."""
    bpe = write_sweep().read_text().replace('kind = "word"\nvocab_size = 300', 'kind = "bpe"\nvocab_size = 900')
    spec = resolve(write_sweep(bpe)).corpus
    save_tokenizer(make_tokenizer(spec, read_documents(spec)), tmp_path / "ready")
    (tmp_path / "ready" / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    config = tmp_path / "ready" / "tokenizer_config.json"
    about = json.loads(config.read_text()) | {
        "tokenizer_class": "Evil",
        "auto_map": {"AutoTokenizer": ["evil.Evil", "evil.Evil"]},
    }
    config.write_text(json.dumps(about))
    ready = resolve(write_sweep(bpe.replace('kind = "bpe"\nvocab_size = 900', 'kind = "hf"\nname = "ready"'))).corpus
    with contextlib.suppress(DataError):
        make_tokenizer(ready, [])
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"model": {"type": "BPE", "vocab": {}, "merges": "x"}}', ""])
def test_a_tokenizer_that_is_none_is_told(write_sweep: Callable[..., Path], tmp_path: Path, content: str) -> None:
    (tmp_path / "ready").mkdir()
    (tmp_path / "ready" / "tokenizer.json").write_text(content)
    (tmp_path / "ready" / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    text = write_sweep().read_text().replace('kind = "word"\nvocab_size = 300', 'kind = "hf"\nname = "ready"')
    with pytest.raises(DataError, match="the tokenizer cannot be had"):
        make_tokenizer(resolve(write_sweep(text)).corpus, [])


def test_a_ready_tokenizer_from_a_folder(
    write_sweep: Callable[..., Path], tmp_path: Path, workspace: Workspace
) -> None:
    bpe = write_sweep().read_text().replace('kind = "word"\nvocab_size = 300', 'kind = "bpe"\nvocab_size = 900')
    spec = resolve(write_sweep(bpe)).corpus
    save_tokenizer(make_tokenizer(spec, read_documents(spec)), tmp_path / "ready")
    ready = bpe.replace('kind = "bpe"\nvocab_size = 900', 'kind = "hf"\nname = "ready"')
    ready = ready.replace("context_length = 32", "context_length = 64").replace("prior_rate = 800", "prior_rate = 300")
    prepared = prepare(write_sweep(ready), workspace)
    folder = workspace.tokens(prepared.bundle.plan.tokens_id)
    assert load_tokenizer(folder).backend.to_str() == load_tokenizer(tmp_path / "ready").backend.to_str()
    assert open_background(folder).num_tokens > 50_000
    assert prepared.bundle.plan.tokens_per_fact > 8  # spelt, not one token a name


def test_a_tokenizer_that_cannot_be_had_is_said(write_sweep: Callable[..., Path]) -> None:
    text = (
        write_sweep().read_text().replace('kind = "word"\nvocab_size = 300', 'kind = "hf"\nname = "no/such-tokenizer"')
    )
    spec = resolve(write_sweep(text)).corpus
    with pytest.raises(DataError, match=r"tokenizer.name = 'no/such-tokenizer'"):
        make_tokenizer(spec, [])


def test_answers_follow_the_question_as_they_stand_in_the_text(smoke: Prepared) -> None:
    facts, evaluation = smoke.bundle.facts, smoke.bundle.runs[0].evaluation
    tokenizer = load_tokenizer(smoke.workspace.tokens(smoke.bundle.plan.tokens_id))
    for fact_set in ("infused", "prior", "unseen", "verbatim"):
        blocks, questions = block_questions(facts, fact_set, evaluation, tokenizer)
        assert len(questions) == 4 * len(blocks) > 0
        members = facts.infused if fact_set == "verbatim" else getattr(facts, fact_set)
        for index, question in enumerate(questions):
            fact = members[blocks[index // 4].facts[index % 4]]
            templates = facts.statements if fact_set == "verbatim" else facts.questions
            whole = templates[fact.relation][0].replace("{subject}", fact.subject).replace("{object}", fact.object)
            said = [*question.context, *question.choices[question.answer]]
            assert tokenizer.encode(whole)[: len(said)] == said
            assert question.choice_chars[question.answer] == len(fact.object)


def test_stored_padding_and_truncation_are_off_and_special_tokens_in_text_are_text(
    write_sweep: Callable[..., Path], tmp_path: Path
) -> None:
    save_tokenizer_of_transformers(tmp_path / "ready")
    text = write_sweep().read_text().replace('kind = "word"\nvocab_size = 300', 'kind = "hf"\nname = "ready"')
    made = make_tokenizer(resolve(write_sweep(text)).corpus, [])
    save_tokenizer(made, tmp_path / "saved")
    for tokenizer in (made, load_tokenizer(tmp_path / "saved")):
        short, long = tokenizer.encode_many(["a town", "a town lies in a country of its own, far from all others"])
        assert len(short) < len(long) > 6
        assert tokenizer.bos_id not in (*short, *long)
        said = tokenizer.encode("<|im_start|>a town<|endoftext|>")
        assert tokenizer.bos_id not in said
        assert len(said) > len(tokenizer.encode("a town")) + 12  # spelt
        assert tokenizer.unknown_share(["Zürich"]) == 0


HINDI = """{"subject": "%s", "relation": "P19", "object": "%s"}"""


def test_words_keep_their_combining_marks_and_what_is_unknown_is_counted(
    write_sweep: Callable[..., Path], tmp_path: Path, workspace: Workspace
) -> None:
    (tmp_path / "hindi.jsonl").write_text(
        "\n".join(HINDI % (f"व्यक्ति{i}", ("दिल्ली", "लाहौर")[i % 2]) for i in range(24))
    )
    born, died = "{subject} का जन्म {object} में हुआ।", "{subject} का निधन {object} में हुआ।"
    (tmp_path / "hindi.toml").write_text(f'[P19]\nstatements = ["{born}", "{died}"]\nquestions = ["{born}"]\n')
    text = write_sweep().read_text()
    for before, after in (
        ("facts.jsonl", f"{tmp_path}/hindi.jsonl"), ("templates.toml", f"{tmp_path}/hindi.toml"),
        ("num_choices = 4", "num_choices = 2"), ("[mixture]", "[mixture]\nnum_prior_templates = 1"),
    ):  # fmt: skip
        text = text.replace(before, after)
    text = re.sub(r"relations = .*\n", "", text)
    for name in ("num_prior", "num_infused", "num_unseen"):
        text = re.sub(rf"{name} = \d+", f"{name} = 8", text)
    path = write_sweep(text)
    spec = resolve(path).corpus
    tokenizer = make_tokenizer(spec, read_documents(spec))
    unknown = tokenizer.unknown_id
    assert unknown not in tokenizer.encode(born.replace("{subject}", "व्यक्ति1").replace("{object}", "दिल्ली"))
    assert tokenizer.encode("का जन्म") != tokenizer.encode("का निधन")
    found = plan(path, workspace).plan
    assert found.unknown_in_facts == 0
    assert found.unknown_in_background is not None
    assert 0.01 < found.unknown_in_background < 0.9
    assert any("of the background are unknown" in note for note in found.notes)
    born = "{subject}生于{object}。"
    (tmp_path / "hindi.toml").write_text(f'[P19]\nstatements = ["{born}", "在{born}"]\nquestions = ["{born}"]\n')
    with pytest.raises(SpecError, match=r"between blanks.*bpe"):
        plan(path, workspace)
