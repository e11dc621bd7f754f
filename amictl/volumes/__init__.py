"""Disk image files: securing a moment, finding holes, writing sparsely.

The only layer that touches a user's disk.
"""
