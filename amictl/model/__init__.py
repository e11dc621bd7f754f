"""What things are: frozen dataclasses and their arithmetic; no I/O, no clock, no randomness."""
