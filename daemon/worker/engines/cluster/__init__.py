"""The engine of many machines: what decides which worker gets which picture, and what runs there.

Nothing in here imports ray: `daemon.worker.engines.ray` does, in a process of its own.
"""
