#!/usr/bin/env python3
"""Writes docs/options.md from the declarations in the sources; --check only compares.

Read are the table of limits (XMPPD_LIMITS in xmppd/core/limits.h) and the options that modules
declare as members: Option<T> name_{*this, "name", default, ..., "What it does."};
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/options.md"
HEAD = """# Limits and options

Made by `scripts/options.py` from the declarations in the sources. Durations are written as "60s",
"5m", "1h", "1d"; sizes as a number of bytes or as "256KiB". A value outside its bounds, and a key
that is not listed, is an error with file, line and column.

"""
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}(),]|[^\s"{}(),\\]+')


def split_arguments(text):
    """The arguments up to the bracket that closes the list: texts, or lists of them for braces."""
    arguments, current = [], None
    tokens = TOKEN.finditer(text)
    for match in tokens:
        token = match.group()
        if token in ")}":
            break
        if token == "{":
            depth, inner = 1, match.end()
            for match in tokens:
                depth += {"{": 1, "}": -1}.get(match.group(), 0)
                if depth == 0:
                    break
            current = split_arguments(text[inner:match.start()] + "}")
        elif token == "(":
            sys.exit(f"cannot read the declaration ...{text[:80]!r}: no calls, please")
        elif token == ",":
            arguments.append(current)
            current = None
        elif token.startswith('"') and isinstance(current, str):
            current += token[1:-1]  # adjacent literals
        else:
            current = token[1:-1] if token.startswith('"') else (current or "") + token
    return arguments + [current] if current is not None else arguments


def size(value):
    """A number of bytes with the largest unit that divides it."""
    for unit, bytes_ in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if value and value % bytes_ == 0:
            return f"{value // bytes_}{unit}"
    return str(value)


def duration(seconds):
    """A duration as in the file."""
    for unit, length in (("h", 3600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def table(columns, rows):
    """A Markdown table."""
    text = "| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|\n"
    for row in rows:
        text += "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n"
    return text + "\n"


def limits():
    """The section on [limits]."""
    source = (ROOT / "xmppd/core/limits.h").read_text(encoding="utf-8")
    source = source[source.index("#define XMPPD_LIMITS("):source.index("struct Limits")]
    written = {"COUNT": str, "BYTES": size, "TIME": duration}
    rows = []
    for match in re.finditer(r"\b(COUNT|BYTES|TIME)\((?=[\s\\]*\w+, ?\d)", source):
        name, default, lowest, highest, text = split_arguments(source[match.end():])
        values = [written[match[1]](int(v.replace("'", ""))) for v in (default, lowest, highest)]
        rows.append([f"`{name}`", *values, text])
    return "## [limits]\n\n" + table(["Key", "Default", "Lowest", "Highest", "Meaning"], rows)


def describe(kind, arguments):
    """Default, allowed values and meaning of an option."""
    _this, name, default, *bounds, text = arguments
    if kind == "bool":
        allowed = "true, false"
    elif bounds and isinstance(bounds[0], list):
        allowed = ", ".join(f'"{choice}"' for choice in bounds[0]) or "any text"
    else:
        allowed = " to ".join(value.replace("'", "") for value in bounds)
    if kind == "std::string":
        default = f'"{default}"'
    return [f"`{name}`", default.replace("'", ""), allowed, text]


def modules():
    """The sections on the modules that have options."""
    text = ""
    for path in sorted((ROOT / "xmppd/modules").glob("**/*.cc")):
        source = path.read_text(encoding="utf-8")
        rows = [describe(match[1], split_arguments(source[match.end():]))
                for match in re.finditer(r"^\s*Option<([\w:]+)>\s+\w+\{", source, re.MULTILINE)]
        if not rows:
            continue
        name = re.search(r'XMPPD_MODULE\([^"]*\.name\s*=\s*"(\w+)"', source)
        text += f"## [profile.NAME.module.{name[1] if name else path.stem}]\n\n"
        text += table(["Key", "Default", "Values", "Meaning"], rows)
    return text


def main():
    text = HEAD + (limits() + modules()).rstrip("\n") + "\n"
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            sys.exit("docs/options.md is out of date: run scripts/options.py")
        return
    PAGE.write_text(text, encoding="utf-8")


main()
