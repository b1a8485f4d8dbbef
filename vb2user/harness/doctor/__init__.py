"""Beside the layers: what this machine has and lacks."""
