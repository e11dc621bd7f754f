"""What amictl(1) says beyond the command tree: environment, files, exit status, forms of values.

A text is paragraphs separated by empty lines; a table is pairs of a term and its explanation.
"""

DESCRIPTION = """
amictl keeps raw disk images as deduplicated, compressed, incremental snapshots, and registers
them as machine images. Its operations, fields, states, defaults and errors are those of Amazon
EC2, on your own disks: an image names the devices of a machine, and each device a snapshot; a
snapshot is the content of one volume at one moment, and never changes.

Everything is kept in a region: a store in a directory, or in a bucket (amictl-buckets(7)).
Without --region or --store it is the default region; that is `local`, which the first command that
stores something makes under the user's data folder, unless modify-region chose another one.
"""

VALUES = """
Global options may stand before or after the name of the command. The beginning of an option's
name is enough if no other option begins with it.

An option that takes several values, like --image-ids, is followed by all of them, separated by
spaces. Words belong to it as long as they have the form of its values; the first other word, and
every word after --, is an argument of the command.

Structured values are written as Key=value pairs with commas between them: [a,b] is a list,
{K=v,L=w} a structure in a structure, and quotes inside keep commas and spaces. Instead, JSON or
file://PATH, the name of a file that holds either, may be given. Of a structure whose only member
is Value, the bare value is enough.

With --cli-input-json all parameters may come from one JSON object, whose members are those of
EC2: ImageIds for --image-ids, DryRun for --dry-run. Options and arguments that EC2 has not, are
named in the same style: --pre-freeze is PreFreeze, the argument TARGET is Target.
--generate-cli-skeleton shows them all; it needs no other option and no region. What is on the
command line too, wins. --cli-input-json and its kin stand after the name of the command.

An option of EC2 that has no meaning here is refused by its name with the reason, before anything
else is looked at. With --ignore-unsupported it is left out together with its values.
"""

RESULTS = """
The result goes to standard output, everything else to standard error. An operation whose result
is empty prints nothing. Facts that EC2 has no field for are in the member Amictl.

A list comes whole unless --max-items says how many items are wanted. If there are more, the result
has the member NextToken, which --starting-token takes; the next piece begins after the item that
was shown last, even if others came or went. --query selects from the piece that is shown, and with
--output text, too, it is asked once. EC2's own --max-results and --next-token do the same; the
former cannot be used together with ids.

Notes, such as when the disk of a machine may change again, and a progress bar are shown when
standard error is a terminal. With --progress json they are lines of JSON, whose member
message_type is status or note. Sizes there are in bytes.
"""

ENVIRONMENT = (
    ("AMICTL_REGION", "The region, if neither --region nor --store is given."),
    ("AMICTL_STORE", "The directory, if neither is given; it wins over AMICTL_REGION."),
    ("AMICTL_OUTPUT", "The form of the result, if --output is not given."),
    ("AMICTL_CONFIG", "The configuration file."),
    ("AMICTL_KEYS", "The key folder."),
    ("AMICTL_CACHE", "The folder for what is kept of buckets on local disk."),
    ("AMICTL_CACHE_SIZE", "How much of each bucket is kept there, such as 500M or 4G; 2G."),
    ("AMICTL_STATE", "The state folder."),
    (
        "AMICTL_PASSPHRASE_FILE, AMICTL_PASSPHRASE_COMMAND, AMICTL_PASSPHRASE_FD",
        "Where the passphrase of a key is when nobody types it: in the first line of a file with"
        " mode 0600, of what a command of the shell writes, or of a file descriptor.",
    ),
    ("NO_COLOR", "If it is not empty, nothing is coloured."),
)

FILES = (
    (
        "$XDG_CONFIG_HOME/amictl/config.toml",
        "Names of regions: a section [regions.NAME] for each, with the key directory, or bucket-url"
        " and perhaps endpoint-url. Names of buckets in the same way: [buckets.NAME], perhaps with"
        " storage-class. In the section [defaults], region is the region that is meant"
        " where none is named, and owner-id the owner of new regions."
        " Without XDG_CONFIG_HOME it is under ~/.config.",
    ),
    (
        "$XDG_DATA_HOME/amictl/local",
        "The region local, unless config.toml says otherwise."
        " Without XDG_DATA_HOME it is under ~/.local/share.",
    ),
    (
        "$XDG_DATA_HOME/amictl/keys",
        "The key folder, unless AMICTL_KEYS names another; see amictl-security(7).",
    ),
    (
        "$XDG_STATE_HOME/amictl/seen",
        "The newest state that was seen of each region, in the state folder; see"
        " amictl-security(7). It may be lost. Without XDG_STATE_HOME it is under ~/.local/state.",
    ),
)

EXIT_STATUS = (
    ("0", "It is done."),
    ("1", "amictl has a bug: please report what it says with --debug."),
    ("2", "The command line, or a value on it or in the configuration, is wrong."),
    ("3", "A check ran to its end and found faults; standard error names them."),
    ("10", "An image, snapshot, volume, region or file does not exist."),
    ("11", "Somebody else is at work on it, or the time to wait ran out: try again later."),
    ("12", "A key that is needed is not available."),
    (
        "13",
        "Stored data is damaged. When check-store --read-data has recorded it, the next backup,"
        " copy or restore of the same content stores it anew.",
    ),
    ("14", "The state of something does not allow it, a name is taken, or a wait is in vain."),
    ("15", "amictl does not do this: an option or operation of EC2 without meaning here,"
     " a store made by a newer version, or a program or library that is not installed."),
    ("16", "A disk, the network or a permission prevented it."),
    ("17", "With --dry-run: it would be done."),
    ("130", "SIGINT stopped it."),
    ("143", "SIGTERM stopped it."),
)  # fmt: skip

SEE_ALSO = (
    "amictl-archive(5)",
    "amictl-buckets(7)",
    "amictl-bundle(5)",
    "amictl-ec2(7)",
    "amictl-security(7)",
    "amictl-store(5)",
)
