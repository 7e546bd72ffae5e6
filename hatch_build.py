"""Ship the top-level ``tasks/`` folder inside the wheel as ``vlm_eval/_tasks``.

An editable install reads the checkout's own folder instead, so nothing goes stale.
"""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class TasksHook(BuildHookInterface[Any]):
    """Adds ``tasks/`` to every build but the editable one."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it collects files."""
        if version != "editable":
            build_data["force_include"]["tasks"] = "vlm_eval/_tasks"
