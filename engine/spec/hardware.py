"""Peak arithmetic rates of accelerators, for forecasts made where no measurement exists yet."""

from __future__ import annotations

# Dense bf16 (V100: fp16) tensor throughput, FLOP/s, from the makers' data sheets.
PEAK_FLOPS_PER_S: dict[str, float] = {
    "B200": 2250e12,
    "H200": 989e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "A10": 125e12,
    "L4": 121e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
    "V100": 125e12,
}

# Published single-run figures lie between 33 % (torchtitan 8B) and 56 % (TinyLlama 1.1B) of peak.
ASSUMED_FLOPS_UTILISATION = 0.40
# What a forecast for GPUs assumes where nobody has measured: said in words wherever it is shown.
ASSUMED_GPU = "H100"

# What GPUs come with: L4 and RTX 4090; A100, L40S; H100; H200; B200. From the makers' data sheets.
GPU_MEMORY_BYTES = (24e9, 48e9, 80e9, 141e9, 180e9)

# On a CPU, freed memory stays with the process in pieces: peaks of 1.0 to 1.5 times what is needed
# (python -m tests.bench.memory).
CPU_MEMORY_SLACK = 1.5
