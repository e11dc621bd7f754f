"""Instance-store bundles: a manifest in XML and numbered parts. amictl-bundle(5)."""
