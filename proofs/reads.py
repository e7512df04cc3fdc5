"""Which slot a position reads most in the first layer: the one to be held at a token of its own.

Nothing here has to be right: bounds hold whichever slot is chosen. The choice depends on a state
alone, not on those that share its batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from absint.ir import Graph, Node
from absint.proofs.arithmetic import FloatArray

BoolArray = NDArray[np.bool_]


def first_attention(graph: Graph, slots: Sequence[frozenset[int]], position: int) -> Node | None:
    """The attention over single slots through which a node depends on others, where it is one."""
    found, waiting, seen = set[int](), [position], set[int]()
    while waiting:
        one = waiting.pop()
        if one in seen or len(slots[one]) < 2:
            continue
        seen.add(one)
        if graph.nodes[one].op == "attend":
            found.add(one)
        else:
            waiting += graph.nodes[one].inputs
    if len(found) != 1:
        return None
    node = graph.nodes[found.pop()]
    return node if all(len(slots[i]) == 1 for i in node.inputs) else None


def contributions(node: Node, tables: Sequence[FloatArray]) -> FloatArray:
    """About what each token of each pair adds to the output, (pairs, tokens, size).

    ``tables`` (tokens, size) are those of the node's operands. The query is averaged over its
    tokens.
    """
    heads, groups = node.integer("heads"), node.integer("kv_heads")
    count = (len(tables) - 1) // 2
    keys, values = (
        np.repeat(x.reshape((*x.shape[:2], groups, -1)), heads // groups, axis=2)
        for x in (np.stack(tables[1 : count + 1]), np.stack(tables[count + 1 :]))
    )
    query = tables[0].reshape((len(tables[0]), heads, -1))
    scores = node.number("scale") * np.einsum("qhd,ithd->qhit", query, keys)
    weights = np.exp(scores - scores.max(axis=(2, 3), keepdims=True))
    weights /= weights.mean(axis=3, keepdims=True).sum(axis=2, keepdims=True)
    shares = np.moveaxis(weights.mean(axis=0), 0, 2)
    added: FloatArray = (shares[..., None] * values).reshape((*keys.shape[:2], -1))
    return added


def most_read(added: FloatArray, sets: BoolArray, above: float = 0.0) -> int | None:
    """The pair whose contributions (pairs, tokens, size) differ most over ``sets`` (pairs, tokens);
    None where none has more than a share ``above`` of all the variance."""
    share = sets / sets.sum(axis=1, keepdims=True)
    mean = np.einsum("it,itd->id", share, added)
    apart = np.einsum("it,itd->i", share, (added - mean[:, None]) ** 2)
    apart = np.where(sets.sum(axis=1) > 1, np.nan_to_num(apart), 0.0)
    return int(apart.argmax()) if apart.max() > above * apart.sum() else None
