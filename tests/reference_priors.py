"""The rules of each prior, slow and obvious: the tree is rebuilt for every token."""

from dataclasses import dataclass, field


@dataclass
class Node:
    """A token, its place, and what stands below it so far."""

    token: int
    parent: "Node | None"
    children: list["Node"] = field(default_factory=list)

    def ancestors(self) -> list[int]:
        """Return the tokens of this node and all above it."""
        above = self.parent.ancestors() if self.parent else []
        return [self.token, *above]


def open_node(tokens, arities) -> Node | None:
    """Return the node whose child comes next, None where the root comes next."""
    nodes: list[Node] = []
    current: Node | None = None
    for token in tokens:
        node = Node(token, current)
        nodes.append(node)
        if current is not None:
            current.children.append(node)
        current = node
        while current is not None and len(current.children) == arities[current.token]:
            current = current.parent
    return current


def n_open(tokens, arities) -> int:
    """Return the number of slots still to fill."""
    return 1 + sum(arities[t] - 1 for t in tokens)


def child(tokens, token, arities, targets, effectors):
    node = open_node(tokens, arities)
    return node is not None and token in targets and node.token in effectors


def lchild(tokens, token, arities, targets, effectors):
    node = open_node(tokens, arities)
    return child(tokens, token, arities, targets, effectors) and not node.children


def rchild(tokens, token, arities, targets, effectors):
    node = open_node(tokens, arities)
    return child(tokens, token, arities, targets, effectors) and bool(node.children)


def uchild(tokens, token, arities, targets, effectors):
    node = open_node(tokens, arities)
    if not child(tokens, token, arities, targets, effectors):
        return False
    is_last = len(node.children) == arities[node.token] - 1
    return is_last and all(c.token == token for c in node.children)


def descendant(tokens, token, arities, targets, effectors):
    node = open_node(tokens, arities)
    return (
        node is not None
        and token in targets
        and any(above in effectors for above in node.ancestors())
    )


def sibling(tokens, token, arities, targets, effectors):
    node = open_node(tokens, arities)
    if node is None or not node.children:
        return False
    others = {child.token for child in node.children}
    return bool(
        (token in targets and others & set(effectors))
        or (token in effectors and others & set(targets))
    )


RELATIONSHIPS = {
    "child": child,
    "descendant": descendant,
    "sibling": sibling,
    "uchild": uchild,
    "lchild": lchild,
    "rchild": rchild,
}


def length(tokens, token, arities, low, high):
    """Mask what cannot end within `high` tokens or would end before `low`."""
    if not tokens:
        return arities[token] == 0 or 1 + arities[token] > high
    chosen = len(tokens) + 1
    still_open = n_open(tokens, arities) - 1 + arities[token]
    return chosen + still_open > high or (still_open == 0 and chosen < low)


def repeat_at_most(tokens, token, arities, group, most):
    return token in group and sum(t in group for t in tokens) >= most


def completable(tokens, arities, group, least, high) -> bool:
    """Search whether some completion within `high` tokens has at least `least` of the group."""
    have = sum(t in group for t in tokens)
    reached = {(n_open(tokens, arities), min(have, least))}
    kinds = {(arity, t in group) for t, arity in enumerate(arities)}
    for _ in range(high - len(tokens) + 1):
        if (0, least) in reached:
            return True
        reached |= {
            (slots - 1 + arity, min(count + member, least))
            for slots, count in reached
            if slots > 0
            for arity, member in kinds
        }
        reached = {(slots, count) for slots, count in reached if slots <= high}
    return False


def tree(tokens, arities) -> list:
    """Return [token, child, ...] of a complete traversal."""

    def take(at):
        node, at = [tokens[at]], at + 1
        for _ in range(arities[node[0]]):
            child, at = take(at)
            node.append(child)
        return node, at

    return take(0)[0]


def size(node, costs) -> int:
    return costs[node[0]] + sum(size(c, costs) for c in node[1:])


def depth(node) -> int:
    return 1 + max(map(depth, node[1:]), default=0)


def nodes(node):
    yield node
    for c in node[1:]:
        yield from nodes(c)


def arguments_fit(node, costs, limits) -> bool:
    """Tell whether each argument is within `limits`[token][slot]; -1 is none."""
    return all(
        limits[n[0]][slot] < 0 or size(c, costs) <= limits[n[0]][slot]
        for n in nodes(node)
        for slot, c in enumerate(n[1:])
    )


def deepest_nesting(node, outer, inner) -> int:
    """Return the most tokens of `inner` on a path below a token of `outer`."""

    def on_path(n):
        return (n[0] in inner) + max(map(on_path, n[1:]), default=0)

    return max(
        (max(map(on_path, n[1:]), default=0) for n in nodes(node) if n[0] in outer), default=0
    )
