"""What a layer keeps for its backward pass, by architecture, and what training takes against the forecast.

    python -m tests.bench.memory

The first table has the bytes kept for a token and layer, for each of the width, of the feed-forward width, and of heads
times context: least squares over five shapes. The second trains three steps of a model of eight layers in a process of
its own, with glibc's defaults: peak memory less what the process had with its model, over the forecast.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import transformers

from engine.spec.checkpoints import read_checkpoint
from engine.training.decoder import Decoder
from engine.training.model import decoder_of

ARCHITECTURES = ("llama", "olmo", "gpt2", "gpt_neox", "qwen2", "qwen3", "gemma2")
PRECISIONS = ("fp32", "bf16")
SHAPES = ((128, 512, 4, 64), (128, 256, 4, 64), (256, 512, 4, 64), (128, 512, 8, 64), (128, 512, 4, 128))
"""Width, feed-forward width, heads, context."""


def model_of(
    kind: str, width: int, feed_forward: int, heads: int, context: int, layers: int, vocab: int, head_size: int | None
) -> Any:
    usual = {
        "hidden_size": width, "intermediate_size": feed_forward, "num_hidden_layers": layers,
        "num_attention_heads": heads, "vocab_size": vocab, "max_position_embeddings": context,
    }  # fmt: skip
    if kind == "gpt2":
        config: Any = transformers.GPT2Config(
            n_embd=width, n_inner=feed_forward, n_layer=layers, n_head=heads, vocab_size=vocab, n_positions=context
        )
    else:
        grouped = {} if kind == "gpt_neox" else {"num_key_value_heads": heads}
        sized = {"head_dim": head_size or width // heads} if kind in ("qwen3", "gemma2") else {}
        config = transformers.AutoConfig.for_model(kind, **usual, **grouped, **sized)
    return transformers.AutoModelForCausalLM.from_config(config)


def loss_of(decoder: Decoder, rows: int, context: int, vocab: int, precision: str) -> torch.Tensor:
    ids_BL = torch.randint(0, vocab, (rows, context))
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        loss: torch.Tensor = decoder(ids_BL, ids_BL)
    return loss


def kept_bytes(kind: str, shape: tuple[int, int, int, int], precision: str, head_size: int | None = None) -> float:
    """Of a layer and token: the difference between models of two and of four layers."""
    kept = []
    for layers in (2, 4):
        model = model_of(kind, *shape, layers, 512, head_size)
        decoder = decoder_of(model, shape[-1])
        own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
        sizes: dict[int, int] = {}
        alive = []

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            alive.append(tensor)  # noqa: B023 - called before the next round
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:  # noqa: B023
                sizes[storage.data_ptr()] = storage.nbytes()  # noqa: B023
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss_of(decoder, 4, shape[-1], 512, precision)
        kept.append(sum(sizes.values()))
    return (kept[1] - kept[0]) / 2 / (4 * shape[-1])


def peak_bytes() -> int:
    """Of this process since it began; `getrusage` has its parent's, too."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024


def peak_over_forecast(kind: str, precision: str, rows: int) -> str:
    context, vocab = 256, 4096
    model = model_of(kind, 256, 1024, 8, context, 8, vocab, None)
    with TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        shape = read_checkpoint(Path(folder), kind)
    forecast = shape.train_memory_bytes(vocab, context, rows, precision=precision)
    decoder = decoder_of(model, context)
    optimizer = torch.optim.AdamW(model.parameters())
    before = peak_bytes()
    before -= sum(parameter.nbytes for parameter in model.parameters())
    for _ in range(3):
        loss_of(decoder, rows, context, vocab, precision).backward()
        optimizer.step()
        optimizer.zero_grad()
    peak = peak_bytes() - before
    return f"| {kind} | {precision} | {rows} | {forecast / 2**20:.0f} | {peak / 2**20:.0f} | {peak / forecast:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--one", nargs=3)
    parser.add_argument("--architectures", nargs="*", default=ARCHITECTURES)
    options = parser.parse_args()
    if options.one:
        kind, precision, rows = options.one
        print(peak_over_forecast(kind, precision, int(rows)))
        return
    print("| architecture | precision | width | feed-forward | heads · context |\n|---|---|---|---|---|")
    sizes = np.array([[width, feed_forward, heads * context] for width, feed_forward, heads, context in SHAPES], float)
    for kind in options.architectures:
        kept = np.array([kept_bytes(kind, shape, "fp32") for shape in SHAPES])
        found, *_ = np.linalg.lstsq(sizes, kept, rcond=None)
        print(f"| {kind} | fp32 | " + " | ".join(f"{each:.1f}" for each in found) + " |")
    print("\n| architecture | precision | rows | forecast, MiB | peak, MiB | ratio |\n|---|---|---|---|---|---|")
    for kind in options.architectures:
        for precision in PRECISIONS:
            argv = [sys.executable, "-m", "tests.bench.memory", "--one", kind, precision, "16"]
            print(subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip(), flush=True)


if __name__ == "__main__":
    main()
