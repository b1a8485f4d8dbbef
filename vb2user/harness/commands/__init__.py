"""Beside the layers: commands of the command line."""
