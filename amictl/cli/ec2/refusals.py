"""Why amictl refuses what EC2 has: options of its commands, options of all commands, operations.

The names are written as the AWS CLI writes them. A reason is a clause without a final stop, for
the end of an error message. Plain data: nothing else of amictl is imported.
"""

from amictl.cli.ec2.families import family_answer
from amictl.cli.ec2.operations import EC2, same
from amictl.cli.ec2.other_tools import OTHER_TOOLS
from amictl.cli.ec2.services import SERVICES

OPERATIONS: dict[str, str] = EC2 | SERVICES | OTHER_TOOLS
"""What to use instead of an operation, or of a word of another tool, or why it is not here."""

_NO_OUTPOST = {"--outpost-arn": "there are no outposts; --region or --store says where it is kept"}
_NO_LOCAL_ZONE = "there are no local zones; --region or --store says where it is kept"
_NO_ZONE = "a region is one directory and has no zones; you choose the path of the file"
_NO_ACCOUNTS = "a region has one owner, and nobody else whom a permission could be given to"
_FROM_FILES = "amictl knows disk image files, not machines; name the files, the root disk first"
_IDENTITY = "a key is an age identity of its usual kind; import-key takes others"
_NO_ROLE = "the rights are those of who runs the command; leave it out"
_NO_TOKEN = "what is there already is not stored again, and a second run makes another task"
_NO_UPLOAD = "nobody measures who uploaded a disk, and when; leave it out"
_LICENSE = "what a system is licensed for is between you and its maker; leave it out"
_NO_LICENSE = dict.fromkeys(
    ("--license-specifications", "--license-type", "--usage-operation"), _LICENSE
)

_NO_DURATION = "a copy runs as fast as it can, and no faster for being told"
_NO_DESTINATION = "there are no local zones; --region says where the copy goes"

OPTIONS: dict[str, dict[str, str]] = {
    "copy-image": {
        "--destination-availability-zone": _NO_DESTINATION,
        "--destination-availability-zone-id": _NO_DESTINATION,
        "--destination-outpost-arn": "there are no outposts; --region says where the copy goes",
        "--snapshot-copy-completion-duration-minutes": _NO_DURATION,
    },
    "copy-snapshot": {
        "--completion-duration-minutes": _NO_DURATION,
        "--destination-availability-zone": _NO_DESTINATION,
        "--destination-outpost-arn": "there are no outposts; --region says where the copy goes",
        "--destination-region": "the command is for that region: --region says where the copy goes",
        "--presigned-url": "no service is asked, so that no request needs to be signed",
    },
    "create-image": {
        "--instance-id": _FROM_FILES,
        "--snapshot-location": _NO_LOCAL_ZONE,
    },
    "create-key": {
        "--bypass-policy-lockout-safety-check": "keys have no policies",
        "--no-bypass-policy-lockout-safety-check": "keys have no policies; leave it out",
        "--custom-key-store-id": "all keys are in one folder, which AMICTL_KEYS names",
        "--customer-master-key-spec": _IDENTITY,
        "--key-spec": _IDENTITY,
        "--key-usage": "a key encrypts images and does nothing else; leave it out",
        "--multi-region": "every key works in every region; leave it out",
        "--no-multi-region": "every key works in every region",
        "--origin": "say it by the command: create-key makes an identity, import-key brings one",
        "--policy": "whoever has the identity can use it; the mode of its file says who that is",
        "--tags": "keys have aliases and a description, and no tags",
        "--xks-key-id": "an identity in hardware belongs to its age plugin; use import-key",
    },
    "create-rule": {
        "--lock-configuration": (
            "whoever may write to the region's directory could remove a locked rule"
        ),
    },
    "create-snapshot": _NO_OUTPOST | {"--location": _NO_LOCAL_ZONE},
    "create-snapshots": _NO_OUTPOST
    | {
        "--instance-specification": (
            "amictl knows disk image files, not machines; name the files, and leave out those"
            " that you do not want"
        ),
        "--location": _NO_LOCAL_ZONE,
    },
    "create-volume": _NO_OUTPOST
    | {
        "--availability-zone": _NO_ZONE,
        "--availability-zone-id": _NO_ZONE,
        "--client-token": "writing the same snapshot to the same file twice gives the same file",
        "--iops": "a file is as fast as the disk that it lies on; limit the rate in the hypervisor",
        "--multi-attach-enabled": "whether machines may share a file is decided by the hypervisor",
        "--no-multi-attach-enabled": "it is decided by the hypervisor; leave it out",
        "--operator": "no service manages volumes in your place",
        "--throughput": "a file is as fast as its disk; limit the rate in the hypervisor",
        "--volume-initialization-rate": "the volume is whole when the command ends",
        "--volume-type": "a volume is a file or a block device; choose the disk by its path",
    },
    "describe-key": {"--grant-tokens": "there are no grants; who has the identity can use it"},
    "describe-volumes": {
        "--include-managed-resources": "no service manages volumes in your place",
        "--no-include-managed-resources": "no service manages volumes; leave it out",
    },
    "export-image": {"--client-token": _NO_TOKEN, "--role-name": _NO_ROLE},
    "import-image": _NO_LICENSE
    | {
        "--client-data": _NO_UPLOAD,
        "--client-token": _NO_TOKEN,
        "--hypervisor": "a disk does not depend on it",
        "--role-name": _NO_ROLE,
    },
    "import-snapshot": {
        "--client-data": _NO_UPLOAD,
        "--client-token": _NO_TOKEN,
        "--role-name": _NO_ROLE,
    },
    "list-rules": {"--lock-state": "rules are not locked here, so that all have one state"},
    "lock-snapshot": {
        "--cool-off-period": "it belongs to compliance mode, which nothing here could enforce",
    },
    "modify-image-attribute": {
        "--imds-support": "the metadata service of a machine is not amictl's",
        "--launch-permission": _NO_ACCOUNTS,
        "--operation-type": "it says how permissions change, and there are none",
        "--organization-arns": "there are no organisations of accounts",
        "--organizational-unit-arns": "there are no units of organisations",
        "--product-codes": "nothing here is sold, so images carry no product codes",
        "--user-groups": "the only group of EC2 is everybody, and no image is public here",
        "--user-ids": _NO_ACCOUNTS,
    },
    "modify-snapshot-attribute": {
        "--create-volume-permission": _NO_ACCOUNTS,
        "--group-names": "the only group of EC2 is everybody, and no snapshot is public here",
        "--operation-type": "it says how permissions change, and there are none",
        "--user-ids": _NO_ACCOUNTS,
    },
    "register-image": {
        "--billing-products": "nothing here is billed",
        "--ena-support": "network adapters are emulated by your hypervisor",
        "--no-ena-support": "network adapters are emulated by your hypervisor; leave it out",
        "--imds-support": "the metadata service of a machine is not amictl's",
        "--kernel-id": "a kernel is part of the root disk, since all images are hvm",
        "--ramdisk-id": "an initial RAM disk is part of the root disk, since all images are hvm",
        "--sriov-net-support": "network adapters are given to a machine by your hypervisor",
        "--tpm-support": "a virtual TPM is given to a machine by your hypervisor",
        "--uefi-data": "UEFI variables are kept by your hypervisor, not on the disks",
    },
}

EVERYWHERE: dict[str, str] = {
    "--ca-bundle": "amictl opens no network connection that a certificate would secure",
    "--cli-auto-prompt": "amictl does not ask; let the shell complete options with the Tab key",
    "--cli-binary-format": "no option takes binary data",
    "--cli-connect-timeout": "amictl connects to nothing; regions are directories",
    "--cli-error-format": "errors have one form: code and message, a hint, an exit status",
    "--cli-read-timeout": "amictl reads from no network; regions are directories",
    "--endpoint-url": "amictl calls no service; --region or --store says which directory",
    "--no-sign-request": "amictl sends no requests that could be signed",
    "--no-verify-ssl": "amictl opens no network connection",
    "--profile": "there are no accounts to choose from; --region or --store says which directory",
    "--v2-debug": "amictl is not the AWS CLI; --debug shows where an error arose",
}
"""Options that all commands of the AWS CLI have, and none of amictl."""

WAITERS: dict[str, str] = (
    same(
        "machines are started and stopped by your hypervisor",
        "instance-exists instance-running instance-status-ok instance-stopped instance-terminated"
        " system-status-ok password-data-available",
    )
    | {"bundle-task-complete": "bundle-image is done when it ends, so nothing is left to wait for"}
    | same(
        "there are no such tasks here",
        "conversion-task-cancelled conversion-task-completed"
        " conversion-task-deleted export-task-cancelled export-task-completed",
    )
    | {
        "image-usage-report-available": "there are no usage reports here",
        "key-pair-exists": "logins are part of the content of a disk",
    }
)
"""Why a waiter of EC2 is not here."""


def operation_answer(name: str) -> str | None:
    """What to say about an operation or word that is no command; None if nothing is known."""
    return OPERATIONS.get(name) or family_answer(name)


def waiter_answer(name: str) -> str | None:
    """What to say about a waiter that does not exist; None if nothing is known."""
    return WAITERS.get(name) or family_answer(f"wait-{name}")
