"""The nodes of a block graph under construction, and where each entry of a tensor lies in them.

Every entry of every block has an *address*, a whole number. A tensor of the network is an array of
addresses, so data movement permutes addresses and adds no node.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from absint.ir.affine import IntArray, Shape
from absint.ir.graph import Attribute, Constant, FloatArray, GraphBuilder

CONSTANT = 0
"""The tag of blocks that depend on no token."""
_LAZY = -1
COPIES = frozenset({"gather", "reshape", "concat", "embedding"})
"""Ops whose result is the same however it is computed: two equal nodes may be one. Others are
rounded each time that they are computed, and not always in the same way."""


class Lazy(Protocol):
    """Entries that have no node yet: what may turn out to be part of an attention."""

    def make(self, blocks: Blocks, entries: IntArray) -> IntArray:
        """Adds nodes for the ``entries`` (positions in this block); their addresses."""


class Growing:
    """A vector of whole numbers that grows at its end."""

    def __init__(self) -> None:
        self._room: IntArray = np.empty(1024, dtype=np.int64)
        self.count = 0

    def extend(self, value: int, times: int = 1) -> None:
        while self.count + times > len(self._room):
            self._room = np.concatenate([self._room, np.empty_like(self._room)])
        self._room[self.count : self.count + times] = value
        self.count += times

    def __getitem__(self, index: IntArray) -> IntArray:
        return self._room[index]


class Blocks:
    """Adds nodes to a builder and keeps the addresses of their entries.

    What the network computes once is there once; of equal copies, one. Each block has a *tag*: the
    position (or the mixture of positions) that it belongs to. Entries with one tag are worked on
    together.
    """

    def __init__(self) -> None:
        self.builder = GraphBuilder()
        self.name = ""
        """The name given to new nodes."""
        self.masked: list[IntArray] = []
        """Addresses of keys and values that a mask takes out of an attention."""
        self._owner, self._base, self._tag = Growing(), Growing(), Growing()
        self._nodes: list[int] = []
        self._lazy: dict[int, Lazy] = {}
        self._done: dict[int, IntArray] = {}
        """Of postponed entries: where they were made, -1 where not yet."""
        self._entries: dict[int, IntArray] = {}
        self._tags: dict[int, int] = {}
        self._mixtures: dict[frozenset[int], int] = {}
        self._made: dict[Any, int] = {}
        self._collected: dict[bytes, int] = {}
        self._constants: dict[Any, Constant] = {}

    def token(self, name: str, dtype: str) -> int:
        """The address of the next token, an input of shape ()."""
        node = self.builder.input(name, (), dtype)
        self._tags[node] = self._mixture({-1 - node})
        return int(self.entries(node)[0])

    def emit(
        self,
        op: str,
        inputs: Sequence[int],
        attrs: Mapping[str, Attribute] | None = None,
        consts: Mapping[str, Constant] | None = None,
        tag: int | None = None,
    ) -> int:
        """The node ``op`` of these inputs and (by identity) constants; a new one but for copies."""
        attrs, consts = attrs or {}, consts or {}
        named = tuple((name, id(consts[name])) for name in sorted(consts))
        key = (op, tuple(inputs), tuple(sorted(attrs.items())), named)
        if key in self._made:
            return self._made[key]
        node = self.builder.add(op, inputs, attrs=attrs, consts=consts, name=self.name)
        self._tags[node] = self.mixed(self._tags[i] for i in inputs) if tag is None else tag
        if op in COPIES:
            self._made[key] = node
        return node

    def constant(self, value: NDArray[Any], radius: FloatArray | None = None) -> Constant:
        """The one constant with these entries."""
        parts = [value] if radius is None else [value, radius]
        key = (value.shape, value.dtype.kind == "f", tuple(part.tobytes() for part in parts))
        if key not in self._constants:
            self._constants[key] = Constant(value, radius)
        return self._constants[key]

    def keep(self, constant: Constant) -> None:
        """Has ``constant`` give back this very object for its entries."""
        parts = [constant.value] if constant.radius is None else [constant.value, constant.radius]
        floats = constant.value.dtype.kind == "f"
        key = (constant.value.shape, floats, tuple(part.tobytes() for part in parts))
        self._constants.setdefault(key, constant)

    def mixed(self, tags: Any) -> int:
        """The tag of what is computed from blocks with ``tags``."""
        parts = {int(tag) for tag in tags} - {CONSTANT}
        if len(parts) <= 1:
            return parts.pop() if parts else CONSTANT
        return self._mixture(parts)

    def _mixture(self, parts: set[int]) -> int:
        return self._mixtures.setdefault(frozenset(parts), len(self._mixtures) + 1)

    def entries(self, node: int) -> IntArray:
        """The addresses of a node's entries in row-major order, (size,)."""
        if node not in self._entries:
            size = math.prod(self.builder.shape(node))
            self._entries[node] = self._open(node, self._tags[node], size)
        return self._entries[node]

    def postpone(self, source: Lazy, count: int) -> IntArray:
        """Addresses of ``count`` entries that ``source`` makes when they are needed."""
        self._lazy[len(self._nodes)] = source
        self._done[len(self._nodes)] = np.full(count, -1, dtype=np.int64)
        return self._open(-1, _LAZY, count)

    def _open(self, node: int, tag: int, size: int) -> IntArray:
        first = self._owner.count
        self._owner.extend(len(self._nodes), size)
        self._base.extend(first)
        self._tag.extend(tag)
        self._nodes.append(node)
        return np.arange(first, first + size)

    def owners(self, addresses: IntArray) -> IntArray:
        """The block that each of ``addresses`` lies in."""
        return self._owner[addresses]

    def origin(self, addresses: IntArray) -> tuple[Lazy, IntArray] | None:
        """The one postponed source of all ``addresses``, and their positions in it; None if not."""
        owners = self._owner[addresses]
        first = int(owners[0])
        if first not in self._lazy or (owners != first).any():
            return None
        return self._lazy[first], addresses - self._base[owners]

    def real(self, addresses: IntArray) -> IntArray:
        """The same entries with nodes made for those that were postponed."""
        owners = self._owner[addresses]
        postponed = self._tag[owners] == _LAZY
        if not postponed.any():
            return addresses
        result = addresses.copy()
        for owner in np.unique(owners[postponed]):
            members = owners == owner
            wanted = addresses[members] - self._base[owners[members]]
            result[members] = self._real(int(owner), wanted)
        return result

    def _real(self, owner: int, entries: IntArray) -> IntArray:
        """Postponed entries, each made when it is first needed."""
        done = self._done[owner]
        missing = np.unique(entries[done[entries] < 0])
        if len(missing):
            done[missing] = self._lazy[owner].make(self, missing)
        return done[entries]

    def tags(self, addresses: IntArray) -> IntArray:
        """The tag of each of ``addresses``, none of them postponed."""
        return self._tag[self._owner[addresses]]

    def single(self, addresses: IntArray) -> bool:
        """Whether all ``addresses`` lie in one block."""
        owners = self._owner[addresses]
        return bool((owners == owners[0]).all())

    def zero(self) -> int:
        """The address of an entry that is 0 whatever the tokens are."""
        node = self.emit("gather", [0], consts={"index": self.constant(np.array([-1]))}, tag=0)
        return int(self.entries(node)[0])

    def shaped(self, node: int, shape: Shape) -> int:
        """The node's entries in row-major order under ``shape``."""
        while self.builder.nodes[node].op == "reshape":
            (node,) = self.builder.nodes[node].inputs
        if self.builder.shape(node) == shape:
            return node
        return self.emit("reshape", [node], {"shape": shape})

    def vector(self, node: int) -> int:
        return self.shaped(node, (math.prod(self.builder.shape(node)),))

    def collect(self, addresses: IntArray) -> int:
        """A vector node with the entries at ``addresses`` (a vector of at least one).

        An existing block where they are one in order; otherwise blocks joined and permuted.
        """
        key = addresses.tobytes()
        if key not in self._collected:
            self._collected[key] = self._collect(self.real(addresses))
        return self._collected[key]

    def _collect(self, addresses: IntArray) -> int:
        owners = self._owner[addresses]
        offsets = addresses - self._base[owners]
        if (owners == owners[0]).all():
            return self._pick(self._nodes[owners[0]], offsets)
        ids, first, inverse = np.unique(owners, return_index=True, return_inverse=True)
        order = np.argsort(first)
        parts = [self.vector(self._nodes[i]) for i in ids[order]]
        joined = self.emit("concat", parts, {"axis": 0})
        ends = np.cumsum([self.builder.shape(part)[0] for part in parts])
        starts = np.empty_like(ends)
        starts[order] = np.concatenate([[0], ends[:-1]])
        return self._pick(joined, starts[inverse] + offsets)

    def _pick(self, node: int, offsets: IntArray) -> int:
        size = math.prod(self.builder.shape(node))
        if len(offsets) == size and (offsets == np.arange(size)).all():
            return self.vector(node)
        return self.emit("gather", [node], consts={"index": self.constant(offsets)})
