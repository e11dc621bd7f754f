"""Where objects live: a directory now, a bucket later, behind one small interface."""
