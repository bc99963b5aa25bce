#!/usr/bin/env python3
"""Writes docs/xeps.md from the first lines of codecs and modules; --check only compares.

A codec (libxmpp/include/xmpp/xep/*.h) or module (xmppd/modules/) starts with
// XEP-0199 2.0.1 complete     or     // RFC 6121 2.1 partial: what is missing
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/xeps.md"
MARKER = re.compile(r"// (XEP-\d{4}|RFC \d{4})(?: (\d[\w.]*))? (complete|partial: (.+))$")
HEAD = """# Specifications

What is implemented, where, and what is missing of it. Made by `scripts/xeps.py` from the first
lines of the sources; `codec` reads and writes the elements, `module` is what the server does. What
the stream itself does is not listed: RFC 6120, RFC 7590, XEP-0368, XEP-0440, XEP-0478.

"""
COLUMNS = ["Specification", "Version", "Part", "File", "State"]


def read_marker(path):
    """The parts of the first line of a file, None if it has no marker."""
    with path.open(encoding="utf-8") as file:
        return MARKER.match(file.readline().rstrip("\n"))


def link(specification):
    """The specification's name as a link to its text."""
    number = specification[4:]
    if specification.startswith("XEP"):
        return f"[{specification}](https://xmpp.org/extensions/xep-{number}.html)"
    return f"[{specification}](https://www.rfc-editor.org/rfc/rfc{number})"


def rows():
    """One row per marked file, by specification."""
    found = []
    parts = [("codec", "libxmpp/include/xmpp/xep", "*.h"), ("module", "xmppd/modules", "**/*.cc")]
    for part, folder, pattern in parts:
        for path in sorted((ROOT / folder).glob(pattern)):
            marker = read_marker(path)
            if not marker:
                continue
            specification, version, state, missing = marker.groups()
            # Of an RFC the number behind it is a section.
            where = version or ""
            if specification.startswith("RFC") and version:
                where = f"section {version}"
            state = f"partial: {missing}" if missing else state
            file = path.relative_to(ROOT).as_posix()
            found.append((specification, part, file, where, state))
    return sorted(found)


def main():
    text = HEAD + "| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|\n"
    for specification, part, file, where, state in rows():
        name = pathlib.PurePosixPath(file).name
        cells = [link(specification), where, part, f"[{name}](../{file})", state]
        text += "| " + " | ".join(cells).replace("|  |", "| |") + " |\n"
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            sys.exit("docs/xeps.md is out of date: run scripts/xeps.py")
        return
    PAGE.write_text(text, encoding="utf-8")


main()
