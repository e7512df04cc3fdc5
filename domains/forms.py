"""Affine forms: the elements of the zonotope domain, and the reduction of their order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from absint.domains.arrays import Array, Arrays
from absint.domains.interval import Interval

Symbols = NDArray[np.int64]


@dataclass(frozen=True)
class Form:
    """``centre + sum_s generators_s e_s + d`` with each ``|e_s| <= 1`` and ``|d| <= rest``.

    ``centre`` and ``rest`` are (batch, *shape), ``generators`` (batch, symbols, *shape). A symbol
    stands for one unknown in all forms that name it in ``symbols`` (ascending), and is shared with
    nothing else; ``d`` is each entry's own.
    """

    centre: Array
    generators: Array
    symbols: Symbols
    rest: Array

    @staticmethod
    def free(x: Interval, arrays: Arrays) -> Form:
        """Anything in the box ``x``, (batch, *shape), entry by entry."""
        shape = (x[0].shape[0], 0, *x[0].shape[1:])
        return Form(
            (x[0] + x[1]) / 2,
            arrays.xp.zeros(shape, dtype=arrays.dtype, device=arrays.device),
            np.zeros(0, dtype=np.int64),
            (x[1] - x[0]) / 2,
        )

    def box(self, arrays: Arrays) -> Interval:
        """The least interval of each entry that holds it, (batch, *shape)."""
        radius = arrays.xp.sum(arrays.xp.abs(self.generators), axis=1) + self.rest
        return self.centre - radius, self.centre + radius

    def spread(self, symbols: Symbols, arrays: Arrays) -> Array:
        """The generators of ``symbols``, which hold the form's own: (batch, symbols, *shape)."""
        if len(symbols) == len(self.symbols):
            return self.generators
        shape = (self.centre.shape[0], len(symbols), *self.centre.shape[1:])
        wide = arrays.xp.zeros(shape, dtype=arrays.dtype, device=arrays.device)
        wide[:, np.searchsorted(symbols, self.symbols)] = self.generators
        return wide


def union(forms: Sequence[Form]) -> Symbols:
    """The symbols that some of the forms name."""
    first = forms[0].symbols
    if all(np.array_equal(first, form.symbols) for form in forms[1:]):
        return first
    return np.unique(np.concatenate([form.symbols for form in forms]))


def promote(form: Form, fresh: int, limit: int, arrays: Arrays) -> Form:
    """The form with entries' rests as symbols from ``fresh`` on, of ``limit`` symbols at the most.

    Girard (2005): beyond the limit the smallest generators, by the sum of their sizes, are boxed:
    they join the rests, of which the smallest then stay as they are. Sizes are means over the
    batch.
    """
    old, own = _sizes(form.generators, arrays).sum(1), _sizes(form.rest[:, None], arrays)[0]
    if len(old) + np.count_nonzero(own) > limit:
        least = np.sort(np.concatenate([old, own]))[-limit] if limit else np.inf
        form = _boxed(form, np.flatnonzero(old >= least)[:limit], arrays)
        own = _sizes(form.rest[:, None], arrays)[0]
    room = limit - len(form.symbols)
    largest = np.argsort(-own, kind="stable")[: max(room, 0)]
    return _named(form, np.sort(largest[own[largest] > 0]), fresh, arrays)


def _sizes(x: Array, arrays: Arrays) -> NDArray[np.float64]:
    """(rows, entries): means over the batch of absolute values; not finite is the largest.

    ``x`` is (batch, rows, *shape).
    """
    sizes = arrays.numpy(arrays.xp.mean(arrays.xp.abs(x), axis=0))
    flat = sizes.reshape((x.shape[1], math.prod(x.shape[2:])))
    return np.nan_to_num(flat, nan=np.inf, posinf=np.inf)


def _boxed(form: Form, kept: NDArray[np.int64], arrays: Arrays) -> Form:
    """With the generators that are not ``kept`` in the rest."""
    gone = np.setdiff1d(np.arange(len(form.symbols)), kept)
    more = arrays.xp.sum(arrays.xp.abs(form.generators[:, gone]), axis=1)
    return Form(form.centre, form.generators[:, kept], form.symbols[kept], form.rest + more)


def _named(form: Form, entries: NDArray[np.int64], fresh: int, arrays: Arrays) -> Form:
    """With the rests of the flat ``entries`` as generators of new symbols, counted from fresh."""
    xp, shape, count = arrays.xp, form.centre.shape, len(entries)
    rest = xp.asarray(form.rest.reshape((shape[0], -1)), copy=True)
    more = xp.zeros((shape[0], count, rest.shape[1]), dtype=arrays.dtype, device=arrays.device)
    more[:, np.arange(count), entries] = rest[:, entries]
    rest[:, entries] = 0.0
    return Form(
        form.centre,
        xp.concat([form.generators, more.reshape((shape[0], count, *shape[1:]))], axis=1),
        np.concatenate([form.symbols, np.arange(fresh, fresh + count)]),
        rest.reshape(shape),
    )
