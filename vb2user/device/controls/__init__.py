"""Layer 4: the controls of a device."""
