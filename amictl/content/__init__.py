"""How a volume's bytes are cut, named and packed: bytes in, bytes out."""
