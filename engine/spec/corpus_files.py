"""The files that a sweep's tokens are made of: background, tokenizer, and the words that must be in a vocabulary."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from engine.errors import SpecError
from engine.spec.facts import JOINERS
from engine.spec.file_hashes import hashes_of
from engine.spec.files import files_of, folder_of, kind_of
from engine.spec.runspec import CorpusSpec, FactSets
from engine.spec.sweep import Sweep

_LOOKED_THROUGH_BYTES = 2**26
# In a folder, files that are text by their names; others are named one by one, or by a pattern.
_TEXT_FILES = (".txt", ".md", ".jsonl", ".ndjson", ".json", ".parquet")


def corpus_spec(path: Path, sweep: Sweep, facts: FactSets) -> CorpusSpec:
    """What the token files of a sweep file are made of. SpecError or DataError for what is not there."""
    background, tokenizer = sweep.background, sweep.tokenizer
    by_word = tokenizer.kind == "word"
    asked = [facts.statements, facts.questions, *([facts.reverse] if sweep.evaluation.kind == "reverse" else [])]
    texts = {t for templates in asked for per in templates.values() for t in per} | facts.description_texts
    if facts.own_questions:
        texts |= {
            sweep.evaluation.question_form,
            *(t for own in facts.own_questions for t in (own.question, *own.choices)),
        }
    texts |= {*facts.texts.values()}
    absolute = tuple(str(p) for p in _background_files(path, sweep))
    name = tokenizer.name
    local = local_folder(path, name, "tokenizer.name") if name else None
    return CorpusSpec(
        background=background.model_copy(update={"path": absolute or None}),
        background_hashes=background_hashes(background.source, absolute),
        tokenizer=tokenizer.model_copy(update={"name": str(local.resolve())}) if local else tokenizer,
        tokenizer_hash=hash_of(sorted(local.glob("*token*"))) if local else None,
        entities=facts.entities if by_word else (),
        template_texts=tuple(sorted(texts)) if by_word else (),
        cut=1 if _is_cut_as_ever(sweep, absolute, (*texts, *facts.entities)) else 2,
    )


def _is_cut_as_ever(sweep: Sweep, paths: Sequence[str], names: Iterable[str]) -> bool:
    """Whether the first kitui's way of cutting words does: small plain files without combining marks or special tokens.
    Token files that were made so keep their names, and what is made under those names is made so."""
    by_word, source = sweep.tokenizer.kind == "word", sweep.background.source
    if sweep.tokenizer.kind == "hf" or (by_word and any(map(_has_marks, names))):
        return False
    if source == "builtin":
        return True
    files = [Path(path) for path in paths]
    small = source == "files" and sum(file.stat().st_size for file in files) <= _LOOKED_THROUGH_BYTES
    return small and all(_is_plain(file, by_word) for file in files)


def _has_marks(text: str) -> bool:
    return not text.isascii() and any(unicodedata.category(c).startswith("M") or c in JOINERS for c in {*text})


def _is_plain(file: Path, by_word: bool) -> bool:
    content = file.read_bytes()
    escaped = file.suffix == ".jsonl" and b"\\u" in content
    if file.suffix not in (".txt", ".jsonl") or escaped or b"<bos>" in content:
        return False
    return not (by_word and _has_marks(content.decode(errors="replace")))


def _background_files(path: Path, sweep: Sweep) -> list[Path]:
    if sweep.background.source != "files":
        return []
    files: list[Path] = []
    for pattern in sweep.background.paths:
        folder = folder_of(path, pattern)
        if folder is not None:
            try:
                found = sorted(p for p in folder.rglob("*") if p.is_file() and kind_of(p) in _TEXT_FILES)
            except OSError as error:
                what = f"cannot be looked through: {error.strerror}: {error.filename}."
                raise SpecError(what, where=str(path), key="background.path", value=pattern) from None
            if not found:
                raise SpecError(
                    f"no file of this folder is one of {', '.join(_TEXT_FILES)}, packed or not.",
                    where=str(path),
                    key="background.path",
                    value=pattern,
                    mend="Others are read as text where a pattern names them: src/**/*.py.",
                )
            files.extend(p.resolve() for p in found)
        else:
            files.extend(files_of(path, [pattern], "background.path"))
    return list(dict.fromkeys(files))


def background_hashes(source: str, paths: Sequence[str]) -> dict[str, str]:
    """SHA-256 of what the background is made of, by file; nothing for a hub dataset."""
    if source == "builtin":
        from pydoc_data.topics import topics  # half a megabyte, only wanted here

        digest = hashlib.sha256("\0".join(f"{k}\0{topics[k]}" for k in sorted(topics)).encode())
        return {"pydoc_data.topics": digest.hexdigest()}
    hashes = hashes_of([Path(path) for path in paths])
    return {path: _together([found]) for path, found in zip(paths, hashes, strict=True)}


def local_folder(path: Path, name: str, key: str) -> Path | None:
    """The folder of that name; None for the name of a repository on the hub. SpecError where it can only be a folder,
    and there is none."""
    folder = folder_of(path, name)
    if folder is not None:
        return folder
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise SpecError("there is no such folder.", where=str(path), key=key, value=name)
    return None


def hash_of(files: list[Path]) -> str:
    """SHA-256 of the files' contents, one after the other."""
    return _together(hashes_of(files))


def _together(hashes: Sequence[bytes]) -> str:
    return hashlib.sha256(b"".join(hashes)).hexdigest()
