"""Stands beside: a page in the browser that shows a camera, and what the kernel does for it."""
