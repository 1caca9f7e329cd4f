"""How long a text is looked through for facts that stand in it: 200 million tokens drawn by Zipf's law, 2,400 facts
whose names are words of one to three tokens, an own question for each.

    python -m tests.bench.contamination [--tokens 200M]
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tokenizers
from tokenizers import models, pre_tokenizers

from engine.corpus.background import Background, _About
from engine.corpus.contamination import contamination
from engine.corpus.tokenizer import Tokenizer
from engine.spec.facts import Fact
from engine.spec.numbers import parse_count
from engine.spec.own_questions import OwnQuestion
from engine.spec.runspec import FactSets

VOCAB_SIZE, NUM_FACTS = 50_000, 2_400


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", type=parse_count, default=200_000_000)
    num_tokens = parser.parse_args().tokens
    rng = np.random.default_rng(0)
    backend = tokenizers.Tokenizer(models.WordLevel({f"w{i}": i for i in range(VOCAB_SIZE)}, unk_token="w1"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = Tokenizer(backend, bos_id=0, unknown_id=None)

    def name() -> str:
        return " ".join(f"w{i}" for i in rng.integers(2, VOCAB_SIZE, rng.integers(1, 4)))

    facts = [Fact(name(), "P", name()) for _ in range(NUM_FACTS)]
    sets = FactSets(
        prior=tuple(facts[:1200]), infused=tuple(facts[1200:1800]), unseen=tuple(facts[1800:]), facts_seed=0,
        statements={"P": ("{subject} {object}",)}, questions={"P": ("{subject} {object}",)},
        own_questions=tuple(OwnQuestion(f.subject, " ".join(name() for _ in range(6)), ("w1",), 0) for f in facts),
    )  # fmt: skip
    with TemporaryDirectory() as folder:
        path = Path(folder) / "background.bin"
        tokens = (VOCAB_SIZE ** rng.random(num_tokens, dtype=np.float32)).astype(np.uint16)
        tokens.tofile(path)
        mapped = np.asarray(np.memmap(path, dtype=np.uint16, mode="r"))
        about = _About(
            num_tokens=num_tokens, heldout_tokens=100_000, num_documents=1, unknown_share=0.0, dtype="uint16"
        )
        before_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        start_s = time.perf_counter()
        found = contamination(sets, tokenizer, Background(path, mapped, about, b""))
        taken_s = time.perf_counter() - start_s
    for one in found:
        print(one)
    more_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before_bytes
    print(
        f"{num_tokens:,} tokens in {taken_s:.1f} s, {num_tokens / taken_s / 1e6:.1f}M a second, "
        f"{more_bytes / 2**20:.0f} MiB more"
    )


if __name__ == "__main__":
    main()
