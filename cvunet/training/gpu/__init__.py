"""A training run of minutes on one GPU: pictures, samples and steps all live in its memory.

`gpu.sh` beside this file runs it. Random numbers are drawn on the CPU, by a generator per batch;
tensor operations apply them, so a CPU makes the same samples, up to rounding.
"""
