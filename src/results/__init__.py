"""The results of runs in a session: their records, their companions, what is logged and saved."""

from __future__ import annotations
