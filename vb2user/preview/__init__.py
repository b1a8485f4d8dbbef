"""Beside the layers: a page in the browser that shows a camera, and the kernel's mem op calls for it."""
