"""Layer 3: buffers and their states."""
