"""Layer 2: the user actions that drive ``struct vb2_mem_ops``, with one file per memory type."""
