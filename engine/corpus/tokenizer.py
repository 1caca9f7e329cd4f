"""Tokenizers: one token a word and an entity (nano models), BPE trained on the spot, or any ready fast tokenizer.

Whatever its kind, a tokenizer is a folder that `transformers.AutoTokenizer` loads, and here a `tokenizers.Tokenizer`
with one special token that begins every row and every background document.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import tokenizers
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, processors, trainers

from engine.errors import DataError, SpecError
from engine.records.workspace import read_json, write_json
from engine.spec.facts import is_without_blanks
from engine.spec.hub import hub_answers
from engine.spec.runspec import CorpusSpec

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
BOS, UNKNOWN = "<bos>", "<unk>"
_FIRST_CUT = re.compile(r"\w+|[^\w\s]+")


class Tokenizer(NamedTuple):
    """Text to token ids; nothing is added to a text by itself, cut off it, or taken for more than text in it."""

    backend: tokenizers.Tokenizer
    bos_id: int
    unknown_id: int | None
    """Of the token that stands for whatever the vocabulary has not."""

    @property
    def vocab_size(self) -> int:
        return self.backend.get_vocab_size(with_added_tokens=True)

    def encode(self, text: str) -> list[int]:
        return self.backend.encode(text, add_special_tokens=False).ids

    def encode_many(self, texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self.backend.encode_batch_fast(texts, add_special_tokens=False)]

    def pieces(self, text: str) -> tuple[list[int], list[str]]:
        """Token ids, and what of the text each stands for: nothing for one that only goes on with a letter."""
        encoding = self.backend.encode(text, add_special_tokens=False)
        pieces, place = [], 0
        for start, end in encoding.offsets:
            pieces.append(text[max(place, start) : end] if end > place else "")
            place = max(place, end)
        return encoding.ids, pieces

    def unknown_share(self, texts: list[str]) -> float:
        """The share of unknown tokens in some texts."""
        ids = [token for of_text in self.encode_many(texts) for token in of_text]
        return ids.count(self.unknown_id) / max(1, len(ids)) if self.unknown_id is not None else 0.0


def make_tokenizer(spec: CorpusSpec, documents: Iterable[str]) -> Tokenizer:
    """The tokenizer a corpus asks for. `documents` is the background text, read only where one is trained on it."""
    if spec.tokenizer.kind == "word":
        return _word_tokenizer(spec, documents)
    if spec.tokenizer.kind == "bpe":
        return _bpe_tokenizer(spec, documents)
    return _ready_tokenizer(spec)


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write the files that `load_tokenizer` and `transformers` read."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.backend.save(str(folder / "tokenizer.json"))
    bos = tokenizer.backend.id_to_token(tokenizer.bos_id)
    unknown = {"unk_token": UNKNOWN} if tokenizer.backend.token_to_id(UNKNOWN) is not None else {}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": bos, "eos_token": bos, "pad_token": bos}
    write_json(folder / "tokenizer_config.json", {**config, **unknown, "clean_up_tokenization_spaces": False})


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer that `save_tokenizer` wrote into a folder."""
    backend = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    config = read_json(folder / "tokenizer_config.json") or {}
    return _plain(backend, _id_of(backend, config["bos_token"]))


def _plain(backend: tokenizers.Tokenizer, bos_id: int) -> Tokenizer:
    """What a saved tokenizer is told to do beside its work is undone: transformers saves the padding and truncation of
    the last call with it. Special tokens that stand in a text are text."""
    backend.no_padding()
    backend.no_truncation()
    backend.encode_special_tokens = True
    model = json.loads(backend.to_str())["model"]
    unknown = model.get("unk_token")
    return Tokenizer(backend, bos_id, backend.token_to_id(unknown) if unknown is not None else model.get("unk_id"))


def _word_tokenizer(spec: CorpusSpec, documents: Iterable[str]) -> Tokenizer:
    """Every name one token, every word of a template, and the background's most frequent words, in small letters."""
    for text in (*spec.template_texts, *spec.entities):
        if is_without_blanks(text):
            raise SpecError(
                "this tokenizer takes words between blanks, and there are none in the script of a name or template.",
                key="tokenizer.kind",
                value=text,
                mend='Use kind = "bpe", or "hf" with a tokenizer of that language.',
            )
    # One definition of a word, for the vocabulary and for the text: the tokenizer's own; of the first cut, Python's.
    backend = tokenizers.Tokenizer(models.WordLevel({}, unk_token=UNKNOWN))
    backend.normalizer, backend.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()

    def words_in(text: str) -> Iterator[str]:
        if spec.cut == 1:
            return (match[0] for match in _FIRST_CUT.finditer(text.lower()))
        return (word for word, _ in backend.pre_tokenizer.pre_tokenize_str(backend.normalizer.normalize_str(text)))

    template_words = {w for text in spec.template_texts for w in words_in(text.replace("{", " ").replace("}", " "))}
    counts = Counter(word for document in documents for word in words_in(document))
    frequent = sorted(counts, key=lambda word: (-counts[word], word))[: spec.tokenizer.vocab_size]
    words = [BOS, UNKNOWN, *sorted(template_words), *(w for w in frequent if w not in template_words)]
    backend.model = models.WordLevel({w: i for i, w in enumerate(words)}, unk_token=UNKNOWN)
    # Matched in the raw text before it is put into small letters, the longest name first, and only as whole words.
    backend.add_tokens([AddedToken(name, normalized=False, single_word=True) for name in spec.entities])
    return _with_bos(backend)


def _bpe_tokenizer(spec: CorpusSpec, documents: Iterable[str]) -> Tokenizer:
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=spec.tokenizer.vocab_size, special_tokens=[BOS], initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator(documents, trainer)
    return _with_bos(backend)


def _with_bos(backend: tokenizers.Tokenizer) -> Tokenizer:
    backend.add_special_tokens([BOS])
    bos_id = _id_of(backend, BOS)
    # So that tools which add special tokens (lm-evaluation-harness with add_bos_token) begin as our rows do.
    backend.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, bos_id)])
    return _plain(backend, bos_id)


def _id_of(backend: tokenizers.Tokenizer, token: str) -> int:
    token_id = backend.token_to_id(token)
    if token_id is None:
        raise DataError(f"the tokenizer has no token {token!r}.", key="tokenizer")
    return token_id


def _ready_tokenizer(spec: CorpusSpec) -> Tokenizer:
    from transformers import AutoTokenizer  # two seconds to import

    name = str(spec.tokenizer.name)
    try:
        ready = AutoTokenizer.from_pretrained(
            name,
            revision=spec.tokenizer.revision,
            trust_remote_code=False,
            local_files_only=not Path(name).is_dir() and not hub_answers(),
        )
    except Exception as error:  # of a stranger's files the libraries raise what they like
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"the tokenizer cannot be had: {said}",
            key="tokenizer.name",
            value=name,
            mend="Give a folder, or a hub name that this machine can reach.",
        ) from None
    backend = getattr(ready, "backend_tokenizer", None)
    bos_id = ready.bos_token_id if ready.bos_token_id is not None else ready.eos_token_id
    if backend is None or bos_id is None:
        what = "it has no fast version" if backend is None else "it has neither a BOS nor an EOS token"
        raise SpecError(f"this tokenizer cannot be used: {what}.", key="tokenizer.name", value=name)
    return _plain(backend, bos_id)
