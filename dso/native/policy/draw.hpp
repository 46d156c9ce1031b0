// From the logits of one step to the token that is drawn.
#pragma once
#include <algorithm>
#include <limits>
#include <vector>

#include "machine/program.hpp"
#include "policy/network.hpp"
#include "rng.hpp"
#include "rules/state.hpp"

namespace dso::policy {

template <class T>
constexpr T kNever = -std::numeric_limits<T>::infinity();

template <class T>
class TokenDraw {
public:
    explicit TokenDraw(size_t n_tokens)
        : n_tokens_(n_tokens), weights_(1, n_tokens), forbidden_((n_tokens + 63) / 64) {}

    // Adds what the rules prefer to logits (L,), and -inf where they forbid.
    void add_prior(const rules::TraversalState& state, T* logits) {
        state.add_soft_logits(logits);
        state.forbidden(forbidden_.data());
        for (size_t token = 0; token < n_tokens_; ++token)
            logits[token] = forbidden_[token >> 6] >> (token & 63) & 1 ? kNever<T> : logits[token];
    }

    // The next token by its probability under logits and rules, kPad where none is allowed. The
    // logits are overwritten, over their padded width.
    int16_t draw(const rules::TraversalState& state, RowStream& stream, T* logits) {
        add_prior(state, logits);
        std::fill(logits + n_tokens_, logits + weights_.n_cols, kNever<T>);
        T* weight = weights_.row(0);
        exponentiate<T>(logits, weights_.n_cols, weight);
        T total = 0;
        for (size_t token = 0; token < n_tokens_; ++token) total += weight[token];
        if (!(total > 0)) return machine::kPad;
        const auto step = static_cast<uint32_t>(state.n_chosen());
        const T target = static_cast<T>(stream.uniform(step)) * total;
        T below = 0;
        int16_t chosen = machine::kPad;
        for (size_t token = 0; token < n_tokens_; ++token) {
            if (!(weight[token] > 0)) continue;
            chosen = static_cast<int16_t>(token);
            if ((below += weight[token]) > target) break;
        }
        return chosen;
    }

private:
    size_t n_tokens_;
    Matrix<T> weights_;
    std::vector<uint64_t> forbidden_;
};

}  // namespace dso::policy
