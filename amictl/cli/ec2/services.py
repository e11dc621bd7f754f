"""Operations of EBS direct, the recycle bin, Data Lifecycle Manager and KMS that amictl has not."""

from amictl.cli.ec2.operations import same

_BLOCKS = same(
    "a snapshot is read from a disk and not written block by block: use create-snapshot; what is"
    " stored already is not stored again",
    "complete-snapshot put-snapshot-block start-snapshot",
)

_RECYCLE_BIN = same(
    "whoever may write to the directory of a region can always remove files from it, so that a"
    " locked rule would promise too much",
    "lock-rule unlock-rule",
)

_TAGS = {
    "list-resource-tags": "keys have aliases and a description, and no tags; use describe-tags",
    "list-tags-for-resource": "use describe-tags for images, snapshots and volumes",
    "tag-resource": "use create-tags for images, snapshots and volumes",
    "untag-resource": "use delete-tags for images, snapshots and volumes",
}

_LIFECYCLE = {
    "create-lifecycle-policy": (
        "this version has no policies: let a timer run create-image and, for old images,"
        " deregister-image --delete-associated-snapshots"
    ),
} | same(
    "this version has no policies; what a timer runs stands in its own unit or crontab",
    "delete-lifecycle-policy get-lifecycle-policies get-lifecycle-policy update-lifecycle-policy",
)

_KEYS = (
    same("use describe-keys, which shows aliases too", "list-aliases list-keys")
    | same(
        "a key is an age identity that is always enabled; to put it out of use, export-key it and"
        " use schedule-key-deletion",
        "disable-key enable-key",
    )
    | {
        "get-key-last-usage": "uses of a key are not counted",
        "update-alias": "use delete-alias and create-alias",
        "update-key-description": "what a key is for is said once, by create-key or import-key",
    }
    | same(
        "an identity is never replaced under the same id: make another with create-key, and copy"
        " with it what it shall open",
        "disable-key-rotation enable-key-rotation get-key-rotation-status list-key-rotations"
        " rotate-key-on-demand",
    )
    | same(
        "whoever has an identity can open what it opens; rewrap-key --recipients adds others",
        "create-grant get-key-policy list-grants list-key-policies list-retirable-grants"
        " put-key-policy retire-grant revoke-grant",
    )
    | same(
        "amictl is no cryptographic service; use age or gpg for files",
        "decrypt derive-shared-secret encrypt generate-data-key generate-data-key-pair"
        " generate-data-key-pair-without-plaintext generate-data-key-without-plaintext"
        " re-encrypt",
    )
    | same(
        "amictl is no cryptographic service; use openssl",
        "generate-mac generate-random get-public-key sign verify-mac",
    )
    | same(
        "an identity is brought and moved as a file, with export-key and import-key",
        "delete-imported-key-material get-parameters-for-import import-key-material replicate-key"
        " update-primary-region",
    )
    | same(
        "an identity in hardware belongs to its age plugin; import-key takes its file",
        "connect-custom-key-store create-custom-key-store delete-custom-key-store"
        " describe-custom-key-stores disconnect-custom-key-store update-custom-key-store",
    )
)

SERVICES = _BLOCKS | _RECYCLE_BIN | _TAGS | _LIFECYCLE | _KEYS
