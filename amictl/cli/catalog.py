"""Every command: where it is defined, and its help in one line. Imports none of them."""

from amictl.cli.lazy_group import Entry

_COMMANDS = "amictl.cli.commands"

COMMANDS = {
    "bundle-image": Entry(
        f"{_COMMANDS}.bundles",
        "bundle_image",
        "Make an instance-store bundle: a manifest and numbered parts.",
    ),
    "cancel-import-task": Entry(
        f"{_COMMANDS}.tasks",
        "cancel_import_task",
        "Cancel a task that is at work, whoever began it.",
    ),
    "cancel-key-deletion": Entry(
        f"{_COMMANDS}.key_use",
        "cancel_key_deletion",
        "Let a key be used again that is scheduled for deletion.",
    ),
    "check-key": Entry(
        f"{_COMMANDS}.key_use",
        "check_key",
        "Open with a key what is encrypted with it in a region, and show what that is.",
    ),
    "check-store": Entry(
        f"{_COMMANDS}.checking",
        "check_store",
        "Find every missing, damaged or foreign piece of a store.",
    ),
    "create-alias": Entry(
        f"{_COMMANDS}.keys",
        "create_alias",
        "Give a key one more name.",
    ),
    "copy-image": Entry(
        f"{_COMMANDS}.copying", "copy_image", "Copy an image from another region, or within one."
    ),
    "copy-snapshot": Entry(
        f"{_COMMANDS}.copying",
        "copy_snapshot",
        "Copy a snapshot from another region, or within one.",
    ),
    "create-image": Entry(
        f"{_COMMANDS}.creating",
        "create_image",
        "Register the disks of a machine, as they are now, as an image.",
    ),
    "create-key": Entry(
        f"{_COMMANDS}.keys",
        "create_key",
        "Make a key, an age identity in the key folder.",
    ),
    "create-region": Entry(
        f"{_COMMANDS}.regions",
        "create_region",
        "Make a store in a directory or a bucket and give it a name.",
    ),
    "create-restore-image-task": Entry(
        f"{_COMMANDS}.unarchiving",
        "create_restore_image_task",
        "Make an image of an archive in a bucket.",
    ),
    "create-rule": Entry(
        f"{_COMMANDS}.recycle_bin",
        "create_rule",
        "Make a retention rule for the recycle bin.",
    ),
    "create-snapshot": Entry(
        f"{_COMMANDS}.creating",
        "create_snapshot",
        "Store the content of one disk at this moment.",
    ),
    "create-snapshots": Entry(
        f"{_COMMANDS}.snapshots",
        "create_snapshots",
        "Store the content of several disks at one moment.",
    ),
    "create-store-image-task": Entry(
        f"{_COMMANDS}.archiving",
        "create_store_image_task",
        "Write an image to a bucket, as one object that stands alone.",
    ),
    "create-tags": Entry(
        f"{_COMMANDS}.tags", "create_tags", "Give tags to images, snapshots and volumes."
    ),
    "create-volume": Entry(
        f"{_COMMANDS}.restoring",
        "create_volume",
        "Write a snapshot to a disk image file or a block device.",
    ),
    "delete-alias": Entry(
        f"{_COMMANDS}.keys",
        "delete_alias",
        "Take a name away from its key.",
    ),
    "delete-bundle": Entry(
        f"{_COMMANDS}.bundles",
        "delete_bundle",
        "Delete an instance-store bundle from a bucket.",
    ),
    "delete-region": Entry(
        f"{_COMMANDS}.regions",
        "delete_region",
        "Remove a region that holds nothing, or only its name.",
    ),
    "delete-rule": Entry(
        f"{_COMMANDS}.recycle_bin",
        "delete_rule",
        "Delete a retention rule.",
    ),
    "delete-snapshot": Entry(f"{_COMMANDS}.snapshots", "delete_snapshot", "Delete a snapshot."),
    "delete-tags": Entry(
        f"{_COMMANDS}.tags", "delete_tags", "Take tags from images, snapshots and volumes."
    ),
    "delete-volume": Entry(
        f"{_COMMANDS}.volumes",
        "delete_volume",
        "Forget a volume, and delete its file if that is asked for.",
    ),
    "deregister-image": Entry(
        f"{_COMMANDS}.images",
        "deregister_image",
        "Make an image not exist any more; its name is free then.",
    ),
    "describe-archive": Entry(
        f"{_COMMANDS}.unarchiving",
        "describe_archive",
        "Show what is in an archive, without reading its disks.",
    ),
    "describe-events": Entry(
        f"{_COMMANDS}.events",
        "describe_events",
        "Show what happened in the region, the newest last.",
    ),
    "describe-export-image-tasks": Entry(
        f"{_COMMANDS}.tasks",
        "describe_export_image_tasks",
        "Show how far the exports of images are.",
    ),
    "describe-image-attribute": Entry(
        f"{_COMMANDS}.image_attributes",
        "describe_image_attribute",
        "Show one attribute of an image.",
    ),
    "describe-images": Entry(f"{_COMMANDS}.images", "describe_images", "Show images."),
    "describe-import-image-tasks": Entry(
        f"{_COMMANDS}.tasks",
        "describe_import_image_tasks",
        "Show how far the imports of images are.",
    ),
    "describe-import-snapshot-tasks": Entry(
        f"{_COMMANDS}.tasks",
        "describe_import_snapshot_tasks",
        "Show how far the imports of snapshots are.",
    ),
    "describe-key": Entry(
        f"{_COMMANDS}.keys",
        "describe_key",
        "Show one key.",
    ),
    "describe-keys": Entry(
        f"{_COMMANDS}.keys",
        "describe_keys",
        "Show the keys in the key folder.",
    ),
    "describe-locked-snapshots": Entry(
        f"{_COMMANDS}.locks",
        "describe_locked_snapshots",
        "Show the locks of snapshots, those that have expired included.",
    ),
    "describe-regions": Entry(f"{_COMMANDS}.regions", "describe_regions", "Show regions."),
    "describe-restore-image-tasks": Entry(
        f"{_COMMANDS}.tasks",
        "describe_restore_image_tasks",
        "Show how far the restoring of images from buckets is, the newest first.",
    ),
    "describe-snapshot-attribute": Entry(
        f"{_COMMANDS}.snapshots", "describe_snapshot_attribute", "Show an attribute of a snapshot."
    ),
    "describe-snapshots": Entry(f"{_COMMANDS}.snapshots", "describe_snapshots", "Show snapshots."),
    "describe-store": Entry(
        f"{_COMMANDS}.describing",
        "describe_store",
        "Show how much is stored and what each snapshot alone holds.",
    ),
    "describe-store-image-tasks": Entry(
        f"{_COMMANDS}.tasks",
        "describe_store_image_tasks",
        "Show how far the storing of images into buckets is, the newest first.",
    ),
    "describe-tags": Entry(
        f"{_COMMANDS}.tags", "describe_tags", "Show the tags of images, snapshots and volumes."
    ),
    "describe-volumes": Entry(f"{_COMMANDS}.volumes", "describe_volumes", "Show volumes."),
    "disable-ebs-encryption-by-default": Entry(
        f"{_COMMANDS}.encryption",
        "disable_ebs_encryption_by_default",
        "Encrypt only what is asked for, and what is made of something encrypted.",
    ),
    "disable-image": Entry(
        f"{_COMMANDS}.images",
        "disable_image",
        "Hide an image, so that nothing is launched from it.",
    ),
    "disable-image-deprecation": Entry(
        f"{_COMMANDS}.images",
        "disable_image_deprecation",
        "Take the time away from which on an image is deprecated.",
    ),
    "disable-image-deregistration-protection": Entry(
        f"{_COMMANDS}.images",
        "disable_image_deregistration_protection",
        "Let an image be deregistered, after 24 hours if it was protected with a cooldown.",
    ),
    "download-bundle": Entry(
        f"{_COMMANDS}.bundles",
        "download_bundle",
        "Fetch an instance-store bundle from a bucket.",
    ),
    "enable-ebs-encryption-by-default": Entry(
        f"{_COMMANDS}.encryption",
        "enable_ebs_encryption_by_default",
        "Encrypt everything that is new in a region, with the default key.",
    ),
    "enable-image": Entry(
        f"{_COMMANDS}.images",
        "enable_image",
        "Make a disabled image available again.",
    ),
    "enable-image-deprecation": Entry(
        f"{_COMMANDS}.images",
        "enable_image_deprecation",
        "Say from when on an image should not be used any more.",
    ),
    "enable-image-deregistration-protection": Entry(
        f"{_COMMANDS}.images",
        "enable_image_deregistration_protection",
        "Refuse to deregister an image.",
    ),
    "export-image": Entry(
        f"{_COMMANDS}.exporting",
        "export_image",
        "Write the disk of an image to a bucket, in the format of a virtual machine monitor.",
    ),
    "export-key": Entry(
        f"{_COMMANDS}.keys",
        "export_key",
        "Write the identity of a key to a new file, which has mode 0600.",
    ),
    "get-ebs-default-kms-key-id": Entry(
        f"{_COMMANDS}.encryption",
        "get_ebs_default_kms_key_id",
        "Show the key that encrypts in a region when no key is named.",
    ),
    "get-ebs-encryption-by-default": Entry(
        f"{_COMMANDS}.encryption",
        "get_ebs_encryption_by_default",
        "Show whether everything that is new in a region is encrypted.",
    ),
    "get-rule": Entry(
        f"{_COMMANDS}.recycle_bin",
        "get_rule",
        "Show one retention rule.",
    ),
    "get-snapshot-block": Entry(
        f"{_COMMANDS}.blocks", "get_snapshot_block", "Write one block of a snapshot to a file."
    ),
    "import-image": Entry(
        f"{_COMMANDS}.importing",
        "import_image",
        "Make an image of the disks of another virtual machine monitor.",
    ),
    "import-key": Entry(
        f"{_COMMANDS}.keys",
        "import_key",
        "Take an identity file over as a key.",
    ),
    "import-snapshot": Entry(
        f"{_COMMANDS}.importing",
        "import_snapshot",
        "Make a snapshot of a disk in a foreign format, or of one that is in a bucket.",
    ),
    "launch-image": Entry(
        f"{_COMMANDS}.launching",
        "launch_image",
        "Write all disks of an image to files, ready to be started.",
    ),
    "list-changed-blocks": Entry(
        f"{_COMMANDS}.blocks",
        "list_changed_blocks",
        "List the blocks in which two snapshots differ.",
    ),
    "list-images-in-recycle-bin": Entry(
        f"{_COMMANDS}.recycle_bin",
        "list_images_in_recycle_bin",
        "Show the images in the recycle bin.",
    ),
    "list-rules": Entry(
        f"{_COMMANDS}.recycle_bin",
        "list_rules",
        "Show the retention rules for one type of resource.",
    ),
    "list-snapshot-blocks": Entry(
        f"{_COMMANDS}.blocks", "list_snapshot_blocks", "List the blocks that hold data."
    ),
    "list-snapshots-in-recycle-bin": Entry(
        f"{_COMMANDS}.recycle_bin",
        "list_snapshots_in_recycle_bin",
        "Show the snapshots in the recycle bin.",
    ),
    "lock-snapshot": Entry(
        f"{_COMMANDS}.locks", "lock_snapshot", "Keep a snapshot from being deleted until a time."
    ),
    "modify-ebs-default-kms-key-id": Entry(
        f"{_COMMANDS}.encryption",
        "modify_ebs_default_kms_key_id",
        "Choose the key that encrypts in a region when no key is named.",
    ),
    "modify-image-attribute": Entry(
        f"{_COMMANDS}.image_attributes",
        "modify_image_attribute",
        "Change the description of an image. Nothing else of an image can change, but its tags.",
    ),
    "modify-region": Entry(
        f"{_COMMANDS}.regions",
        "modify_region",
        "Make a region the default one, or change its settings.",
    ),
    "modify-snapshot-attribute": Entry(
        f"{_COMMANDS}.snapshots",
        "modify_snapshot_attribute",
        "Say why the permissions of a snapshot cannot be changed.",
    ),
    "rebuild-index": Entry(
        f"{_COMMANDS}.checking", "rebuild_index", "Make the index of a store anew from its packs."
    ),
    "register-image": Entry(
        f"{_COMMANDS}.images",
        "register_image",
        "Make an image of snapshots that are completed.",
    ),
    "reset-ebs-default-kms-key-id": Entry(
        f"{_COMMANDS}.encryption",
        "reset_ebs_default_kms_key_id",
        "Choose alias/aws/ebs again as the key that encrypts when no key is named.",
    ),
    "reset-image-attribute": Entry(
        f"{_COMMANDS}.image_attributes",
        "reset_image_attribute",
        "Refuse to reset launch permissions, which do not exist here.",
    ),
    "reset-snapshot-attribute": Entry(
        f"{_COMMANDS}.snapshots",
        "reset_snapshot_attribute",
        "Say why the permissions of a snapshot cannot be reset.",
    ),
    "restore-image-from-recycle-bin": Entry(
        f"{_COMMANDS}.recycle_bin",
        "restore_image_from_recycle_bin",
        "Take an image out of the recycle bin.",
    ),
    "restore-snapshot-from-recycle-bin": Entry(
        f"{_COMMANDS}.recycle_bin",
        "restore_snapshot_from_recycle_bin",
        "Take a snapshot out of the recycle bin.",
    ),
    "rewrap-key": Entry(
        f"{_COMMANDS}.key_use",
        "rewrap_key",
        "Give a key another passphrase, or further recipients.",
    ),
    "schedule-key-deletion": Entry(
        f"{_COMMANDS}.key_use",
        "schedule_key_deletion",
        "Delete a key, and with it the content of every snapshot that is encrypted with it.",
    ),
    "unbundle-image": Entry(
        f"{_COMMANDS}.bundles",
        "unbundle_image",
        "Write the image of an instance-store bundle to a new, sparse file.",
    ),
    "unlock-snapshot": Entry(
        f"{_COMMANDS}.locks", "unlock_snapshot", "Take the lock of a snapshot away."
    ),
    "update-rule": Entry(
        f"{_COMMANDS}.recycle_bin",
        "update_rule",
        "Change a retention rule.",
    ),
    "verify-archive": Entry(
        f"{_COMMANDS}.unarchiving",
        "verify_archive",
        "Read an archive whole and check every byte of it.",
    ),
    "upload-bundle": Entry(
        f"{_COMMANDS}.bundles",
        "upload_bundle",
        "Bring an instance-store bundle into a bucket.",
    ),
    "verify-snapshot": Entry(
        f"{_COMMANDS}.checking",
        "verify_snapshot",
        "Read a snapshot whole and check every byte of it.",
    ),
    "wait": Entry(f"{_COMMANDS}.waiting", "wait", "Wait until something is in a certain state."),
}
