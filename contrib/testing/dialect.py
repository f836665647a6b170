#!/usr/bin/env python3
"""Count the words of Holdfast's dialect in comments and documentation.

Usage: contrib/testing/dialect.py [--files] [--names] [PATH ...]

For each folder below Sources and Tests, and for each Markdown file outside of them, prints how
often per 1,000 words the text says: where, if, when, what, told/tells/tell, and
none/nobody/somebody/whoever. PATH (a file or a folder) replaces the default, which is the whole
repository. --files prints a row for each file instead of one for each folder.

Swift: the text is the comments. Code and string literals do not count, and neither do the names
of tests and suites, unless --names adds them. Fenced code blocks and code in backticks inside
comments do not count either.
Markdown: fenced and indented code blocks, code in backticks, table rows, comments and the targets
of links do not count.

Needs Python 3 and its standard library only.
"""

import argparse
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
GROUPS = {
    "where": ("where",),
    "if": ("if",),
    "when": ("when",),
    "what": ("what",),
    "told": ("told", "tells", "tell"),
    "none": ("none", "nobody", "somebody", "whoever"),
}
OPENING = re.compile(r'#*"')
# Code that is indented by four columns after an empty line, but not the text of a list.
INDENTED_CODE = re.compile(
    r"(?:(?<=\n\n)|\A)(?: {4}|\t)(?! *(?:[-*+]|\d+\.) ).*(?:\n(?: {4}|\t).*)*"
)
WORD = re.compile(r"[A-Za-z][A-Za-z'’-]*")


def string_end(text, start):
    """Returns the position after the Swift string literal that begins at `start`."""
    hashes = text.index('"', start) - start
    at = start + hashes
    quote = '"""' if text.startswith('"""', at) else '"'
    closing, escape = quote + "#" * hashes, "\\" + "#" * hashes
    at += len(quote)
    while at < len(text) and not text.startswith(closing, at):
        if not text.startswith(escape, at):
            at += 1
        elif text.startswith("(", at + len(escape)):
            at = interpolation_end(text, at + len(escape) + 1)
        else:
            at += len(escape) + 1
    return at + len(closing)


def interpolation_end(text, at):
    """Returns the position after the parenthesis that closes an interpolation."""
    depth = 1
    while at < len(text) and depth > 0:
        if OPENING.match(text, at):
            at = string_end(text, at)
            continue
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        at += 1
    return at


def block_end(text, start):
    """Returns the position after the block comment at `start`; block comments nest in Swift."""
    depth, at = 1, start + 2
    while at < len(text) and depth > 0:
        pair = text[at : at + 2]
        depth += {"/*": 1, "*/": -1}.get(pair, 0)
        at += 2 if pair in ("/*", "*/") else 1
    return at


def swift_parts(text):
    """Returns the comments and the display names of tests of a Swift source, as two lists."""
    comments, names, at = [], [], 0
    while at < len(text):
        if text.startswith("//", at):
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            comments.append(text[at:end].lstrip("/"))
        elif text.startswith("/*", at):
            end = block_end(text, at)
            comments.append(text[at + 2 : end - 2])
        elif OPENING.match(text, at):
            end = string_end(text, at)
            if re.search(r"@(Test|Suite)\(\s*$", text[max(0, at - 80) : at]):
                names.append(text[at:end].strip('#"'))
        else:
            end = at + 1
        at = end
    return comments, names


def prose(text, is_markdown):
    """Returns `text` without code and, in Markdown, without tables and the targets of links."""
    text = re.sub(r"^ *(```|~~~).*?^ *\1[^\n]*$", "", text, flags=re.S | re.M)
    text = re.sub(r"`+(?:(?!\n\n)[^`])*`+", " ", text)
    if is_markdown:
        text = re.sub(r"<!--.*?-->", "", text, flags=re.S)
        text = re.sub(r"^ *\|.*$", "", text, flags=re.M)
        text = re.sub(r"\]\([^)]*\)", "]", text)
        text = INDENTED_CODE.sub("", text)
    return text


def text_of(path, with_names):
    """Returns the prose of one file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return prose(text, True)
    comments, names = swift_parts(text)
    return prose("\n".join(comments), False) + "\n" + "\n".join(names if with_names else [])


def files(roots):
    """Yields the Swift sources and Markdown files below `roots`, in order."""
    for root in roots:
        found = [root] if root.is_file() else sorted(root.rglob("*"))
        for path in found:
            # Git's folder, and those of builds with the sources of other packages.
            is_hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
            if path.suffix in (".swift", ".md") and not is_hidden and path.is_file():
                yield path


def row_name(path, by_file):
    """Returns the row that counts `path`: the folder of its target, or the file itself."""
    name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    is_source = name.parts[0] in ("Sources", "Tests") and path.suffix == ".swift"
    return str(pathlib.Path(*name.parts[:2])) if is_source and not by_file else str(name)


def add(total, text):
    """Adds the words of `text` to `total`: a count of all words and one of each group."""
    for word in WORD.findall(text):
        total["words"] += 1
        for group, members in GROUPS.items():
            total[group] += word.lower() in members


def line(name, total, width):
    """Returns one row of the table."""
    thousands = max(total["words"], 1) / 1000
    rates = "".join(f"{total[group] / thousands:8.1f}" for group in GROUPS)
    return f"{name:{width}}{total['words']:8}{rates}"


def default_roots():
    """Returns Sources, Tests and all Markdown outside of them."""
    sources = [ROOT / "Sources", ROOT / "Tests"]
    documents = [path for path in files([ROOT]) if path.suffix == ".md"]
    return sources + [path for path in documents if not set(sources).intersection(path.parents)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("paths", nargs="*", type=pathlib.Path, metavar="PATH")
    parser.add_argument("--files", action="store_true", help="print a row for each file")
    parser.add_argument("--names", action="store_true", help="also count the names of tests")
    options = parser.parse_args()
    rows = {}
    for path in files([p.resolve() for p in options.paths] or default_roots()):
        name = row_name(path, options.files)
        total = rows.setdefault(name, dict.fromkeys(("words", *GROUPS), 0))
        add(total, text_of(path, options.names))
    whole = {key: sum(total[key] for total in rows.values()) for key in ("words", *GROUPS)}
    width = max([len(name) for name in rows] + [5]) + 2
    print(f"{'per 1,000 words':{width}}{'words':>8}" + "".join(f"{group:>8}" for group in GROUPS))
    for name, total in rows.items():
        print(line(name, total, width))
    print(line("total", whole, width))


if __name__ == "__main__":
    main()
