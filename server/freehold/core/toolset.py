"""The built-in tools of the sandbox as the model sees them (spec 12.2).

Pure data. What the tools do is in :mod:`freehold.toolbox`, which checks every input against the
same fields and does not import this module, since it runs where Freehold is not installed.
"""

from __future__ import annotations

from freehold.core.events import Json


def _text(description: str, **more: object) -> Json:
    return {"type": "string", "description": description, **more}


def _count(description: str) -> Json:
    return {"type": "integer", "minimum": 0, "description": description}


def _flag(description: str) -> Json:
    return {"type": "boolean", "description": description}


def _tool(name: str, description: str, required: list[str], properties: Json) -> Json:
    return {
        "name": name,
        "description": description,
        "input_schema": {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        },
    }


BUILTIN_TOOLS: dict[str, Json] = {
    "bash": _tool(
        "bash",
        "Run a command in a persistent bash shell inside the sandbox. The working directory, "
        "variables, functions and background processes survive from one call to the next. "
        "Standard output and standard error come back merged; of more than 100,000 characters "
        "you see the beginning and the end, and the last 1 MiB is put into a file. A non-zero "
        "exit status makes the result an error. Standard input is empty, so do not start "
        "programs that wait for a person. Start long-running programs in the background with "
        "`&` and send their output to a file. A command that exceeds its timeout is killed with "
        "everything it started, and the next call begins in a new shell. Commands run one after "
        "another.",
        ["command"],
        {
            "command": _text("The command line or script to run."),
            "restart": _flag(
                "Set to true to end the shell with everything it started and begin a new one; the "
                "command is then ignored."
            ),
            "timeout_ms": _count("Milliseconds the command may take. Default 120000."),
        },
    ),
    "read": _tool(
        "read",
        "Read a file. Text files come back as they are, up to 256 KiB; for a larger one, or a part "
        "of one, give `view_range`. Images (PNG, JPEG, GIF, WebP) and PDF files come back as "
        "something you can look at. To list a directory use `glob` or `bash`.",
        ["file_path"],
        {
            "file_path": _text("Absolute path of the file."),
            "view_range": {
                "type": "array",
                "items": {"type": "integer"},
                "minItems": 2,
                "maxItems": 2,
                "description": "First and last line to read, counted from 1, both included. A last "
                "line of -1 means the end of the file. For text files only.",
            },
        },
    ),
    "write": _tool(
        "write",
        "Write a whole file, replacing it if it exists and creating its parent directories if they "
        "do not. To change a part of a file use `edit`.",
        ["file_path", "content"],
        {
            "file_path": _text("Absolute path of the file."),
            "content": _text("The complete new content."),
        },
    ),
    "edit": _tool(
        "edit",
        "Replace an exact piece of text in a file. `old_string` must occur exactly once, with its "
        "whitespace and line breaks; include neighbouring lines to make it unique, or set "
        "`replace_all`. Works on UTF-8 files of up to 256 KiB.",
        ["file_path", "old_string", "new_string"],
        {
            "file_path": _text("Absolute path of the file."),
            "old_string": _text("The text to replace, exactly as it stands.", minLength=1),
            "new_string": _text("The text to put in its place; empty to delete."),
            "replace_all": _flag("Replace every occurrence. Default false."),
        },
    ),
    "glob": _tool(
        "glob",
        "Find files and directories by name pattern, most recently modified first, at most 200. "
        "`*` and `?` stay within one name, `**` stands for any number of directories, `{a,b}` for "
        "either. Example: `src/**/*.{ts,tsx}`.",
        ["pattern"],
        {
            "pattern": _text("The pattern, relative to `path`; it may not contain `..`."),
            "path": _text("Directory to search in. Default: the working directory."),
        },
    ),
    "grep": _tool(
        "grep",
        "Search the contents of files for a regular expression (ripgrep's syntax: escape literal "
        "braces and parentheses). Binary files and `.git` are skipped. Results are in order of "
        "path; at most 100 KiB of them.",
        ["pattern"],
        {
            "pattern": _text("The regular expression to look for in each line."),
            "path": _text("File or directory to search. Default: the working directory."),
            "glob": _text("Only files whose name or path fits this glob, such as `*.py`."),
            "type": _text("Only files of this type, such as `py`, `js`, `rust`, `md`."),
            "output_mode": _text(
                "`content` (default) shows the matching lines as `path:line:text`, "
                "`files_with_matches` only the paths, `count` the number of matching lines of "
                "each file.",
                enum=["content", "files_with_matches", "count"],
            ),
            "-i": _flag("Ignore upper and lower case."),
            "-n": _flag("Show line numbers. Default true; for `content` only."),
            "-A": _count("Lines to show after each match; for `content` only."),
            "-B": _count("Lines to show before each match; for `content` only."),
            "-C": _count("Lines to show before and after each match; for `content` only."),
            "context": _count("The same as `-C`."),
            "head_limit": _count("Show only this many lines or entries. Default 0: all."),
            "offset": _count("Leave out this many lines or entries first. Default 0."),
            "multiline": _flag("Let matches span lines, and `.` match line breaks. Default false."),
        },
    ),
}
"""Name, description and input schema of each tool, in the Messages API's form."""


def _for_workers(name: str, description: str, **changes: Json) -> Json:
    tool = BUILTIN_TOOLS[name]
    schema = tool["input_schema"]
    properties = {**schema["properties"], **changes}
    return {
        "name": name,
        "description": description,
        "input_schema": {**schema, "properties": properties},
    }


_RELATIVE = _text("Path of the file, absolute or from the working directory on.")

WORKER_TOOLS: dict[str, Json] = {
    "bash": _for_workers(
        "bash",
        "Run a command in a persistent bash shell. The working directory, variables, functions and "
        "background processes survive from one call to the next. Standard output and standard "
        "error come back merged; of more than 100 KiB you see the end. A non-zero exit status "
        "makes the result an error. Standard input is empty, so do not start programs that wait "
        "for a person. Start long-running programs in the background with `&` and send their "
        "output to a file. A command that exceeds its timeout is killed with its shell, and the "
        "next call begins in a new one. Commands run one after another.",
    ),
    "read": _for_workers("read", BUILTIN_TOOLS["read"]["description"], file_path=_RELATIVE),
    "write": _for_workers("write", BUILTIN_TOOLS["write"]["description"], file_path=_RELATIVE),
    "edit": _for_workers("edit", BUILTIN_TOOLS["edit"]["description"], file_path=_RELATIVE),
    "glob": BUILTIN_TOOLS["glob"],
    "grep": _tool(
        "grep",
        "Search the contents of files for a regular expression. Matching lines come back as "
        "`path:line:text`; at most 100 KiB of them.",
        ["pattern"],
        {
            "pattern": _text("The regular expression to look for in each line."),
            "path": _text("File or directory to search. Default: the working directory."),
        },
    ),
}
"""The same where the workers of a self-hosted environment run them: what the official ones take and
do (spec 4.6, 12.2)."""
