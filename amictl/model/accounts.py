"""Accounts in EC2's words: whose things are asked for. A region has one owner."""

from collections.abc import Iterable

from amictl.errors import UsageError

_OWNER_ALIASES = ("amazon", "aws-backup-vault", "aws-marketplace")


def includes_owner(owners: Iterable[str], owner_id: str) -> bool:
    """Whether one of EC2's words for owners is for this account: its id, or `self`.

    Raises UsageError for what is no account and no alias of EC2's.
    """
    accounts = {_require_user(owner, _OWNER_ALIASES) for owner in owners}
    return not accounts.isdisjoint(("self", owner_id))


def require_executable_users(users: Iterable[str]) -> None:
    """Raises UsageError for what is no account, and neither `self` nor `all`."""
    for user in users:
        _require_user(user, ("all",))


def _require_user(text: str, aliases: tuple[str, ...]) -> str:
    is_account = len(text) == 12 and text.isascii() and text.isdigit()
    if not is_account and text not in ("self", *aliases):
        raise UsageError(
            f'Invalid user id: "{text}"',
            hint=f"an account is 12 digits, or self, {', '.join(aliases)}",
            code="InvalidUserID.Malformed",
        )
    return text
