"""Write the generated tables of docs/models: ``python -m docs.tables``, or ``--check`` that they are what is written.

With the names of pages only their backtests are made, and nothing of the index.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from docs.tables.backtests import records
from docs.tables.pages import (
    INDEX_PAGE,
    PAGES,
    backtest_of,
    comparison,
    methods_of,
    path_of,
    replaced,
    status_table,
)
from docs.tables.statuses import census
from tailstream.quant.averaging import ID as AVERAGE
from tailstream.runtime.plugins import OWN

Page = tuple[Path, str]


def main() -> int:
    """Write the pages; or say which are out of date, and return 1 if any is."""
    asked = _arguments()
    changed = [(path, text) for path, text in _pages(asked.pages, asked.jobs) if path.read_text() != text]
    for path, text in changed:
        print(path, "is out of date" if asked.check else "written", file=sys.stderr)
        if not asked.check:
            path.write_text(text)
    return 1 if asked.check and changed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m docs.tables", description=__doc__)
    parser.add_argument("pages", nargs="*", choices=[[], *PAGES], metavar="PAGE", help=", ".join(PAGES))
    parser.add_argument("--check", action="store_true", help="write nothing, fail if something would be written")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes, one for each core unless told"
    )
    return parser.parse_args()


def _pages(asked: Sequence[str], jobs: int) -> Iterator[Page]:
    """Pages as they should be."""
    pages = asked or PAGES
    wanted = OWN if AVERAGE in pages else ()
    made = records(list(dict.fromkeys([*wanted, *(name for page in pages for name in methods_of(page))])), jobs)
    for page in pages:
        yield path_of(page), replaced(path_of(page).read_text(), "backtest", backtest_of(page, made))
    if not asked:
        compared = replaced(INDEX_PAGE.read_text(), "backtest", comparison(made))
        yield INDEX_PAGE, replaced(compared, "status", status_table(census(jobs)))


if __name__ == "__main__":
    sys.exit(main())
