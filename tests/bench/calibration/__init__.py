"""Do 95 % intervals hold the truth 95 times in 100? Simulated curves and laws of known truth, of many shapes.

    python -m tests.bench.calibration curves     F*, one thing of the design changed at a time
    python -m tests.bench.calibration cross      F*, every combination of the designs; a CSV of its own with --output
    python -m tests.bench.calibration falls      curves that never fall: how many collapses are claimed
    python -m tests.bench.calibration rivals     F* beside argmax, a knee and a broken line; power; an oracle's widths
    python -m tests.bench.calibration acquired   the least frequency at which a level is reached
    python -m tests.bench.calibration laws       exponents, and predictions 8 times larger
    python -m tests.bench.calibration effects    false alarms of the tests of templates and of the mechanism
    python -m tests.bench.calibration losses     laws of losses

Everything is drawn from --seed, so many times as --draws says, and goes through the analysis as an imported table
would. Prints Markdown tables; ± is one binomial standard error.
"""
