"""One region: packs, index, records, locks and the order in which they are written."""
