"""`python -m api_parity`: writes docs/api_parity.md; with `--check` only says whether it is up to date."""

from __future__ import annotations

import argparse
import sys

from .report import ROOT, Parity, render

TARGET = ROOT / "docs" / "api_parity.md"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    parity = Parity()
    for gap in parity.gaps:
        if not gap.reason:
            print(f"no reason in reasons.toml: {gap.item.path} ({gap.kind} {gap.item.problem})")
    text = render(parity)
    if options.check:
        return 0 if TARGET.exists() and TARGET.read_text("utf-8") == text else 1
    TARGET.write_text(text, "utf-8")
    there = len(parity.items) - len(parity.gaps)
    print(f"{there} of {len(parity.items)} names are there; wrote {TARGET.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
