"""Beside the layers: the programs behind ``make demo`` and ``make memops``."""
