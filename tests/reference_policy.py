"""The recurrent policy written the slow, obvious way: one row, one step, torch operations only."""

import torch
from torch import Tensor


def lstm_cell(x, h, c, kernel_x, kernel_h, bias):
    """Step a TensorFlow 1 LSTMCell: gates i, j, f, o, and 1 added to the forget gate."""
    i, j, f, o = torch.chunk(x @ kernel_x + h @ kernel_h + bias[0], 4)
    c = torch.sigmoid(f + 1) * c + torch.sigmoid(i) * torch.tanh(j)
    return torch.sigmoid(o) * torch.tanh(c), c


def gru_cell(x, h, c, kernel_x, kernel_h, bias):
    """Step a TensorFlow 1 GRUCell: gates r, u, and the reset before the product."""
    n = len(h)
    r, u = torch.chunk(
        torch.sigmoid(x @ kernel_x[:, : 2 * n] + h @ kernel_h[:, : 2 * n] + bias[0, : 2 * n]), 2
    )
    candidate = torch.tanh(
        x @ kernel_x[:, 2 * n :] + (r * h) @ kernel_h[:, 2 * n :] + bias[0, 2 * n :]
    )
    return u * h + (1 - u) * candidate, c


CELLS = {"lstm": lstm_cell, "gru": gru_cell}


def observe(tokens, arities) -> tuple[int | None, int | None, int | None, int]:
    """Return previous action, parent, sibling and open slots after a prefix, from scratch."""
    stack: list[list] = []  # [token, children still to come, root of the last completed child]
    for token in tokens:
        if arities[token] > 0:
            stack.append([token, arities[token], None])
            continue
        completed = token
        while stack:
            stack[-1][1] -= 1
            stack[-1][2] = completed
            if stack[-1][1]:
                break
            completed = stack.pop()[0]
    n_open = 1 + sum(arities[token] - 1 for token in tokens)
    action = tokens[-1] if len(tokens) else None
    parent, _, sibling = stack[-1] if stack else (None, 0, None)
    return action, parent, sibling, n_open


def input_vector(policy, tokens) -> Tensor:
    """Return what the network sees after a prefix: codes or embeddings, then the open slots."""
    library, manager = policy.library, policy.state_manager
    weights = policy._parameters
    action, parent, sibling, n_open = observe(tokens, library.arities)
    parents = [t for t in range(library.L) if library.arities[t] > 0]
    symbols = {
        "action": library.L if action is None else action,
        "parent": len(parents) if parent is None else parents.index(parent),
        "sibling": library.L if sibling is None else sibling,
    }
    parts = []
    for name, size in manager.symbols(library).items():
        if manager.embedding:
            parts.append(weights[f"embedding.{name}"][symbols[name]])
        else:
            parts.append(torch.eye(size, dtype=policy.dtype)[symbols[name]])
    if manager.observe_dangling:
        parts.append(torch.tensor([float(n_open)], dtype=policy.dtype))
    return torch.cat(parts)


def log_prob_and_entropy(policy, replay) -> tuple[Tensor, Tensor]:
    """Return what `RNNPolicy.log_prob_and_entropy` returns, by autograd over single steps."""
    weights, cell = policy._parameters, CELLS[policy.cell]
    programs = replay.programs
    zero = torch.zeros((), dtype=policy.dtype)
    log_probs = [[zero] * programs.tokens.shape[1] for _ in range(len(programs))]
    entropies = [list(row) for row in log_probs]
    for b in range(len(programs)):
        tokens = [int(t) for t in programs.row(b)]
        h = [torch.zeros(n, dtype=policy.dtype) for n in policy.units]
        c = [torch.zeros(n, dtype=policy.dtype) for n in policy.units]
        for t, token in enumerate(tokens):
            x = input_vector(policy, tokens[:t])
            for i in range(len(policy.units)):
                h[i], c[i] = cell(
                    x,
                    h[i],
                    c[i],
                    weights[f"layer{i}.input"],
                    weights[f"layer{i}.recurrent"],
                    weights[f"layer{i}.bias"],
                )
                x = h[i]
            logits = x @ weights["dense.kernel"] + weights["dense.bias"][0]
            if policy.action_prob_lowerbound:
                share = policy.action_prob_lowerbound
                floored = (1 - share) * torch.softmax(logits, 0) + share / policy.library.L
                logits = torch.log(floored)
            logits = logits + torch.from_numpy(replay.prior[b, t])
            q = torch.log_softmax(logits, 0)
            log_probs[b][t] = q[token]
            possible = torch.isfinite(q)
            entropies[b][t] = -(q[possible].exp() * q[possible]).sum()
    return (
        torch.stack([torch.stack(row) for row in log_probs]),
        torch.stack([torch.stack(row) for row in entropies]),
    )
