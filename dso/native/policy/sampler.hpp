// Draws programs from a network under a RuleSet, and walks given programs through both.
#pragma once
#include <cstdint>
#include <vector>

#include "machine/program.hpp"
#include "policy/network.hpp"
#include "rules/rule_set.hpp"
#include "rules/state.hpp"

namespace dso::policy {

constexpr int kMaxAttempts = 100;  // of one row, before it is left empty

// Which features of a traversal the network sees, as rows of its input table; -1 where unobserved.
struct Observation {
    int action = -1, parent = -1, sibling = -1;  // row of the feature's first symbol
    bool open_slots = false;
    std::vector<int> parent_index;  // (L,): 0 ... for tokens with children, in library order
    int n_parents = 0;

    size_t n_features() const { return (action >= 0) + (parent >= 0) + (sibling >= 0); }
    // The symbol behind the last of each feature stands for "none".
    void write(const rules::TraversalState& state, int32_t* features) const {
        const int none = static_cast<int>(parent_index.size());
        const rules::Frame& frame = state.top();
        if (action >= 0)
            *features++ = action + (state.last() == rules::kEmpty ? none : state.last());
        if (parent >= 0)
            *features++ =
                parent + (frame.parent == rules::kEmpty ? n_parents : parent_index[frame.parent]);
        if (sibling >= 0)
            *features++ = sibling + (frame.sibling == rules::kEmpty ? none : frame.sibling);
    }
};

// Draws `n_rows` programs into tokens (n_rows, n_positions) and lengths. Row i consumes only the
// numbers (key, first_row + i, attempt). A row that meets a dead end starts again, and stays at
// length 0 after kMaxAttempts. Returns how often a row was withdrawn.
template <class T>
int64_t sample(const Network<T>& network, const rules::RuleSet& rules,
               const Observation& observation, uint64_t key, size_t first_row, size_t n_rows,
               size_t n_positions, size_t n_threads, int16_t* tokens, int32_t* lengths);

// Walks each program through the rules: features (B, T, O), open slots (B, T), logit adjustments
// (B, T, L) with -inf where forbidden, and whether every token was allowed. Unfinished programs are
// walked as far as they go.
template <class T>
void replay(const machine::ProgramView& programs, const rules::RuleSet& rules,
            const Observation& observation, int32_t* features, T* open_slots, T* prior,
            bool* allowed);

}  // namespace dso::policy
