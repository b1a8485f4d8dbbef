"""Beside the layers: exercises a device by each memory type, and judges what came of it."""
