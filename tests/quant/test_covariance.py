"""How instruments move together: by hand, against other packages, and where a matrix has no inverse."""

import numpy as np
import pytest

from tailstream.quant.covariance import (
    SMALLEST_EIGENVALUE,
    cholesky,
    exact_product,
    kendall,
    ledoit_wolf,
    normal_scores,
    positive_definite,
    squared_distances,
)

from .stock_windows import DAYS, references, up_to

pytestmark = pytest.mark.filterwarnings("error")

INDEFINITE = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.9], [0.0, 0.9, 1.0]])


def standardised(returns: np.ndarray) -> np.ndarray:
    away = returns - returns.mean(axis=1, keepdims=True)
    return away / returns.std(axis=1, ddof=1, keepdims=True)


def ours(figure: str, returns: np.ndarray) -> float:
    to_ddof_0 = (DAYS - 1) / DAYS
    match figure:
        case "shrinkage":
            return ledoit_wolf(returns).shrinkage
        case "variance":
            return float(ledoit_wolf(returns).covariance[0, 0]) * to_ddof_0
        case "covariance":
            return float(ledoit_wolf(returns).covariance[1, 2]) * to_ddof_0
        case "standardised_shrinkage":
            return ledoit_wolf(standardised(returns)).shrinkage
        case "tau":
            return float(kendall(returns)[0, 3])
        case "tied_tau":
            return float(kendall(returns.round(2))[0, 3])
        case "normal_scores":
            return float(normal_scores(returns)[0, 3])
        case _:
            points = standardised(returns)
            return float(squared_distances(cholesky(points @ points.T / (DAYS - 1)), points)[7])


FIGURES = ("shrinkage", "variance", "covariance", "standardised_shrinkage", "tau", "tied_tau", "normal_scores")


@pytest.mark.parametrize(
    "row", references(*FIGURES, "mahalanobis"), ids=lambda row: f"{row['figure']} by {row['package']} on {row['date']}"
)
def test_a_figure_agrees_with_another_package(row: dict[str, str]) -> None:
    assert ours(row["figure"], up_to(row["date"])) == pytest.approx(float(row["value"]), rel=1e-9)


# the shrunk covariance


def test_one_instrument_has_nothing_to_be_shrunk_to() -> None:
    covariance, shrinkage = ledoit_wolf(np.array([[1.0, 2.0, 6.0]]))
    assert covariance.tolist() == [[7.0]]
    assert shrinkage == 0.0


def test_shrinking_by_hand() -> None:
    covariance, shrinkage = ledoit_wolf(np.array([[3.0, -3.0, 0.0, 0.0], [0.0, 0.0, 1.0, -1.0]]))
    # C = diag(4.5, 0.5), m = 2.5, |C - mI|^2 = 8; sum |x|^4 / T = 41, |C|^2 = 20.5: s = (41 - 20.5) / 4 / 8
    assert shrinkage == pytest.approx(20.5 / 32)
    assert covariance == pytest.approx(np.diag([4.5 - 2 * 20.5 / 32, 0.5 + 2 * 20.5 / 32]) * 4 / 3)


def test_instruments_without_a_move_have_no_covariance() -> None:
    assert ledoit_wolf(np.ones((3, 10))) == (pytest.approx(np.zeros((3, 3))), 0.0)


@pytest.mark.parametrize("seed", range(20))
def test_moves_that_are_all_alike_leave_nothing_to_be_unsure_of(seed: int) -> None:
    sizes = np.random.default_rng(seed).standard_normal((3, 1))
    assert 0.0 <= ledoit_wolf(sizes * np.tile([1.0, -1.0], 10)).shrinkage < 1e-12


def test_no_instrument_makes_an_empty_matrix() -> None:
    assert ledoit_wolf(np.empty((0, 10))).covariance.shape == (0, 0)


def test_with_more_instruments_than_periods_the_shrunk_covariance_still_has_an_inverse() -> None:
    covariance, shrinkage = ledoit_wolf(np.random.default_rng(1).standard_normal((40, 20)))
    assert 0.0 < shrinkage <= 1.0
    assert np.linalg.eigvalsh(covariance).min() > 0.01


@pytest.mark.parametrize("factor", [1e-6, 1e9])
def test_the_covariance_has_the_square_of_the_unit_and_the_shrinkage_has_none(factor: float) -> None:
    returns = up_to("2008-12-31")
    plain, scaled = ledoit_wolf(returns), ledoit_wolf(returns * factor)
    assert scaled.covariance == pytest.approx(plain.covariance * factor**2, rel=1e-9)
    assert scaled.shrinkage == pytest.approx(plain.shrinkage, rel=1e-9)


# ranks


def test_tau_by_hand() -> None:
    assert kendall(np.array([[1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 4.0]]))[0, 1] == pytest.approx(4 / 6)


def test_tied_tau_by_hand() -> None:
    assert kendall(np.array([[1.0, 1.0, 2.0], [1.0, 2.0, 3.0]]))[0, 1] == pytest.approx(2 / np.sqrt(2 * 3))


@pytest.mark.parametrize("correlation", [kendall, normal_scores])
def test_a_double_goes_with_its_instrument_a_mirror_against_it_and_what_stands_still_with_nothing(correlation) -> None:
    moves = np.random.default_rng(2).standard_t(3, 300)
    found = correlation(np.array([moves, 2.0 * moves + 5.0, -(moves**3), np.full(300, 0.1)]))
    assert found == pytest.approx(np.array([[1, 1, -1, 0], [1, 1, -1, 0], [-1, -1, 1, 0], [0, 0, 0, 1]]))


# positive definite


def test_a_correlation_that_can_be_is_left_as_it_is() -> None:
    correlation = kendall(up_to("2020-12-31"))
    assert positive_definite(correlation) is correlation


def test_a_correlation_that_cannot_be_becomes_one_that_can() -> None:
    found = positive_definite(INDEFINITE)
    assert np.linalg.eigvalsh(found).min() == pytest.approx(SMALLEST_EIGENVALUE, rel=0.2)
    assert np.diag(found).tolist() == [1.0] * 3
    assert np.abs(found).max() == 1.0
    assert found[0, 1] == pytest.approx(0.9 / np.sqrt(1 + 0.81 / 2), abs=0.1)


def test_nothing_at_all_is_positive_definite() -> None:
    assert positive_definite(np.empty((0, 0))).shape == (0, 0)


# roots


def test_the_root_is_lower_triangular_and_its_square_the_matrix() -> None:
    covariance = np.cov(up_to("2008-12-31"))
    root = cholesky(covariance)
    assert root == pytest.approx(np.linalg.cholesky(covariance), rel=1e-12)
    assert (np.triu(root, 1) == 0.0).all()


@pytest.mark.parametrize(
    "covariance",
    [
        np.zeros((3, 3)),
        np.ones((3, 3)),
        np.array([[4.0, 0.0, 2.0], [0.0, 0.0, 0.0], [2.0, 0.0, 5.0]]),
        np.array([[1.0, -1.0, 0.5], [-1.0, 1.0, -0.5], [0.5, -0.5, 1.0]]),
        np.cov(np.random.default_rng(3).standard_normal((8, 4))),
        1e-14 * np.cov(np.random.default_rng(3).standard_normal((8, 4))),
    ],
)
def test_a_matrix_without_an_inverse_has_a_root_as_well(covariance: np.ndarray) -> None:
    root = cholesky(covariance)
    assert root @ root.T == pytest.approx(covariance, rel=1e-9, abs=1e-9 * np.abs(covariance).max())


@pytest.mark.parametrize("seed", range(5))
def test_what_three_instruments_explain_but_for_rounding_is_explained(seed: int) -> None:
    mixed = np.random.default_rng(seed).standard_normal((50, 3))
    covariance = mixed @ mixed.T
    root = cholesky(covariance)
    assert root @ root.T == pytest.approx(covariance, abs=1e-9)
    assert (root[:, 3:] == 0.0).all()


# products


@pytest.mark.parametrize("draw", ["standard_normal", "random"])
def test_a_product_has_the_same_bits_in_whatever_order_it_is_added(draw: str) -> None:
    random = np.random.default_rng(4)
    left, right = getattr(random, draw)((30, 500)), getattr(random, draw)((500, 40))
    found = exact_product(left, right)
    order = random.permutation(500)
    assert (exact_product(left[:, order], right[order]) == found).all()
    assert (left[:, order] @ right[order] != left @ right).any(), "the plain product would do"


def test_a_product_of_rounded_factors_is_near_the_product() -> None:
    random = np.random.default_rng(4)
    left, right = random.standard_normal((30, 500)), random.standard_normal((500, 40))
    assert exact_product(left, right) == pytest.approx(left @ right, abs=1e-4)


def test_factors_of_few_bits_are_not_rounded_at_all() -> None:
    left, right = np.array([[1.0, 0.5]]), np.array([[-3.0], [1024.0]])
    assert exact_product(left, right).tolist() == [[509.0]]
    assert exact_product(np.empty((0, 0)), np.empty((0, 7))).shape == (0, 7)
    assert (exact_product(np.zeros((2, 2)), np.ones((2, 3))) == 0.0).all()
