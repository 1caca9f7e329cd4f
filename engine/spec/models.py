"""Model sizes: Llama-style shapes, their exact parameter counts, and the arithmetic they cost."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from engine.errors import SpecError

LOSS_CHUNK_TOKENS = 4096
"""Positions whose logits exist at once in training: 4,096 of 50k logits in fp32 are 0.8 GB."""
KEPT_BYTES = {
    "llama": (32, 16, 0), "olmo": (32, 16, 0), "gpt2": (33, 20, 0), "gpt_neox": (41, 8, 0), "qwen2": (40, 16, 0),
    "qwen3": (57, 16, 0), "gemma2": (57, 16, 8),
}  # fmt: skip
"""By architecture, the bytes that a layer keeps in fp32 for a token's backward pass: for each of its width, of the
feed-forward width, and of heads · context where attention scores are kept, which flash kernels do not. Measured by
`python -m tests.bench.memory` with heads that divide the width among them; in bf16 half to eight tenths are kept."""
_KEPT_OF_HEADS_BYTES = 32
"""Of the width's bytes, those that grow with the heads where these are wider than it: at most eight fp32 numbers."""
MOST_KEPT_BYTES = (64, 24, 12)
"""Guessed, of an architecture that was not measured."""


_OF_CHECKPOINTS = (
    "counted_params", "counted_params_total", "vocab_rows", "max_positions", "head_size", "num_experts_at_once",
)  # fmt: skip


class ModelShape(BaseModel):
    """The shape of one decoder: a Llama (RMSNorm, rotary positions, SwiGLU, no biases), or what a checkpoint is."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    name: str
    hidden_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    intermediate_size: int
    tied_embeddings: bool = True
    architecture: str = "llama"
    """As transformers calls it (`model_type`)."""
    counted_params: int | None = None
    """Of a checkpoint, N as its tensors add up; below, all parameters."""
    counted_params_total: int | None = None
    vocab_rows: int | None = None
    """Of a checkpoint's embedding: at least the tokenizer's vocabulary, usually padded."""
    max_positions: int | None = None
    head_size: int | None = None
    """Where it is another than the heads' share of the width."""
    num_experts_at_once: int = 1
    """Of a mixture of experts, those that a token goes through."""

    def identity(self) -> dict[str, object]:
        """What of it a run's identity holds. What a checkpoint adds is in the checkpoint's own hash."""
        content = self.model_dump(mode="json", exclude={*_OF_CHECKPOINTS, "name"})
        if self.architecture == "llama":  # as it was when there were no others
            del content["architecture"]
        return content

    @property
    def num_params(self) -> int:
        """N: non-embedding parameters (attention, feed-forward, norms)."""
        if self.counted_params is not None:
            return self.counted_params
        d, head_size = self.hidden_size, self.hidden_size // self.num_heads
        attention = 2 * d * d + 2 * d * head_size * self.num_kv_heads
        return self.num_layers * (attention + 3 * d * self.intermediate_size + 2 * d) + d

    def num_params_total(self, vocab_size: int) -> int:
        """All parameters, with the input embedding and, where untied, the output embedding."""
        if self.counted_params_total is not None:
            return self.counted_params_total
        return self.num_params + vocab_size * self.hidden_size * (1 if self.tied_embeddings else 2)

    def train_flops_per_token(self, vocab_size: int, context_length: int) -> float:
        """Floating-point operations of one forward and backward pass, per token.

        6 for each parameter that multiplies (Kaplan et al. 2020, with the output embedding, which dominates nano
        models) plus causal attention's scores and values, 6 · layers · width · context: half of the usual 12,
        for half of the score matrix is masked.
        """
        multiplied = self.num_params + (self.vocab_rows or vocab_size) * self.hidden_size
        return 6.0 * multiplied + 6.0 * self.num_layers * self.hidden_size * context_length

    def train_memory_bytes(
        self, vocab_size: int, context_length: int, num_rows: int, *, precision: str = "fp32", divided_by: int = 1
    ) -> int:
        """A forecast of one process's memory for `num_rows` rows a forward pass, in bytes, meant to be rather more than
        less: weights, gradients and both Adam moments (16 a parameter in fp32), what each layer keeps for its backward
        pass, once more for the layer that it is in, and two copies of the logits that exist at once, in fp32.

        `divided_by`: processes among which FSDP divides the 16 bytes; each then gathers the weights, with gradients, of
        two layers and of all that is no layer.
        """
        tokens, rows = context_length * num_rows, self.vocab_rows or vocab_size
        of_width, of_feed_forward, of_scores = KEPT_BYTES.get(self.architecture, MOST_KEPT_BYTES)
        kept = of_width * self.hidden_size + of_feed_forward * self.intermediate_size * self.num_experts_at_once
        if self.head_size is not None:
            kept += _KEPT_OF_HEADS_BYTES * max(0, self.num_heads * self.head_size - self.hidden_size)
        kept += of_scores * self.num_heads * context_length
        total = self.num_params_total(vocab_size)
        factor = {"bf16": 0.8, "fp32": 1.0, "fp64": 2.0}[precision]
        activations = round(factor * kept * (self.num_layers + 1) * tokens) + 8 * rows * min(tokens, LOSS_CHUNK_TOKENS)
        if precision == "bf16":  # the weights that autocast keeps beside those in fp32
            activations += 2 * total // divided_by
        per_param = 32 if precision == "fp64" else 16
        if divided_by == 1:
            return per_param * total + activations
        outermost = total - self.num_params
        gathered = outermost + 2 * self.num_params // self.num_layers
        return per_param * -(-total // divided_by) + per_param // 2 * gathered + activations


def usual_intermediate_size(hidden_size: int) -> int:
    """Of SwiGLU: 8/3 of the width, to the nearest multiple of 8."""
    return max(8, round(hidden_size * 8 / 3 / 8) * 8)


def _nano(hidden_size: int, num_layers: int = 1) -> ModelShape:
    """A CPU-sized model: 4 heads (2 where 4 would be of odd width, which rotary positions cannot have), SwiGLU of 8/3
    the width to the nearest multiple of 8, named by its N."""
    intermediate = usual_intermediate_size(hidden_size)
    num_heads = 4 if hidden_size % 8 == 0 else 2
    shape = ModelShape(
        name="",
        hidden_size=hidden_size,
        num_layers=num_layers,
        num_heads=num_heads,
        num_kv_heads=num_heads,
        intermediate_size=intermediate,
    )
    millions, thousands = shape.num_params / 1e6, shape.num_params / 1e3
    name = f"nano-{millions:.2g}m" if millions >= 0.95 else f"nano-{thousands:.0f}k"
    return shape.model_copy(update={"name": name})


def _llama(name: str, hidden_size: int, num_layers: int, num_heads: int, intermediate_size: int) -> ModelShape:
    return ModelShape(
        name=name,
        hidden_size=hidden_size,
        num_layers=num_layers,
        num_heads=num_heads,
        num_kv_heads=num_heads,
        intermediate_size=intermediate_size,
    )


# Widths of the one-layer models follow measurements: two layers at small widths cost twice and learn no more.
_SHAPES = [
    *(_nano(d) for d in (16, 20, 24, 32, 40, 48, 64, 80, 96, 128)),
    *(_nano(d, layers) for d, layers in ((128, 2), (192, 2), (256, 2), (256, 4), (384, 4), (512, 6))),
    # With a vocabulary of 32,000 and tied embeddings: 137.8M, 341M, 1.08B and 3.04B parameters in all.
    _llama("137M", 768, 16, 12, 2048),
    _llama("350M", 1024, 24, 16, 2816),
    _llama("1B", 2048, 20, 16, 5504),
    _llama("3B", 3072, 26, 24, 8192),
]
PRESETS: dict[str, ModelShape] = {shape.name: shape for shape in _SHAPES}
_BY_LOWER = {name.lower(): shape for name, shape in PRESETS.items()}


def canonical(name: str) -> str:
    """The name of a preset as it is written, or the name as it was given."""
    shape = _BY_LOWER.get(name.strip().lower())
    return shape.name if shape is not None else name.strip()


def preset(name: str, key: str = "grid.model_size") -> ModelShape:
    """The preset of that name, in any letter case. SpecError lists them all."""
    try:
        return _BY_LOWER[name.strip().lower()]
    except KeyError:
        mend = f"Sizes: {', '.join(PRESETS)}; others are described in [models]."
        raise SpecError("no model size of this name.", key=key, value=name, mend=mend) from None


def next_size_up(num_params: float) -> tuple[float, str | None]:
    """The smallest preset with more than `num_params` parameters by a quarter, as its number and name; above all of
    them, twice as many."""
    bigger = [shape for shape in PRESETS.values() if shape.num_params > 1.25 * num_params]
    if not bigger:
        return 2.0 * num_params, None
    smallest = min(bigger, key=lambda shape: shape.num_params)
    return smallest.num_params, smallest.name
