"""
How likely it is by chance that a candidate is in so many windows. Pure.

The hypergeometric tail: of N shipments a candidate is in K; of n shipments that are looked at, in k or more. Multiplied
by how many candidates there were to be found (Bonferroni): among two hundred persons one is at 1 in 200 by chance.
"""

from math import comb


def tail(*, population: int, marked: int, drawn: int, hits: int) -> float:
    """
    Return the chance of at least ``hits`` marked ones among ``drawn``, without replacement.

    :param population: shipments in all
    :param marked: those that the candidate is in
    """
    if not 0 <= marked <= population or not 0 <= drawn <= population:
        raise ValueError("more marked or drawn than there are")
    most = min(marked, drawn)
    if hits <= 0:
        return 1.0
    ways = sum(comb(marked, k) * comb(population - marked, drawn - k) for k in range(hits, most + 1))
    return ways / comb(population, drawn)


def corrected(chance: float, *, candidates: int) -> float:
    """Correct for how many candidates were looked at, at most 1."""
    return min(1.0, chance * max(candidates, 1))
