"""Slack's errors in our words (docs.slack.dev: chat.postMessage, Errors; Incoming webhooks)."""

from __future__ import annotations

from vmqlib.errors import DeliveryFailed

__all__ = ["MAYBE", "refused"]

MAYBE = frozenset({"fatal_error", "internal_error", "request_timeout", "service_unavailable"})
"""Slack failed while it worked: "it's possible some aspect of the operation succeeded"."""

_TOKEN = "Set VMQ_SLACK_TOKEN, or the secret that slack_secret names, to the bot's token of an installed Slack app."  # noqa: S105
_INVITE = "Invite the app there: /invite @its-name; or name another channel in slack_channel."
_CHANNEL = "Check slack_channel; for a private channel, invite the app first, or give the channel's id (C0…)."
_WEBHOOK = "Make a new incoming webhook in the Slack app, and set VMQ_SLACK_WEBHOOK to it."
_BUG = "This is a limit that the kit should have kept: report the message's evidence file."

_KNOWN = {
    "invalid_auth": ("Slack does not know the token.", _TOKEN),
    "not_authed": ("Slack was given no token.", _TOKEN),
    "account_inactive": ("The token's app or workspace was removed.", _TOKEN),
    "token_revoked": ("The token was revoked.", _TOKEN),
    "token_expired": ("The token has expired.", _TOKEN),
    "not_in_channel": ("The app is not in {channel}.", _INVITE),
    "channel_not_found": ("Slack has no channel {channel} that the app may see.", _CHANNEL),
    "is_archived": ("{channel} is archived.", "Unarchive it, or name another channel in slack_channel."),
    "restricted_action": ("The workspace does not let the app post in {channel}.", "Ask a workspace admin."),
    "missing_scope": ("The app lacks the scope {needed}.", "Add it to the Slack app, and install it anew."),
    "no_permission": ("The app may not do that.", "Add what it lacks in the Slack app (OAuth & Permissions)."),
    "invalid_blocks": ("Slack took the message's blocks for invalid.", _BUG),
    "msg_too_long": ("The message is too long for Slack.", _BUG),
    "msg_blocks_too_long": ("The message's blocks are too long for Slack.", _BUG),
    "invalid_payload": ("Slack took the message for invalid.", _BUG),
    "no_service": ("The webhook was removed or disabled.", _WEBHOOK),
    "no_service_id": ("The webhook's address is incomplete.", _WEBHOOK),
    "no_team": ("The webhook's workspace is gone.", _WEBHOOK),
    "invalid_token": ("The webhook's address is wrong.", _WEBHOOK),
    "channel_is_archived": ("The webhook's channel is archived.", _WEBHOOK),
    "action_prohibited": ("The workspace does not let the webhook post.", "Ask a workspace admin."),
    "posting_to_general_channel_denied": ("The webhook may not post in #general.", _WEBHOOK),
}  # fmt: skip


def refused(code: str, channel: str, *, needed: str = "", status: int = 200) -> DeliveryFailed:
    """The error for what Slack answered. Nothing was posted.

    Parameters
    ----------
    code:
        Slack's word for it.
    channel:
        Where the message was to go.
    needed:
        The scope that is missing, where Slack said so.
    status:
        The HTTP status.
    """
    word = code if code.replace("_", "").isalnum() and len(code) <= 60 else f"HTTP {status}"
    said, hint = _KNOWN.get(
        code, ("Slack refused: {word}.", "See that word on the page of Slack's method chat.postMessage.")
    )
    said = said.format(channel=channel, needed=needed or "that it needs", word=word)
    return DeliveryFailed(f"Not posted: {said}", hint=hint, code=word, why=said)
