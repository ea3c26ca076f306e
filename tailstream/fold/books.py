"""The tree of portfolios and what each node holds, as of any cut."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile
from operator import itemgetter

from contracts.event import Cut
from contracts.portfolio import HoldingsReplaced, PortfolioDefined
from tailstream.fold.versions import NEWEST, Versions


@dataclass(frozen=True)
class Book:
    """What is held: quantities by instrument and money by currency, both sorted by name, nothing that is zero."""

    positions: tuple[tuple[str, float], ...]
    cash: tuple[tuple[str, float], ...]
    version: int = 0
    """The holdings' version; 0 for a book that is a sum."""

    @cached_property
    def content_hash(self) -> str:
        """sha256 of the positions and cash, in hex; equal books have equal hashes."""
        return hashlib.sha256(json.dumps([self.positions, self.cash]).encode()).hexdigest()


def book_of(positions: dict[str, float], cash: dict[str, float], version: int = 0) -> Book:
    """A book with its names in order and without zeros."""
    return Book(
        tuple(sorted(filter(itemgetter(1), positions.items()))),
        tuple(sorted(filter(itemgetter(1), cash.items()))),
        version,
    )


def sum_of(books: Sequence[Book]) -> Book:
    """The sum of books, added in the order given; a single book is itself."""
    if len(books) == 1:
        return books[0]
    positions: dict[str, float] = defaultdict(float)
    cash: dict[str, float] = defaultdict(float)
    for book in books:
        for name, quantity in book.positions:
            positions[name] += quantity
        for currency, amount in book.cash:
            cash[currency] += amount
    return book_of(positions, cash)


@dataclass(frozen=True)
class Tree:
    """The portfolios that are open, and who is whose descendant."""

    nodes: dict[str, PortfolioDefined]
    subtrees: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """For each node, itself and its descendants, sorted."""

    @classmethod
    def of(cls, definitions: Iterable[PortfolioDefined]) -> "Tree":
        """The tree of these definitions; a parent that is not among them leaves its child a root."""
        nodes = {d.portfolio_id: d for d in sorted(definitions, key=lambda d: d.portfolio_id)}
        subtrees: dict[str, set[str]] = {name: {name} for name in nodes}
        for name in nodes:
            for ancestor in _ancestors(name, nodes):
                subtrees[ancestor].add(name)
        return cls(nodes, {name: tuple(sorted(members)) for name, members in subtrees.items()})


def _ancestors(name: str, nodes: dict[str, PortfolioDefined]) -> list[str]:
    """From the parent up; a circle ends where it closes."""
    found: list[str] = []
    parent = nodes[name].parent
    while parent in nodes and parent != name and parent not in found:
        found.append(parent)
        parent = nodes[parent].parent
    return found


@dataclass(frozen=True, slots=True)
class _Held:
    version: int
    book: Book
    flow: float


class Books:
    """Definitions and holdings by offset. Portfolios live on ``partition_of(portfolio_id)`` of both topics."""

    def __init__(self, partition_of: Callable[[str], int]) -> None:
        self._partition_of = partition_of
        self._definitions: dict[str, Versions[PortfolioDefined | None]] = defaultdict(Versions)
        self._holdings: dict[str, Versions[_Held | None]] = defaultdict(Versions)
        self.definition_changes = 0
        """How many definitions were taken: equal counts, equal trees."""
        self.holding_changes = 0
        """How many times what somebody holds was replaced."""
        self._changed_last: dict[str, int] = {}
        self._trees: dict[tuple[int, ...], Tree] = {}
        self._sums: dict[tuple[str, ...], tuple[tuple[Book, ...], Book]] = {}

    def define(self, offset: int, portfolio_id: str, definition: PortfolioDefined | None) -> None:
        """Take a definition; None closes the portfolio."""
        self._definitions[portfolio_id].add(offset, definition)
        self.definition_changes += 1
        self._trees.clear()

    def replace(self, offset: int, holdings: HoldingsReplaced) -> None:
        """Take a version of a portfolio's holdings; one at or below the newest seen changes nothing."""
        versions = self._holdings[holdings.portfolio_id]
        newest = versions.below(NEWEST)
        if newest is None or holdings.version > newest.version:
            book = book_of(holdings.positions, holdings.cash, holdings.version)
            versions.add(offset, _Held(holdings.version, book, holdings.external_flow))
            self._note_change(holdings.portfolio_id)

    def empty(self, offset: int, portfolio_id: str) -> None:
        """Take the tombstone of a portfolio's holdings: it holds nothing until a version comes, whatever its number."""
        self._holdings[portfolio_id].add(offset, None)
        self._note_change(portfolio_id)

    def changed_since(self, change: int) -> list[str]:
        """Whose holdings were replaced when ``holding_changes`` was ``change`` or more, the newest first."""
        newest_first = reversed(self._changed_last.items())
        return [name for name, changed in takewhile(lambda item: item[1] >= change, newest_first)]

    def held(self, portfolio_id: str) -> Book | None:
        """What the portfolio itself holds now; None when it never held anything, or was emptied."""
        held = self._held(portfolio_id, ())
        return None if held is None else held.book

    def tree(self, cut: Cut | None) -> Tree:
        """The portfolios open below ``cut``; None is now."""
        key = cut.definitions if cut else ()
        tree = self._trees.get(key)
        if tree is None:
            found = (v.below(self._at(key, name)) for name, v in self._definitions.items())
            tree = self._trees[key] = Tree.of(d for d in found if d is not None)
            if len(self._trees) > 8:
                self._trees.pop(next(iter(self._trees)))
        return tree

    def vacant(self, partition: int, cut: Cut) -> bool:
        """Whether no portfolio of the partition was ever defined below ``cut``, not even one that is closed."""
        key = cut.definitions
        defined = (name for name, v in self._definitions.items() if v.begins_below(self._at(key, name)))
        return all(self._partition_of(name) != partition for name in defined)

    def holders(self, members: Iterable[str], cut: Cut | None) -> tuple[tuple[str, Book], ...]:
        """Those of ``members`` that hold something below ``cut``, with what they hold, in the order given."""
        key = cut.holdings if cut else ()
        found = ((name, self._held(name, key)) for name in members)
        return tuple((name, held.book) for name, held in found if held is not None)

    def total(self, holders: Sequence[tuple[str, Book]]) -> Book:
        """The sum of the holders' books; asked again for the same books it is the same object."""
        names = tuple(name for name, _ in holders)
        books = tuple(book for _, book in holders)
        known = self._sums.get(names)
        if known is None or any(a is not b for a, b in zip(known[0], books, strict=True)):
            known = self._sums[names] = (books, sum_of(books))
        return known[1]

    def flow(self, portfolio_id: str, since: Cut | None, cut: Cut | None) -> float:
        """External flow declared from one cut to the next; money in the portfolio's base currency."""
        versions = self._holdings.get(portfolio_id)
        if versions is None:
            return 0.0
        start = self._at(since.holdings if since else (), portfolio_id)
        end = self._at(cut.holdings if cut else (), portfolio_id)
        return sum(held.flow for held in versions.between(start, end) if held is not None)

    def forget_before(self, cut: Cut) -> None:
        """Drop the versions that no close at or after ``cut`` can ask for."""
        for name, definitions in self._definitions.items():
            definitions.forget_before(self._at(cut.definitions, name))
        for name, holdings in self._holdings.items():
            holdings.forget_before(self._at(cut.holdings, name))

    def _note_change(self, portfolio_id: str) -> None:
        self._changed_last.pop(portfolio_id, None)
        self._changed_last[portfolio_id] = self.holding_changes
        self.holding_changes += 1

    def _held(self, name: str, key: tuple[int, ...]) -> _Held | None:
        versions = self._holdings.get(name)
        return versions.below(self._at(key, name)) if versions is not None else None

    def _at(self, cut: tuple[int, ...], name: str) -> int:
        return cut[self._partition_of(name)] if cut else NEWEST
