"""The commands: each declares its parameters, calls one action and returns its result."""
