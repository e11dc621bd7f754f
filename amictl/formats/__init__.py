"""How documents are written down: one module per format, value to bytes and back."""
