"""Figures: one a file, each drawn from a tidy table. Importing this package loads no plotting library."""
