"""Machine images on one's own hardware: deduplicated snapshots of raw disks, registered as
images."""

__version__ = "0.1.0"
