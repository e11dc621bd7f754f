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
    "list-resource-tags": "there are no keys that could have tags; use describe-tags",
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
    same(
        "this version does not encrypt, so a region has no keys",
        "create-key describe-key disable-key enable-key get-key-last-usage list-keys"
        " update-key-description",
    )
    | same(
        "this version does not encrypt: there are no keys that could have an alias",
        "create-alias delete-alias list-aliases update-alias",
    )
    | same(
        "this version does not encrypt: there is no key to rotate",
        "disable-key-rotation enable-key-rotation get-key-rotation-status list-key-rotations"
        " rotate-key-on-demand",
    )
    | same(
        "this version does not encrypt: there is no key whose deletion would make content"
        " unreadable",
        "cancel-key-deletion schedule-key-deletion",
    )
    | same(
        "this version does not encrypt, and a region has one owner: the mode of its directory says"
        " who may read it",
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
        "this version does not encrypt: there is no key whose material could be brought or moved",
        "delete-imported-key-material get-parameters-for-import import-key-material replicate-key"
        " update-primary-region",
    )
    | same(
        "this version does not encrypt and talks to no hardware module",
        "connect-custom-key-store create-custom-key-store delete-custom-key-store"
        " describe-custom-key-stores disconnect-custom-key-store update-custom-key-store",
    )
)

SERVICES = _BLOCKS | _RECYCLE_BIN | _TAGS | _LIFECYCLE | _KEYS
