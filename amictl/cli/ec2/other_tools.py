"""Words that people bring from other tools, from the AWS CLI itself and from backup programs."""

from amictl.cli.ec2.operations import same

OTHER_TOOLS = (
    {
        "backup": "use create-image for the disks of a machine, create-snapshot for one disk",
        "cat": "use create-volume, which writes a snapshot to a file",
        "clone": "use create-volume for a disk, launch-image for all disks of an image",
        "config": "use create-region to name a directory; amictl(1) says where the file is",
        "configure": "there are no credentials to set; use create-region to name a directory",
        "copy": "this version does not copy between regions",
        "cp": "use create-volume, which writes a snapshot to a file",
        "create-default-role": "a timer runs as the user whose it is, so that no role is needed",
        "create": "use create-image for the disks of a machine, create-snapshot for one disk",
        "delete": "use deregister-image for an image, delete-snapshot for a snapshot",
        "diff": "use list-changed-blocks, or verify-snapshot --against to compare with a disk",
        "dump": "use create-snapshot for one disk",
        "export": "use launch-image for all disks of an image, create-volume for one of them",
        "fsck": "use check-store, with --read-data for every byte",
        "help": "use amictl --help, or --help after the name of a command",
        "history": "use describe-events, which shows what was done and when",
        "import": "use create-image or create-snapshot on raw disk image files",
        "info": "use describe-store for the region, describe-snapshots for a snapshot",
        "init": "use create-region; the region local is made by the first command that stores",
        "key": "use create-key, describe-keys, export-key and import-key",
        "log": "use describe-events",
        "login": "there are no credentials: a region is a directory that you may read",
        "migrate": "this version has one format, so there is nothing to migrate",
        "mount": "this version does not mount; use create-volume, and mount what it writes",
        "passwd": "use rewrap-key --passphrase for another passphrase of a key",
        "rebuild": "use rebuild-index",
        "recover": "use restore-image-from-recycle-bin for what was deleted, or rebuild-index",
        "rename": "a name is part of an image; use register-image with another name",
        "repair": "use check-store to see the damage, rebuild-index if only the index is lost",
        "rewrite": "a snapshot never changes; use create-snapshot after you changed the disk",
        "rollback": "use create-volume --in-place, which writes only what differs",
        "run": "use launch-image, which writes the disks of an image and a QEMU command line",
        "save": "use create-image for the disks of a machine, create-snapshot for one disk",
        "send": "this version does not copy between regions",
        "size": "use describe-store",
        "status": "use describe-store, describe-images or describe-snapshots",
        "sync": "this version does not copy between regions",
        "tag": "use create-tags",
        "umount": "this version does not mount",
        "undelete": "use restore-image-from-recycle-bin or restore-snapshot-from-recycle-bin",
        "unlock": "locks end with their process; for a locked snapshot use unlock-snapshot",
        "untag": "use delete-tags",
        "update": "use modify-image-attribute for a description, create-tags for tags",
        "upgrade": "this version has one format, so there is nothing to upgrade",
        "verify": (
            "use verify-snapshot for one snapshot, check-store --read-data for all; amictl checks"
            " no signatures for others"
        ),
        "version": "use amictl --version",
    }
    | same("use describe-images or describe-snapshots", "list ls show find stats")
    | same("use check-store, with --read-data for every byte", "check scrub doctor")
    | same("use deregister-image for an image, delete-snapshot for a snapshot", "remove rm")
    | same(
        "use create-volume for a disk, launch-image for all disks of an image", "extract restore"
    )
    | same("use describe-images", "images amis")
    | same("use describe-snapshots", "archives snapshots")
    | same("use create-snapshot", "snapshot snap")
    | same("use launch-image, which writes a QEMU command line", "boot launch start")
    | same(
        "delete single snapshots with delete-snapshot; what describe-store lists as unmapped is"
        " named by no image",
        "forget prune",
    )
    | same(
        "this version gives no room back: what was deleted is no longer named, but its packs stay",
        "clean cleanup collect compact gc optimize purge vacuum",
    )
    | same("use bundle-image", "ec2-bundle-image bundle")
    | same("use unbundle-image", "ec2-unbundle unbundle")
    | same("leave the prefix out: use upload-bundle", "ec2-upload-bundle")
    | same("leave the prefix out: use download-bundle", "ec2-download-bundle")
    | same("leave the prefix out: use delete-bundle", "ec2-delete-bundle")
    | same(
        "amictl bundles disks at rest: stop the machine, and use bundle-image on its root disk",
        "bundle-vol ec2-bundle-vol",
    )
    | same(
        "bundles need no other kernel for another region: use copy-image",
        "ec2-migrate-bundle ec2-migrate-manifest",
    )
    | same(
        "leave the name of the service out, as in amictl describe-images",
        "ebs ec2 dlm kms rbin",
    )
    | same("regions are directories, and no service in a cloud is called", "s3 s3api sts iam")
)
