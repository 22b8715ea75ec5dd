"""Experiments: what is shown in ms, and what a trained network does with it."""
