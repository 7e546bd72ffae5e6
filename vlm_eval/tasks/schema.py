"""The JSON Schema (2020-12) of task files, for editors.

A file that includes another may leave out what that one gives, and a shared file (its name begins
with an underscore) what its includers give; editors do not follow ``include``, so that for such
files only ``vlm_eval validate`` finds what is missing.
"""

from __future__ import annotations

from typing import Any

from vlm_eval.tasks.spec import GroupSpec, TaskSpec

INCLUDE = {
    "type": "string",
    "description": "A file of the same folder that this one is merged over.",
}
MERGED = {"data": "Data", "output": "Output", "paper": "Paper", "subtasks": "Subtasks"}
"""The mappings of a task that an include may give in part."""
NAMED = {"parser": "ParserSpec", "scorer": "ScorerSpec"}
"""The same of what may also be written as a name alone."""


def task_schema() -> dict[str, Any]:
    """Return the schema of a YAML file that holds a task, a group, or a shared part of one."""
    task = TaskSpec.model_json_schema()
    group = GroupSpec.model_json_schema()
    definitions = {**task.pop("$defs", {}), **group.pop("$defs", {})}
    for schema in (task, group):
        schema["properties"]["include"] = INCLUDE
    needed = {key: {"required": definitions[name].pop("required")} for key, name in MERGED.items()}
    for key, name in NAMED.items():  # `required` says nothing of the short form, a text
        _, mapping = definitions[name]["anyOf"]
        needed[key] = {"required": mapping.pop("required")}
    for key in ("output", *NAMED):
        definitions["Case"]["properties"][key] |= needed[key]
    whole = {"required": ["task"], "not": {"required": ["include"]}}
    complete = {"required": task.pop("required"), "properties": needed}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "vlm_eval task file",
        "$defs": {**definitions, "Task": task, "Group": group},
        "if": {"required": ["group"]},
        "then": {"$ref": "#/$defs/Group"},
        "else": {"$ref": "#/$defs/Task", "if": whole, "then": complete},
    }
