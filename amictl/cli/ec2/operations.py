"""Operations of EC2 around images, snapshots, volumes and machines that amictl has not.

Every name, written as the AWS CLI writes it, has an answer: what to use, or why it is not here.
"""


def same(answer: str, names: str) -> dict[str, str]:
    """One honest answer for several operations, whose names are words of a text."""
    return dict.fromkeys(names.split(), answer)


_IMAGES = {
    "attach-image-watermark": (
        "images carry no watermarks; use create-tags to note where one comes from"
    ),
    "cancel-image-launch-permission": (
        "a region has one owner, so nobody was given a permission that could be given back"
    ),
    "detach-image-watermark": "images carry no watermarks",
    "describe-image-references": (
        "nothing refers to images here: there are no machines, launch templates or parameters"
    ),
    "get-image-ancestry": (
        "describe-images shows the SourceImageId of a copy; describe-snapshots the parent of each"
        " snapshot in its member Amictl"
    ),
} | same(
    "nothing outside of the region uses its images, so there is no use to report; describe-images"
    " shows LastLaunchedTime",
    "create-image-usage-report delete-image-usage-report describe-image-usage-report-entries"
    " describe-image-usage-reports",
)

_ACCESS = (
    same(
        "a region has one owner and no image in it can be public, so there is nothing to block",
        "disable-image-block-public-access enable-image-block-public-access"
        " get-image-block-public-access-state",
    )
    | same(
        "snapshots cannot be public: who may read the directory of a region may read them, and"
        " nobody else",
        "disable-snapshot-block-public-access enable-snapshot-block-public-access"
        " get-snapshot-block-public-access-state",
    )
    | same(
        "it never restricts one's own images, and a region holds no others",
        "disable-allowed-images-settings enable-allowed-images-settings"
        " get-allowed-images-settings replace-image-criteria-in-allowed-images-settings",
    )
    | same(
        "there is no organisation of accounts whose settings could bind a region",
        "cancel-declarative-policies-report describe-declarative-policies-reports"
        " get-declarative-policies-report-summary start-declarative-policies-report",
    )
)

_SNAPSHOTS = (
    {
        "modify-snapshot-tier": (
            "a store has one tier; the content of a snapshot is deduplicated, and alone it would"
            " take more room than it does now"
        ),
        "restore-snapshot-tier": "no snapshot can be in another tier than the store",
        "describe-snapshot-tier-status": "no snapshot can be in another tier than the store",
    }
    | same(
        "a snapshot is read from your own disk at its full speed from the first byte on",
        "describe-fast-snapshot-restores disable-fast-snapshot-restores"
        " enable-fast-snapshot-restores",
    )
    | same(
        "it prepares Windows machines in advance, and amictl keeps no machines ready",
        "describe-fast-launch-images disable-fast-launch enable-fast-launch",
    )
)

_VOLUMES = {
    "attach-volume": (
        "a volume is a file or a device: give it to a virtual machine with your hypervisor, or"
        " use launch-image"
    ),
    "detach-volume": "a volume is a file or a device: take it from the machine that has it",
    "copy-volumes": "use create-snapshot and create-volume with another target",
    "modify-volume": (
        "grow a file with truncate, or use create-volume --size; a volume has no type and no"
        " rates to change"
    ),
    "describe-volumes-modifications": "volumes are not modified by amictl, so there is nothing",
    "describe-volume-attribute": (
        "its attributes are about input and output of a service, and product codes; use"
        " describe-volumes"
    ),
    "modify-volume-attribute": "its one attribute turns on I/O that amictl never turns off",
    "enable-volume-io": "amictl never turns off the I/O of a volume",
    "describe-volume-status": (
        "amictl does not watch disks: use smartctl for the disk, verify-snapshot --against for"
        " the content"
    ),
    "import-volume": "use import-snapshot on the disk image file",
    "create-replace-root-volume-task": (
        "stop the machine and use create-volume --in-place on its root disk"
    ),
    "describe-replace-root-volume-tasks": (
        "create-volume --in-place is done when it ends, so there are no tasks"
    ),
    "create-delegate-mac-volume-ownership-task": "there are no Mac machines here",
} | same(
    "delete-volume forgets a record and leaves the file, so that there is nothing to keep in a"
    " recycle bin",
    "list-volumes-in-recycle-bin restore-volume-from-recycle-bin",
)

_TASKS = {
    "bundle-instance": (
        "it bundled Windows machines, and EC2 no longer supports it; use create-image for the disks"
        " of any system, bundle-image for a bundle of a Linux disk"
    ),
    "cancel-bundle-task": "EC2 no longer supports bundle tasks; interrupt bundle-image with Ctrl-C",
    "describe-bundle-tasks": (
        "EC2 no longer supports bundle tasks; bundle-image is done when it ends"
    ),
    "cancel-conversion-task": "there are no conversion tasks",
    "describe-conversion-tasks": "there are no conversion tasks",
    "cancel-export-task": "there are no export tasks",
    "describe-export-tasks": "there are no export tasks",
    "import-instance": "use import-image on the disk image files of the machine",
    "create-instance-export-task": "use export-image, or launch-image if there are several disks",
}

_MACHINES = (
    {
        "run-instances": (
            "amictl does not start machines; use launch-image, which writes the disks of an image"
            " and a QEMU command line"
        ),
        "run-scheduled-instances": "amictl does not start machines; use launch-image from a timer",
        "describe-instances": (
            "amictl knows disks, not machines: ask your hypervisor, or use describe-volumes"
        ),
        "describe-instance-status": "ask your hypervisor: amictl knows disks, not machines",
        "describe-instance-image-metadata": (
            "use describe-volumes, which names the image that the disks were written from"
        ),
        "start-instances": "start the machine with your hypervisor; launch-image wrote a command",
        "stop-instances": (
            "stop the machine with your hypervisor; create-image then finds its disks at rest"
        ),
        "reboot-instances": "restart the machine with your hypervisor; amictl never does",
        "terminate-instances": (
            "delete the machine with your hypervisor; delete-volume then forgets its disks"
        ),
        "get-console-output": "the console belongs to your hypervisor",
        "get-console-screenshot": "the console belongs to your hypervisor",
        "get-password-data": "amictl puts no passwords into machines",
        "get-instance-uefi-data": "UEFI variables are kept by your hypervisor, not on the disks",
        "get-instance-tpm-ek-pub": "a virtual TPM belongs to your hypervisor",
        "send-diagnostic-interrupt": "use your hypervisor: virsh inject-nmi, or nmi in QEMU",
    }
    | same(
        "it describes a machine, and amictl knows only disks; what an image carries is in"
        " describe-image-attribute",
        "describe-instance-attribute modify-instance-attribute reset-instance-attribute"
        " modify-instance-cpu-options modify-instance-maintenance-options"
        " modify-instance-network-performance-options modify-instance-placement"
        " modify-instance-metadata-options modify-instance-metadata-defaults"
        " get-instance-metadata-defaults describe-instance-credit-specifications"
        " modify-instance-credit-specification get-default-credit-specification"
        " modify-default-credit-specification describe-instance-topology"
        " modify-private-dns-name-options",
    )
    | same(
        "machine types are what your hardware and hypervisor offer",
        "describe-instance-type-offerings describe-instance-types"
        " get-instance-types-from-instance-requirements",
    )
    | same(
        "amictl starts no machines, so it keeps no templates for them; launch-image takes all that"
        " it needs as options",
        "create-launch-template create-launch-template-version delete-launch-template"
        " delete-launch-template-versions describe-launch-template-versions"
        " describe-launch-templates get-launch-template-data modify-launch-template",
    )
    | same(
        "logins are part of the content of a disk: put SSH keys into it, or use cloud-init",
        "create-key-pair delete-key-pair describe-key-pairs import-key-pair",
    )
    | same(
        "amictl does not watch machines: use the monitoring of your hypervisor",
        "monitor-instances unmonitor-instances report-instance-status"
        " deregister-instance-event-notification-attributes"
        " describe-instance-event-notification-attributes"
        " register-instance-event-notification-attributes",
    )
    | same(
        "nobody schedules maintenance of your machines but you",
        "associate-instance-event-window create-instance-event-window"
        " delete-instance-event-window describe-instance-event-windows"
        " disassociate-instance-event-window modify-instance-event-start-time"
        " modify-instance-event-window",
    )
    | same(
        "a serial console belongs to your hypervisor",
        "disable-serial-console-access enable-serial-console-access"
        " get-serial-console-access-status",
    )
)

_PLACES = {
    "describe-availability-zones": (
        "a region is one directory, in which nothing fails by itself; use describe-regions"
    ),
    "modify-availability-zone-group": "a region is one directory and has no zones",
    "describe-account-attributes": (
        "a region has one owner and no quotas; describe-store shows how much is stored"
    ),
    "confirm-product-instance": "images carry no product codes",
} | same(
    "all ids have 17 digits",
    "describe-aggregate-id-format describe-id-format describe-identity-id-format"
    " describe-principal-id-format modify-id-format modify-identity-id-format",
)

EC2 = _IMAGES | _ACCESS | _SNAPSHOTS | _VOLUMES | _TASKS | _MACHINES | _PLACES
