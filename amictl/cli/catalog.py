"""Every command: where it is defined, and its help in one line. Imports none of them."""

from amictl.cli.lazy_group import Entry

_HELP = {
    "archiving": {
        "create-store-image-task": "Write an image to a bucket, as one object that stands alone.",
    },
    "blocks": {
        "get-snapshot-block": "Write one block of a snapshot to a file.",
        "list-changed-blocks": "List the blocks in which two snapshots differ.",
        "list-snapshot-blocks": "List the blocks that hold data.",
    },
    "buckets": {
        "create-bucket": "Give a name to a place where archives go.",
        "delete-bucket": "Forget the name of a bucket.",
        "describe-buckets": (
            "Show the buckets that have a name, in the order of the configuration file."
        ),
    },
    "bundles": {
        "bundle-image": "Make an instance-store bundle: a manifest and numbered parts.",
        "delete-bundle": (
            "Delete an instance-store bundle from a bucket: its parts, then its manifest."
        ),
        "download-bundle": "Fetch an instance-store bundle from a bucket.",
        "unbundle-image": "Write the image of an instance-store bundle to a new, sparse file.",
        "upload-bundle": "Bring an instance-store bundle into a bucket, the manifest last.",
    },
    "checking": {
        "check-store": "Find every missing, damaged or foreign piece of a store.",
        "rebuild-index": "Make the index of a store anew from its packs.",
        "verify-snapshot": "Read a snapshot whole and check every byte of it.",
    },
    "collecting": {
        "collect-garbage": "Remove what no snapshot needs.",
    },
    "copying": {
        "copy-image": "Copy an image from another region, or within one.",
        "copy-snapshot": "Copy a snapshot from another region, or within one.",
    },
    "creating": {
        "create-image": "Register the disks of a machine, as they are now, as an image.",
        "create-snapshot": "Store the content of one disk at this moment.",
    },
    "describing": {
        "describe-store": "Show how much is stored and what each snapshot alone holds.",
    },
    "encryption": {
        "disable-ebs-encryption-by-default": (
            "Encrypt only what is asked for, and what is made of something encrypted."
        ),
        "enable-ebs-encryption-by-default": (
            "Encrypt everything that is new in a region, with the default key."
        ),
        "get-ebs-default-kms-key-id": (
            "Show the key that encrypts in a region when no key is named."
        ),
        "get-ebs-encryption-by-default": (
            "Show whether everything that is new in a region is encrypted."
        ),
        "modify-ebs-default-kms-key-id": (
            "Choose the key that encrypts in a region when no key is named."
        ),
        "reset-ebs-default-kms-key-id": (
            "Choose alias/aws/ebs again as the key that encrypts when no key is named."
        ),
    },
    "events": {
        "describe-events": "Show what happened in the region, the newest last.",
    },
    "exporting": {
        "export-image": (
            "Write the disk of an image to a bucket, in the format of a virtual machine monitor."
        ),
    },
    "image_attributes": {
        "describe-image-attribute": "Show one attribute of an image.",
        "modify-image-attribute": (
            "Change the description of an image. Nothing else of an image can change, but its tags."
        ),
        "reset-image-attribute": "Refuse to reset launch permissions, which do not exist here.",
    },
    "images": {
        "deregister-image": "Make an image not exist any more; its name is free then.",
        "describe-images": "Show images.",
        "disable-image": "Hide an image, so that nothing is launched from it.",
        "disable-image-deprecation": "Take the time away from which on an image is deprecated.",
        "disable-image-deregistration-protection": (
            "Let an image be deregistered, after 24 hours if it was protected with a cooldown."
        ),
        "enable-image": "Make a disabled image available again.",
        "enable-image-deprecation": "Say from when on an image should not be used any more.",
        "enable-image-deregistration-protection": "Refuse to deregister an image.",
        "register-image": (
            "Make an image of snapshots that are completed, or of an instance-store bundle."
        ),
    },
    "importing": {
        "import-image": "Make an image of the disks of another virtual machine monitor.",
        "import-snapshot": (
            "Make a snapshot of a disk in a foreign format, or of one that is in a bucket."
        ),
    },
    "key_use": {
        "cancel-key-deletion": "Let a key be used again that is scheduled for deletion.",
        "check-key": (
            "Open with a key what is encrypted with it in a region, and show what that is."
        ),
        "rewrap-key": "Give a key another passphrase, or further recipients.",
        "schedule-key-deletion": (
            "Delete a key, and with it the content of every snapshot that is encrypted with it."
        ),
    },
    "keys": {
        "create-alias": "Give a key one more name.",
        "create-key": "Make a key, an age identity in the key folder.",
        "delete-alias": "Take a name away from its key.",
        "describe-key": "Show one key.",
        "describe-keys": "Show the keys in the key folder.",
        "export-key": "Write the identity of a key to a new file, which has mode 0600.",
        "import-key": "Take an identity file over as a key.",
    },
    "launching": {
        "launch-image": "Write all disks of an image to files, ready to be started.",
    },
    "locks": {
        "describe-locked-snapshots": (
            "Show the locks of snapshots, those that have expired included."
        ),
        "lock-snapshot": "Keep a snapshot from being deleted until a time.",
        "unlock-snapshot": "Take the lock of a snapshot away.",
    },
    "recycle_bin": {
        "create-rule": "Make a retention rule for the recycle bin.",
        "delete-rule": "Delete a retention rule.",
        "get-rule": "Show one retention rule.",
        "list-images-in-recycle-bin": "Show the images in the recycle bin.",
        "list-rules": "Show the retention rules for one type of resource.",
        "list-snapshots-in-recycle-bin": "Show the snapshots in the recycle bin.",
        "restore-image-from-recycle-bin": "Take an image out of the recycle bin.",
        "restore-snapshot-from-recycle-bin": "Take a snapshot out of the recycle bin.",
        "update-rule": "Change a retention rule.",
    },
    "regions": {
        "create-region": "Make a store in a directory or a bucket and give it a name.",
        "delete-region": "Remove a region that holds nothing, or only its name.",
        "describe-regions": "Show regions.",
        "modify-region": "Make a region the default one, or change its settings.",
    },
    "restoring": {
        "create-volume": "Write a snapshot to a disk image file or a block device.",
    },
    "snapshots": {
        "create-snapshots": "Store the content of several disks at one moment.",
        "delete-snapshot": "Delete a snapshot.",
        "describe-snapshot-attribute": "Show an attribute of a snapshot.",
        "describe-snapshots": "Show snapshots.",
        "modify-snapshot-attribute": "Say why the permissions of a snapshot cannot be changed.",
        "reset-snapshot-attribute": "Say why the permissions of a snapshot cannot be reset.",
    },
    "tags": {
        "create-tags": "Give tags to images, snapshots and volumes.",
        "delete-tags": "Take tags from images, snapshots and volumes.",
        "describe-tags": "Show the tags of images, snapshots and volumes.",
    },
    "tasks": {
        "cancel-import-task": "Cancel a task that is at work, whoever began it.",
        "describe-export-image-tasks": "Show how far the exports of images are.",
        "describe-import-image-tasks": "Show how far the imports of images are.",
        "describe-import-snapshot-tasks": "Show how far the imports of snapshots are.",
        "describe-restore-image-tasks": (
            "Show how far the restoring of images from buckets is, the newest first."
        ),
        "describe-store-image-tasks": (
            "Show how far the storing of images into buckets is, the newest first."
        ),
    },
    "unarchiving": {
        "create-restore-image-task": "Make an image of an archive in a bucket.",
        "describe-archive": "Show what is in an archive, without reading its disks.",
        "verify-archive": "Read an archive whole and check every byte of it.",
    },
    "volumes": {
        "delete-volume": "Forget a volume, and delete its file if that is asked for.",
        "describe-volumes": "Show volumes.",
    },
    "waiting": {
        "wait": "Wait until something is in a certain state.",
    },
}
"""By the module of `amictl.cli.commands` in which they are: functions of the same names."""

COMMANDS = {
    name: Entry(f"amictl.cli.commands.{module}", name.replace("-", "_"), text)
    for module, commands in _HELP.items()
    for name, text in commands.items()
}
