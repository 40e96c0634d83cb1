"""The deterministic world: the real engine loop, desk and adapters on a clock, network, store and venues of our own.

One seed drives everything, so a run that breaks a rule breaks it again. Nothing sleeps: time jumps to what is next.
"""
