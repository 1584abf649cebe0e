#!/usr/bin/env python3
"""Replace texts in a Word document, in body, headers, footers and notes; formats stay.

A text may be spread over runs of different formats: the replacement takes the format of its first
letter. Texts that span paragraphs are not found.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
SPACE = "{http://www.w3.org/XML/1998/namespace}space"
PARTS = re.compile(r"word/(document|header\d*|footer\d*|footnotes|endnotes)\.xml")


def replace_in(paragraph, old, new):
    """Replace in one paragraph; how often."""
    nodes = list(paragraph.iter(f"{W}t"))
    joined = "".join(node.text or "" for node in nodes)
    starts, at = [], joined.find(old)
    while at >= 0:
        starts.append(at)
        at = joined.find(old, at + len(old))
    for start in reversed(starts):
        position, end, first = 0, start + len(old), True
        for node in nodes:
            text = node.text or ""
            low, high = max(start - position, 0), min(end - position, len(text))
            position += len(text)
            if low >= high:
                continue
            node.text = text[:low] + (new if first else "") + text[high:]
            node.set(SPACE, "preserve")
            first = False
    return len(starts)


def process(data, changes, counts):
    """A part with its texts replaced."""
    for _, (prefix, uri) in ElementTree.iterparse(_stream(data), events=["start-ns"]):
        if not re.fullmatch(r"ns\d+", prefix):
            ElementTree.register_namespace(prefix, uri)
    declared = re.search(
        rb"<[A-Za-z]\w*:?\w*[^>]*>", re.sub(rb"^\s*<\?xml.*?\?>", b"", data, count=1)
    )
    root = ElementTree.fromstring(data)
    for paragraph in root.iter(f"{W}p"):
        for old, new in changes.items():
            counts[old] += replace_in(paragraph, old, new)
    made = ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True)
    # mc:Ignorable names prefixes that must stay declared even where nothing uses them.
    head = re.search(rb"<[A-Za-z]\w*:?\w*[^>]*>", made[made.index(b"?>") + 2 :])
    missing = [
        name for name in re.findall(rb"(xmlns:\w+)=", declared[0]) if name + b"=" not in head[0]
    ]
    extra = b"".join(b" " + re.search(name + rb'="[^"]*"', declared[0])[0] for name in missing)
    start = made.index(head[0])
    return made[: start + len(head[0]) - 1] + extra + made[start + len(head[0]) - 1 :]


def _stream(data):
    import io

    return io.BytesIO(data)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("changes", help='JSON file, or JSON text such as {"old": "new"}')
    given = parser.parse_args()
    try:
        text = given.changes
        if not text.lstrip().startswith("{"):
            text = Path(text).read_text("utf-8")
        changes = {str(old): str(new) for old, new in json.loads(text).items() if old}
        with zipfile.ZipFile(given.source) as archive:
            parts = [(entry, archive.read(entry)) for entry in archive.infolist()]
    except (OSError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        sys.exit(f"{error}")
    counts = dict.fromkeys(changes, 0)
    made = [
        (entry, process(data, changes, counts) if PARTS.fullmatch(entry.filename) else data)
        for entry, data in parts
    ]
    with zipfile.ZipFile(given.target, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, data in made:
            archive.writestr(entry, data)
    for old, count in counts.items():
        print(f"{count} x {old!r}")
    sys.exit(0 if all(counts.values()) else 1)


if __name__ == "__main__":
    main()
