#include "policy/sampler.hpp"

#include <algorithm>
#include <atomic>
#include <limits>

#include "policy/draw.hpp"
#include "threads.hpp"

namespace dso::policy {
namespace {

constexpr size_t kSampleLanes = 16;  // rows advanced together; a finished one makes room at once

// One row on its way.
struct Lane {
    explicit Lane(const rules::RuleSet& rules) : state(rules) {}
    rules::TraversalState state;
    RowStream stream;
    size_t row = 0;
    int attempt = 0;
    bool idle = false;  // no row is left for it; its network steps go on unseen
};

// Rows advance together, a few lanes at a time; a lane whose row is finished takes the next one.
template <class T>
class SamplingRun {
public:
    SamplingRun(const Network<T>& network, const rules::RuleSet& rules,
                const Observation& observation, uint64_t key, size_t first_row, size_t n_rows,
                size_t n_positions, int16_t* tokens, int32_t* lengths)
        : network_(network),
          observation_(observation),
          key_(key),
          first_row_(first_row),
          n_rows_(n_rows),
          n_positions_(n_positions),
          tokens_(tokens),
          lengths_(lengths),
          lanes_(std::min(kSampleLanes, n_rows), Lane(rules)),
          state_(network.make_state(lanes_.size())),
          features_(lanes_.size() * observation.n_features()),
          open_slots_(lanes_.size()),
          draw_(network.n_tokens()) {}

    int64_t run() {
        for (size_t slot = 0; slot < lanes_.size(); ++slot) load(slot);
        while (n_idle_ < lanes_.size()) {
            for (size_t slot = 0; slot < lanes_.size(); ++slot) {
                observation_.write(lanes_[slot].state,
                                   features_.data() + slot * observation_.n_features());
                open_slots_[slot] = static_cast<T>(lanes_[slot].state.n_open());
            }
            network_.step(state_, lanes_.size(), features_.data(), observation_.n_features(),
                          observation_.open_slots ? open_slots_.data() : nullptr);
            for (size_t slot = 0; slot < lanes_.size(); ++slot)
                if (!lanes_[slot].idle) advance(slot);
        }
        return n_withdrawn_;
    }

private:
    void load(size_t slot) {
        Lane& lane = lanes_[slot];
        if (next_row_ == n_rows_) {
            lane.state.restart();
            lane.idle = true;
            ++n_idle_;
            return;
        }
        lane.row = next_row_++;
        start(slot, 0);
    }

    void start(size_t slot, int attempt) {
        Lane& lane = lanes_[slot];
        lane.attempt = attempt;
        lane.stream.start(key_, static_cast<uint32_t>(first_row_ + lane.row),
                          static_cast<uint32_t>(attempt));
        lane.state.restart();
        network_.reset_row(state_, slot);
    }

    void advance(size_t slot) {
        Lane& lane = lanes_[slot];
        const auto position = static_cast<size_t>(lane.state.n_chosen());
        const int16_t token = position < n_positions_
                                  ? draw_.draw(lane.state, lane.stream, state_.logits.row(slot))
                                  : machine::kPad;
        if (token == machine::kPad) {
            withdraw(slot);
            return;
        }
        tokens_[lane.row * n_positions_ + position] = token;
        lane.state.push(token);
        if (!lane.state.finished()) return;
        lengths_[lane.row] = lane.state.n_chosen();
        load(slot);
    }

    void withdraw(size_t slot) {
        Lane& lane = lanes_[slot];
        ++n_withdrawn_;
        std::fill_n(tokens_ + lane.row * n_positions_, n_positions_, machine::kPad);
        if (lane.attempt + 1 < kMaxAttempts) {
            start(slot, lane.attempt + 1);
            return;
        }
        lengths_[lane.row] = 0;
        load(slot);
    }

    const Network<T>& network_;
    const Observation& observation_;
    const uint64_t key_;
    const size_t first_row_, n_rows_, n_positions_;
    int16_t* tokens_;
    int32_t* lengths_;
    std::vector<Lane> lanes_;
    typename Network<T>::State state_;
    std::vector<int32_t> features_;
    std::vector<T> open_slots_;
    TokenDraw<T> draw_;
    size_t next_row_ = 0, n_idle_ = 0;
    int64_t n_withdrawn_ = 0;
};

}  // namespace

template <class T>
int64_t sample(const Network<T>& network, const rules::RuleSet& rules,
               const Observation& observation, uint64_t key, size_t first_row, size_t n_rows,
               size_t n_positions, size_t n_threads, int16_t* tokens, int32_t* lengths) {
    n_threads = std::max<size_t>(1, std::min(n_threads, n_rows / kSampleLanes));
    std::atomic<int64_t> n_withdrawn{0};
    const auto draw = [&](size_t, size_t begin, size_t end) {
        n_withdrawn +=
            SamplingRun<T>(network, rules, observation, key, first_row + begin, end - begin,
                           n_positions, tokens + begin * n_positions, lengths + begin)
                .run();
    };
    parallel_for(n_rows, n_threads, std::max<size_t>(1, (n_rows + n_threads - 1) / n_threads),
                 draw);
    return n_withdrawn;
}

template <class T>
void replay(const machine::ProgramView& programs, const rules::RuleSet& rules,
            const Observation& observation, int32_t* features, T* open_slots, T* prior,
            bool* allowed) {
    const size_t n_tokens = rules.n_tokens(), n_features = observation.n_features();
    TokenDraw<T> draw(n_tokens);
    rules::TraversalState state(rules);
    for (size_t b = 0; b < programs.n_programs; ++b) {
        state.restart();
        allowed[b] = true;
        for (int t = 0; t < programs.lengths[b] && !state.finished(); ++t) {
            const size_t at = b * programs.n_positions + static_cast<size_t>(t);
            const int16_t token = programs.tokens[at];
            observation.write(state, features + at * n_features);
            open_slots[at] = static_cast<T>(state.n_open());
            T* logits = prior + at * n_tokens;
            draw.add_prior(state, logits);
            if (logits[token] == kNever<T>) allowed[b] = false;
            state.push(token);
        }
        if (!state.finished() || state.n_chosen() != programs.lengths[b]) allowed[b] = false;
    }
}

template int64_t sample<float>(const Network<float>&, const rules::RuleSet&, const Observation&,
                               uint64_t, size_t, size_t, size_t, size_t, int16_t*, int32_t*);
template int64_t sample<double>(const Network<double>&, const rules::RuleSet&, const Observation&,
                                uint64_t, size_t, size_t, size_t, size_t, int16_t*, int32_t*);
template void replay<float>(const machine::ProgramView&, const rules::RuleSet&, const Observation&,
                            int32_t*, float*, float*, bool*);
template void replay<double>(const machine::ProgramView&, const rules::RuleSet&, const Observation&,
                             int32_t*, double*, double*, bool*);

}  // namespace dso::policy
