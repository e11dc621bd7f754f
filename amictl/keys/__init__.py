"""The user's keys: age identities in a folder outside of every store, and what they open."""
