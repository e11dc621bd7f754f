"""The command line: arguments in, text or JSON out. The only importer of click and rich."""
