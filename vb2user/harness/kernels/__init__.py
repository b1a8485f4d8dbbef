"""Beside the layers: stock kernels and their headers, fetched through apt."""
