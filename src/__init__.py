"""Hybrid LocScale in ChimeraX; every import waits until something is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chimerax.core.toolshed import BundleAPI

if TYPE_CHECKING:
    from chimerax.core.tools import ToolInstance
    from chimerax.core.toolshed import BundleInfo, CommandInfo, ToolInfo

    from .session_types import Logger, Session


class _LocScaleAPI(BundleAPI):
    """What ChimeraX calls."""

    api_version = 1

    @staticmethod
    def register_command(bi: BundleInfo, ci: CommandInfo, logger: Logger) -> None:
        """Register one command at its first use."""
        from .commands import commands as cmd

        cmd.register_command(ci.name, logger)

    @staticmethod
    def start_tool(session: Session, bi: BundleInfo, ti: ToolInfo) -> ToolInstance:
        """Show the panel."""
        from .panel.tool import show_panel

        return show_panel(session, ti.name)

    @staticmethod
    def run_provider(session: Session, name: str, mgr: object, **keywords: object) -> object:
        """Act on the button in the toolbar, and open the record of a run."""
        if mgr == session.open_command:
            from .attached.opener import RunOpener

            return RunOpener()
        from chimerax.core.commands import run

        return run(session, 'ui tool show "LocScale Hybrid"')

    @staticmethod
    def get_class(class_name: str) -> type | None:
        """Find what a session file holds."""
        if class_name == "LocScaleResults":
            from .results.manager import LocScaleResults

            return LocScaleResults
        if class_name == "LocScalePanel":
            from .panel.tool import LocScalePanel

            return LocScalePanel
        return None


bundle_api = _LocScaleAPI()
