"""``vmq list``, ``show``, ``note``, ``verify`` and ``close``: one incident's journal and folder."""

from __future__ import annotations

__all__ = ["close_command", "list_command", "note_command", "show_command", "verify_command"]
