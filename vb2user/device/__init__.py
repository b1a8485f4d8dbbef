"""Layer 4: one video node: formats, controls, inputs, discovery."""
