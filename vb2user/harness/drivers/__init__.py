"""Beside the layers: the drivers that are loaded: vivid, vb2probe."""
