import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.stats.clusters import Clusters


def test_partition_is_numbered_by_sorted_names() -> None:
    clusters = Clusters.of(["b", "a", "b", "c"])
    assert clusters.index.tolist() == [1, 0, 1, 2]
    assert clusters.sizes.tolist() == [1, 2, 1]
    assert (clusters.count, clusters.rows, clusters.singletons) == (3, 4, False)
    assert clusters.totals(np.array([1.0, 2.0, 3.0, 4.0])).tolist() == [2.0, 4.0, 4.0]


def test_a_partition_by_numbers_has_clusters_in_their_order_and_none_that_is_empty() -> None:
    clusters = Clusters.numbered(np.array([7, 2, 7, 9]))
    assert clusters.index.tolist() == [1, 0, 1, 2]
    assert clusters.sizes.tolist() == [1, 2, 1]
    assert Clusters.numbered(np.array([], dtype=np.intp)).count == 0


def test_no_rows_have_no_clusters() -> None:
    clusters = Clusters.of([])
    assert (clusters.count, clusters.rows) == (0, 0)
    assert clusters.totals(np.zeros(0)).shape == (0,)


def test_singletons() -> None:
    assert Clusters.of(["b", "a"]).singletons
    assert not Clusters.of(["a", "a"]).singletons


def test_names_that_numpy_would_confuse_stay_apart() -> None:
    assert Clusters.of(["a", "a\0", "A", "a "]).count == 4


@given(st.lists(st.sampled_from("abcde"), min_size=1), st.randoms())
def test_totals_do_not_depend_on_row_order(names: list[str], random) -> None:
    rows = [(name, float(number)) for number, name in enumerate(names)]
    shuffled = random.sample(rows, len(rows))

    def totals(rows: list[tuple[str, float]]) -> list[float]:
        values = np.array([value for _, value in rows])
        return Clusters.of(name for name, _ in rows).totals(values).tolist()

    assert totals(rows) == totals(shuffled)
    assert sum(totals(rows)) == sum(range(len(names)))


@given(st.lists(st.sampled_from("abcd"), max_size=12), st.data())
def test_a_part_is_the_partition_of_its_rows(names, data) -> None:
    rows = data.draw(st.lists(st.sampled_from(range(len(names))) if names else st.nothing()))
    part = Clusters.of(names).part(np.array(rows, dtype=np.intp))
    expected = Clusters.of(names[row] for row in rows)
    assert part.index.tolist() == expected.index.tolist()
    assert part.sizes.tolist() == expected.sizes.tolist()
