"""The pages for people: each can be found from the README, and what they point at is there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

README = ROOT / "README.md"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("data/*.md"), *ROOT.glob("docs/**/*.md")])
OURS = re.compile(r"`((?:benchmarks|contracts|data|docs|requirements|services|tailstream|tests)/[\w./-]*)`")
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """What a page links to in the repository (of a folder, its page), each with what stands behind ``#``."""
    for address in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" not in address:
            path, _, heading = address.partition("#")
            linked = (page.parent / path).resolve() if path else page
            yield linked / "README.md" if (linked / "README.md").exists() else linked, heading


def headings(page: Path) -> set[str]:
    """The headings of a page as addresses: small letters, no punctuation, hyphens for spaces."""
    titles = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def reached(start: Path) -> set[Path]:
    """All pages that are found by following links from one."""
    found, unread = {start}, [start]
    while unread:
        new = {path for path, _ in links(unread.pop()) if path in PAGES} - found
        found |= new
        unread += new
    return found


@each_page
def test_a_page_has_no_dead_link(page: Path) -> None:
    linked = list(links(page))
    assert [str(path) for path, _ in linked if not path.exists()] == []
    assert [(path.name, heading) for path, heading in linked if heading and heading not in headings(path)] == []


@each_page
def test_a_path_that_a_page_names_is_there(page: Path) -> None:
    assert [path for path in OURS.findall(prose(page)) if not (ROOT / path).exists()] == []


def test_every_page_is_found_from_the_readme() -> None:
    assert set(PAGES) - reached(README) == set()


def test_every_benchmark_is_on_the_page_of_what_it_costs() -> None:
    listed = re.findall(r"^\| `(\w+\.py)` \|", (ROOT / "docs/performance.md").read_text(), flags=re.MULTILINE)
    assert sorted(listed) == sorted(path.name for path in ROOT.glob("benchmarks/*.py"))


def test_the_look_for_links_finds_the_dead_ones(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# What is it?\n[here](#what-is-it), [gone](gone.md#there)\n```\n[code](no.md)\n```\n")
    assert list(links(page)) == [(page, "what-is-it"), (tmp_path / "gone.md", "there")]
    assert headings(page) == {"what-is-it"}
