"""One object that holds an image: written, read, verified and restored. amictl-archive(5)."""
