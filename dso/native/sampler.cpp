#include "sampler.hpp"

#include <algorithm>
#include <limits>

#include "rng.hpp"

namespace dso {
namespace {

constexpr size_t kSampleLanes = 16;  // rows advanced together; a finished one makes room at once

template <class T>
constexpr T kNever = -std::numeric_limits<T>::infinity();

template <class T>
void forbid(const uint64_t* words, size_t n_tokens, T* logits) {
    for (size_t token = 0; token < n_tokens; ++token)
        logits[token] = words[token >> 6] >> (token & 63) & 1 ? kNever<T> : logits[token];
}

// One row on its way.
struct Lane {
    explicit Lane(const RuleSet& rules) : state(rules) {}
    TraversalState state;
    RowStream stream;
    size_t row = 0;
    int attempt = 0;
};

}  // namespace

template <class T>
int64_t sample(const Network<T>& network, const RuleSet& rules, const Observation& observation,
               uint64_t key, size_t first_row, size_t n_rows, size_t n_positions, int16_t* tokens,
               int32_t* lengths) {
    const size_t n_tokens = network.n_tokens(), n_features = observation.n_features();
    std::vector<Lane> lanes(std::min(kSampleLanes, n_rows), Lane(rules));
    auto state = network.make_state(lanes.size());
    Matrix<T> soft(1, n_tokens), weights(1, n_tokens);
    std::vector<int32_t> features(lanes.size() * n_features);
    std::vector<T> open_slots(lanes.size());
    std::vector<uint64_t> forbidden((n_tokens + 63) / 64);
    int64_t n_withdrawn = 0;
    size_t next_row = 0;

    const auto start = [&](Lane& lane, size_t slot, int attempt) {
        lane.attempt = attempt;
        lane.stream.start(key, static_cast<uint32_t>(first_row + lane.row),
                          static_cast<uint32_t>(attempt));
        lane.state.restart();
        network.reset_row(state, slot);
    };
    const auto load = [&](Lane& lane, size_t slot) {
        lane.row = next_row++;
        start(lane, slot, 0);
    };
    // Draws the lane's next token, or kPad at a dead end.
    const auto draw = [&](Lane& lane, T* logits) {
        lane.state.forbidden(forbidden.data());
        lane.state.soft_logits(soft.row(0));
        for (size_t token = 0; token < n_tokens; ++token) logits[token] += soft.row(0)[token];
        forbid(forbidden.data(), n_tokens, logits);
        std::fill(logits + n_tokens, logits + state.logits.n_cols, kNever<T>);
        T* weight = weights.row(0);
        exponentiate<T>(logits, state.logits.n_cols, weight);
        T total = 0;
        for (size_t token = 0; token < n_tokens; ++token) total += weight[token];
        if (!(total > 0)) return kPad;
        const T target =
            static_cast<T>(lane.stream.uniform(static_cast<uint32_t>(lane.state.n_chosen()))) * total;
        T below = 0;
        int16_t chosen = kPad;
        for (size_t token = 0; token < n_tokens; ++token) {
            if (!(weight[token] > 0)) continue;
            chosen = static_cast<int16_t>(token);
            if ((below += weight[token]) > target) break;
        }
        return chosen;
    };

    for (size_t slot = 0; slot < lanes.size(); ++slot) load(lanes[slot], slot);
    std::vector<bool> idle(lanes.size());
    for (size_t n_idle = 0; n_idle < lanes.size();) {
        for (size_t slot = 0; slot < lanes.size(); ++slot) {
            observation.write(lanes[slot].state, features.data() + slot * n_features);
            open_slots[slot] = static_cast<T>(lanes[slot].state.n_open());
        }
        network.step(state, lanes.size(), features.data(), n_features,
                     observation.open_slots ? open_slots.data() : nullptr);
        for (size_t slot = 0; slot < lanes.size(); ++slot) {
            if (idle[slot]) continue;
            Lane& lane = lanes[slot];
            const int16_t token = draw(lane, state.logits.row(slot));
            const size_t position = static_cast<size_t>(lane.state.n_chosen());
            if (token == kPad || position >= n_positions) {
                ++n_withdrawn;
                std::fill_n(tokens + lane.row * n_positions, n_positions, kPad);
                if (lane.attempt + 1 < kMaxAttempts) {
                    start(lane, slot, lane.attempt + 1);
                    continue;
                }
                lengths[lane.row] = 0;
            } else {
                tokens[lane.row * n_positions + position] = token;
                lane.state.push(token);
                if (!lane.state.finished()) continue;
                lengths[lane.row] = lane.state.n_chosen();
            }
            if (next_row < n_rows) {
                load(lane, slot);
            } else {
                lane.state.restart();  // its steps go on unseen until the other lanes are done
                idle[slot] = true;
                ++n_idle;
            }
        }
    }
    return n_withdrawn;
}

template <class T>
void replay(const ProgramView& programs, const RuleSet& rules, const Observation& observation,
            int32_t* features, T* open_slots, T* prior, bool* allowed) {
    const size_t n_tokens = rules.n_tokens(), n_features = observation.n_features();
    std::vector<uint64_t> forbidden((n_tokens + 63) / 64);
    TraversalState state(rules);
    for (size_t b = 0; b < programs.n_programs; ++b) {
        state.restart();
        allowed[b] = true;
        for (int t = 0; t < programs.lengths[b] && !state.finished(); ++t) {
            const size_t at = b * programs.n_positions + static_cast<size_t>(t);
            const int16_t token = programs.tokens[at];
            observation.write(state, features + at * n_features);
            open_slots[at] = static_cast<T>(state.n_open());
            T* logits = prior + at * n_tokens;
            state.soft_logits(logits);
            state.forbidden(forbidden.data());
            forbid(forbidden.data(), n_tokens, logits);
            if (logits[token] == kNever<T>) allowed[b] = false;
            state.push(token);
        }
        if (!state.finished() || state.n_chosen() != programs.lengths[b]) allowed[b] = false;
    }
}

int first_violation(const int16_t* tokens, int length, TraversalState& state) {
    state.restart();
    for (int t = 0; t < length; ++t) {
        if (state.finished() || !state.allows(tokens[t])) return t;
        state.push(tokens[t]);
    }
    return state.finished() ? -1 : length;
}

template int64_t sample<float>(const Network<float>&, const RuleSet&, const Observation&, uint64_t,
                               size_t, size_t, size_t, int16_t*, int32_t*);
template int64_t sample<double>(const Network<double>&, const RuleSet&, const Observation&, uint64_t,
                                size_t, size_t, size_t, int16_t*, int32_t*);
template void replay<float>(const ProgramView&, const RuleSet&, const Observation&, int32_t*, float*,
                            float*, bool*);
template void replay<double>(const ProgramView&, const RuleSet&, const Observation&, int32_t*,
                             double*, double*, bool*);

}  // namespace dso
