"""What can be done: one module per operation family.

Takes a Store, returns a result, never prints.
"""
