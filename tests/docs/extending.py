#!/usr/bin/env python3
"""Holds docs/extending.md to the tree: every diff in it must still fit.

extending.py                 checks; exit status 1 and a list of what does not fit
extending.py --apply TREE    makes all changes of the page in another copy of the tree

A diff block belongs to the file that the text named last as "In `path`"; a block after "New file
`path`" is that file. Lines of a diff begin with a space, '-' or '+', as in a patch, without
numbers.
"""

import argparse
import pathlib
import re
import sys

PROJECT = pathlib.Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\w*)$")


def changes(text):
    """Yields (kind, path, line number, block lines); kind: "diff" or "file"."""
    path, prose, language, block, start = None, "", None, [], 0
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if language is None and fence:
            named = re.findall(r"(New file|\b[Ii]n)\s+`([\w.-]+/[\w./-]+)`", prose)
            path = named[-1][1] if named else path
            is_new = bool(named) and named[-1][0] == "New file"
            prose, language, block, start = "", fence[1], [], number
        elif language is not None and line == "```":
            if language == "diff":
                yield "diff", path, start, block
            elif is_new:
                yield "file", path, start, block
            language = None
        elif language is not None:
            block.append(line)
        else:
            prose += line + "\n"


def change(text, block):
    """The text with the diff applied; None if it does not fit at exactly one place. White space
    within a line does not count."""
    def words(line):
        return line.split()

    lines = text.split("\n")
    old = [words(line[1:]) for line in block if line[:1] != "+"]
    known = [words(line) for line in lines]
    places = [i for i in range(len(lines) - len(old) + 1) if known[i:i + len(old)] == old]
    if len(places) != 1:
        return None
    rest, new = iter(lines[places[0]:]), []
    for line in block:
        if line[:1] == "+":
            new.append(line[1:])
        else:
            kept = next(rest)
            if line[:1] != "-":
                new.append(kept)
    return "\n".join(lines[:places[0]] + new + list(rest))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--apply", metavar="TREE", type=pathlib.Path)
    arguments = parser.parse_args()
    tree = arguments.apply or PROJECT
    files, bad, count = {}, 0, 0
    for kind, path, number, block in changes((PROJECT / "docs/extending.md").read_text()):
        count += 1
        if kind == "file":
            files[path] = "".join(line + "\n" for line in block)
            continue
        if path not in files:
            files[path] = (tree / path).read_text() if (tree / path).is_file() else ""
        changed = change(files[path], block)
        if changed is None:
            print(f"docs/extending.md:{number}: does not fit {path}")
            bad += 1
        else:
            files[path] = changed
    if bad == 0 and arguments.apply:
        for path, text in files.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text)
    print(f"{count} changes, {bad} do not fit")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
