// Sampling one token per call, all rows at the same position, for policies and priors that are not
// native: observe, compute logits anywhere, choose. With the native network's logits it draws what
// the fused loop of sampler.hpp draws.
#pragma once
#include <cstdint>
#include <vector>

#include "policy/draw.hpp"
#include "policy/sampler.hpp"
#include "rules/rule_set.hpp"
#include "rules/state.hpp"

namespace dso::policy {

template <class T>
class Stepper {
public:
    // Row i draws from the stream (key, rows[i], attempt).
    Stepper(const rules::RuleSet& rules, uint64_t key, const std::vector<uint32_t>& rows,
            uint32_t attempt, size_t n_positions)
        : rules_(rules),
          n_positions_(n_positions),
          states_(rows.size(), rules::TraversalState(rules_)),
          streams_(rows.size()),
          active_(rows.size(), true),
          n_active_(rows.size()),
          tokens(rows.size() * n_positions, machine::kPad),
          lengths(rows.size(), 0),
          draw_(rules.n_tokens()),
          logits_(1, rules.n_tokens()) {
        for (size_t b = 0; b < rows.size(); ++b) streams_[b].start(key, rows[b], attempt);
    }
    Stepper(const Stepper&) = delete;

    const rules::RuleSet& rules() const { return rules_; }
    size_t n_rows() const { return states_.size(); }
    size_t n_tokens() const { return rules_.n_tokens(); }
    size_t n_positions() const { return n_positions_; }
    size_t n_active() const { return n_active_; }

    // features (B, O) and open slots (B,); those of finished rows mean nothing.
    void observe(const Observation& observation, int32_t* features, T* open_slots) const {
        for (size_t b = 0; b < n_rows(); ++b) {
            observation.write(states_[b], features + b * observation.n_features());
            open_slots[b] = static_cast<T>(states_[b].n_open());
        }
    }

    // Draws a token for every active row from logits (B, L) and the rules. A row at a dead end
    // stops with length 0.
    void choose(const T* logits) {
        for (size_t b = 0; b < n_rows(); ++b) {
            if (!active_[b]) continue;
            rules::TraversalState& state = states_[b];
            const auto position = static_cast<size_t>(state.n_chosen());
            std::copy_n(logits + b * n_tokens(), n_tokens(), logits_.row(0));
            const int16_t token = position < n_positions_
                                      ? draw_.draw(state, streams_[b], logits_.row(0))
                                      : machine::kPad;
            if (token != machine::kPad) {
                tokens[b * n_positions_ + position] = token;
                state.push(token);
                if (!state.finished()) continue;
                lengths[b] = state.n_chosen();
            }
            active_[b] = false;
            --n_active_;
        }
    }

private:
    const rules::RuleSet rules_;
    size_t n_positions_;
    std::vector<rules::TraversalState> states_;
    std::vector<RowStream> streams_;
    std::vector<bool> active_;
    size_t n_active_;

public:
    std::vector<int16_t> tokens;   // (B, T)
    std::vector<int32_t> lengths;  // (B,)

private:
    TokenDraw<T> draw_;
    Matrix<T> logits_;
};

}  // namespace dso::policy
