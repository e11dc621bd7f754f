"""Whole fields of EC2 that are far from images, known by the words in an operation's name."""

from typing import NamedTuple


class Family(NamedTuple):
    """Operations whose names have one of the words, and the answer to all of them."""

    answer: str
    words: frozenset[str]


def _family(answer: str, words: str) -> Family:
    return Family(answer, frozenset(words.split()))


FAMILIES = (
    _family(
        "networks belong to your hypervisor and to the system on a disk",
        "acl acls address addresses byoip carrier cidr cidrs classic coip dhcp dns endpoint"
        " endpoints flow gateway gateways insights interface interfaces ip ipam ipams ipv4 ipv6"
        " network networks peering prefix reachability route routes security subnet subnets"
        " traffic transit trunk verified vgw vpc vpcs vpn",
    ),
    _family(
        "machines run on your own hardware, where nothing is reserved, bought or bid for",
        "capacity fleet fleets host hosts reserved scheduled spot",
    ),
    _family("machines stand side by side where your hypervisor puts them", "placement"),
    _family("a region is a directory on your own disk", "outpost outposts"),
    _family("images are of disks, not of programmable hardware", "fpga gpus"),
    _family("amictl knows disks, not the rights of machines in a cloud", "iam enclave"),
    _family("disks of Mac machines are raw files like others; there is nothing else to it", "mac"),
    _family("amictl does not look into the databases of a machine", "sql"),
    _family("amictl knows disks, not machines", "instance instances"),
    _family("no other service manages what is in a region", "managed"),
)


def family_answer(operation: str) -> str | None:
    """What is said about an operation by the words of its name, None if they say nothing."""
    words = set(operation.split("-")[1:])
    return next((family.answer for family in FAMILIES if words & family.words), None)
