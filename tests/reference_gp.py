"""The operators of breeding on nested tuples: slow, and obvious.

A tree is ``(token, number, child, child, ...)``; the number is None for tokens that carry none, and
for those whose number is to be fitted.
"""

from collections.abc import Iterator, Sequence
from itertools import product

Tree = tuple
Path = tuple[int, ...]


def tree_of(tokens: Sequence[int], arities, numbers: Sequence[float | None]) -> Tree:
    """Build the tree of a prefix sequence; `numbers` has one per token."""

    def build(at: int) -> tuple[Tree, int]:
        children = []
        end = at + 1
        for _ in range(arities[tokens[at]]):
            child, end = build(end)
            children.append(child)
        return (int(tokens[at]), numbers[at], *children), end

    tree, end = build(0)
    assert end == len(tokens)
    return tree


def paths(tree: Tree) -> Iterator[Path]:
    """List the way to every node, root first."""
    yield ()
    for i, child in enumerate(tree[2:]):
        for path in paths(child):
            yield (i, *path)


def at(tree: Tree, path: Path) -> Tree:
    """Return the subtree that a path leads to."""
    return at(tree[2 + path[0]], path[1:]) if path else tree


def put(tree: Tree, path: Path, new: Tree) -> Tree:
    """Return a copy with another subtree at a path."""
    if not path:
        return new
    place = 2 + path[0]
    return (*tree[:place], put(tree[place], path[1:], new), *tree[place + 1 :])


def depth(tree: Tree) -> int:
    """Return the number of edges from the root to the deepest leaf."""
    return max((1 + depth(child) for child in tree[2:]), default=0)


def crossovers(one: Tree, other: Tree) -> set[Tree]:
    """Return all that one-point crossover can make: neither root takes part."""
    return {
        put(one, path, at(other, source))
        for path in paths(one)
        if path
        for source in paths(other)
        if source
    }


def replacements(tree: Tree, arities) -> set[Tree]:
    """Return all that a change of one token for another of its arity can make."""
    return {
        put(tree, path, (token, None, *at(tree, path)[2:]))
        for path in paths(tree)
        for token in range(len(arities))
        if arities[token] == arities[at(tree, path)[0]] and token != at(tree, path)[0]
    }


def insertions(tree: Tree, arities) -> set[Tree]:
    """Return all that an operator above one node can make, its other arguments terminals."""
    terminals = [(token, None) for token in range(len(arities)) if arities[token] == 0]
    made = set()
    for path in paths(tree):
        for token, arity in enumerate(arities):
            for slot in range(arity):
                for others in product(terminals, repeat=arity - 1):
                    children = [*others[:slot], at(tree, path), *others[slot:]]
                    made.add(put(tree, path, (token, None, *children)))
    return made


def shrinkings(tree: Tree) -> set[Tree]:
    """Return all that putting an operator's argument in its place can make."""
    return {put(tree, path, child) for path in paths(tree) for child in at(tree, path)[2:]}


def full_trees(arities, n_levels: int) -> set[Tree]:
    """Return all full trees of a depth."""
    if n_levels == 0:
        return {(token, None) for token in range(len(arities)) if arities[token] == 0}
    below = full_trees(arities, n_levels - 1)
    return {
        (token, None, *children)
        for token, arity in enumerate(arities)
        if arity > 0
        for children in product(below, repeat=arity)
    }


def subtree_mutations(tree: Tree, arities, greatest_depth: int) -> set[Tree]:
    """Return all that a random full subtree in place of another can make."""
    new = set().union(*(full_trees(arities, n) for n in range(greatest_depth + 1)))
    return {put(tree, path, subtree) for path in paths(tree) for subtree in new}
