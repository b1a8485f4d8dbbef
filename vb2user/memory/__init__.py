"""Layer 2: ``struct vb2_mem_ops`` as user space drives it: one file per memory type."""
