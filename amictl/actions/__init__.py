"""What can be done: one module per operation family; takes a Store, returns a result, never prints."""
