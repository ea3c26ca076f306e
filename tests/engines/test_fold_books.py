"""The tree and what its nodes hold below a cut."""

import pytest

from contracts.event import Cut
from contracts.portfolio import PortfolioDefined
from contracts.topics import HOLDINGS
from tailstream.fold.books import Book, Books, Tree, book_of, sum_of
from tailstream.fold.versions import NEWEST, Versions
from tests.engines import log
from tests.engines.log import Log


def cut(offset: int) -> Cut:
    """The same offset everywhere."""
    everywhere = (offset,) * log.PARTITIONS
    return Cut(holdings=everywhere, definitions=everywhere, instruments=offset, actions=offset)


def defined(name: str, parent: str | None = None) -> PortfolioDefined:
    return PortfolioDefined(portfolio_id=name, name=name, base_currency="USD", parent=parent)


def books(of: Log) -> Books:
    """What a world has folded of the log."""
    return log.Replica(log.analytics()).read(of.arrivals).engine.world.books


def held(of: Log, at: Cut | None = None) -> dict[str, Book]:
    """What everybody in the tree holds."""
    folded = books(of)
    return dict(folded.holders(folded.tree(at).nodes, at))


def test_nothing_is_below_a_cut_of_zero() -> None:
    versions = Versions[str]()
    versions.add(0, "first")
    assert versions.below(0) is None
    assert not versions.begins_below(0)


def test_the_newest_below_a_cut_is_what_stands_before_it_and_not_at_it() -> None:
    versions = Versions[str]()
    for offset, value in ((3, "three"), (7, "seven")):
        versions.add(offset, value)
    assert [versions.below(cut) for cut in (3, 4, 7, 8, NEWEST)] == [None, "three", "three", "seven", "seven"]
    assert versions.between(3, 7) == ["three"]
    assert versions.between(8, 3) == []


def test_an_offset_that_was_taken_before_changes_nothing() -> None:
    versions = Versions[str]()
    for offset, value in ((3, "three"), (3, "again"), (2, "late")):
        versions.add(offset, value)
    assert versions.below(NEWEST) == "three"


def test_forgetting_keeps_what_any_later_cut_can_ask_for() -> None:
    kept, whole = Versions[int](), Versions[int]()
    for offset in (0, 4, 9):
        kept.add(offset, offset)
        whole.add(offset, offset)
    kept.forget_before(6)
    assert [kept.below(cut) for cut in range(6, 12)] == [whole.below(cut) for cut in range(6, 12)]
    assert kept.below(4) is None
    kept.forget_before(0)
    assert kept.below(6) == 4


def test_a_book_is_sorted_and_has_no_zeros() -> None:
    book = book_of({"B": 1.0, "A": -2.0, "C": 0.0}, {"USD": 0.0, "EUR": 3.0}, version=7)
    assert book == Book((("A", -2.0), ("B", 1.0)), (("EUR", 3.0),), 7)


def test_equal_books_have_equal_hashes_whatever_their_version() -> None:
    assert book_of({"A": 1.0}, {}, 1).content_hash == book_of({"A": 1.0, "B": 0.0}, {}, 2).content_hash
    assert book_of({"A": 1.0}, {}).content_hash != book_of({}, {"AAA": 1.0}).content_hash


def test_the_sum_of_no_books_is_empty_and_of_one_is_itself() -> None:
    one = book_of({"A": 1.0}, {}, 4)
    assert sum_of([]) == Book((), ())
    assert sum_of([one]) is one


def test_positions_that_cancel_are_not_held() -> None:
    assert sum_of([book_of({"A": 2.0}, {"USD": 5.0}, 1), book_of({"A": -2.0}, {"USD": 1.0}, 2)]) == Book(
        (), (("USD", 6.0),)
    )


def test_a_portfolio_whose_parent_is_not_known_is_a_root() -> None:
    tree = Tree.of([defined("child", parent="nobody")])
    assert tree.subtrees == {"child": ("child",)}


def test_a_portfolio_is_not_its_own_descendant_twice() -> None:
    assert Tree.of([defined("self", parent="self")]).subtrees == {"self": ("self",)}


def test_a_circle_of_parents_ends_where_it_closes() -> None:
    tree = Tree.of([defined("a", "b"), defined("b", "c"), defined("c", "a"), defined("leaf", "a")])
    assert tree.subtrees["a"] == tree.subtrees["b"] == tree.subtrees["c"] == ("a", "b", "c", "leaf")
    assert tree.subtrees["leaf"] == ("leaf",)


def test_a_subtree_reaches_down_to_the_leaves_and_no_other_branch() -> None:
    tree = Tree.of([defined("leaf", "desk"), defined("desk", "firm"), defined("firm"), defined("other", "firm")])
    assert tree.subtrees == {
        "firm": ("desk", "firm", "leaf", "other"),
        "desk": ("desk", "leaf"),
        "leaf": ("leaf",),
        "other": ("other",),
    }


def test_holdings_of_an_undefined_portfolio_are_held_by_nobody() -> None:
    of = Log()
    of.hold("a", {"A": 1.0})
    assert held(of) == {}
    of.portfolio("a")
    assert held(of)["a"].positions == (("A", 1.0),)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_version_at_or_below_the_newest_changes_nothing(version: int) -> None:
    of = Log()
    of.portfolio("a")
    of.hold("a", {"A": 1.0}, version=3, flow=1.0)
    before = of.cut()
    of.hold("a", {"A": 9.0}, version=version, flow=100.0)
    assert held(of)["a"] == Book((("A", 1.0),), (), 3)
    assert books(of).flow("a", before, None) == 0.0


def test_a_late_version_counts_from_the_next_cut() -> None:
    of = Log()
    of.portfolio("a")
    of.hold("a", {"A": 1.0})
    before = of.cut()
    of.hold("a", {"A": 2.0})
    assert held(of, before)["a"].version == 1
    assert held(of, of.cut())["a"].version == held(of)["a"].version == 2


def test_flows_of_every_version_between_two_cuts_add_up() -> None:
    of = Log()
    of.portfolio("a")
    cuts = [of.cut()]
    for flow in (10.0, -4.0, 0.5):
        of.hold("a", flow=flow)
        cuts.append(of.cut())
    folded = books(of)
    assert folded.flow("a", cuts[1], cuts[3]) == -3.5
    assert folded.flow("a", None, None) == folded.flow("a", cuts[3], cuts[3]) == 0.0
    assert folded.flow("a", cuts[0], None) == 6.5
    assert folded.flow("nobody", cuts[0], None) == 0.0


def test_a_tombstone_closes_a_portfolio_and_a_definition_opens_it_again() -> None:
    of = Log()
    of.portfolio("a")
    of.hold("a", {"A": 1.0})
    opened = of.cut()
    of.tombstone("a")
    closed = of.cut()
    of.portfolio("a")
    assert [list(held(of, at)) for at in (opened, closed, None)] == [["a"], [], ["a"]]


def test_the_tombstone_of_a_portfolio_that_never_was_changes_nothing() -> None:
    of = Log()
    of.tombstone("nobody")
    assert books(of).tree(None).nodes == {}


def test_the_tombstone_of_holdings_empties_the_book_as_compaction_will() -> None:
    of = Log()
    of.portfolio("a")
    of.hold("a", {"A": 1.0}, version=5, flow=3.0)
    start = of.cut()
    of.tombstone("a", HOLDINGS)
    assert held(of) == {}
    of.hold("a", {"A": 2.0}, version=1, flow=7.0)
    assert held(of)["a"].version == 1
    assert books(of).flow("a", start, None) == 7.0


def test_a_book_sold_out_is_held_and_empty() -> None:
    of = Log()
    of.portfolio("a")
    of.hold("a", {"A": 0.0})
    assert held(of) == {"a": Book((), (), 1)}


def test_the_same_books_give_the_same_sum_object_until_one_is_replaced() -> None:
    of = Log()
    for name in ("a", "b"):
        of.portfolio(name)
        of.hold(name, {"A": 1.0})
    folded = books(of)
    first = folded.total(folded.holders(("a", "b"), None))
    assert folded.total(folded.holders(("a", "b"), None)) is first
    of.hold("b", {"A": 2.0})
    folded.replace(of.arrivals[-1].offset, of.arrivals[-1].event)  # type: ignore[arg-type]  # holdings were written
    assert folded.total(folded.holders(("a", "b"), None)) == Book((("A", 3.0),), ())


def test_forgetting_changes_no_book_of_a_later_cut() -> None:
    of = Log()
    of.portfolio("a")
    cuts = []
    for quantity in (1.0, 2.0, 3.0):
        of.hold("a", {"A": quantity}, flow=quantity)
        of.portfolio("a", base="EUR")
        cuts.append(of.cut())
    folded = books(of)
    folded.forget_before(cuts[1])
    assert [folded.holders(("a",), at)[0][1].version for at in cuts[1:]] == [2, 3]
    assert folded.flow("a", cuts[1], cuts[2]) == 3.0
    assert folded.holders(("a",), cut(0)) == ()


def test_a_shard_is_vacant_until_the_cut_under_which_a_portfolio_was_defined() -> None:
    of = Log()
    before = of.cut()
    of.portfolio("a")
    of.tombstone("a")
    folded = books(of)
    mine, other = log.partition_of("a"), (log.partition_of("a") + 1) % log.PARTITIONS
    assert folded.vacant(mine, before)
    assert not folded.vacant(mine, of.cut())
    assert folded.vacant(other, of.cut())
    folded.forget_before(of.cut())
    assert not folded.vacant(mine, of.cut())
