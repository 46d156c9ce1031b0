#include "rules/walk.hpp"

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "rules/state.hpp"

namespace dso::rules {

using machine::ProgramView;

void check_tokens(const ProgramView& programs, size_t n_tokens) {
    for (size_t b = 0; b < programs.n_programs; ++b)
        for (int t = 0; t < programs.lengths[b]; ++t)
            if (programs.row(b)[t] < 0 || static_cast<size_t>(programs.row(b)[t]) >= n_tokens)
                throw std::invalid_argument("programs: a token lies outside the library");
}

void first_allowed(const RuleSet& rules, bool* allowed) {
    const TraversalState state(rules);
    for (size_t token = 0; token < rules.n_tokens(); ++token)
        allowed[token] = state.allows(static_cast<int>(token));
}

void count_masked(const ProgramView& programs, const RuleSet& rules, int64_t* counts) {
    check_tokens(programs, rules.n_tokens());
    std::fill_n(counts, rules.n_tokens(), 0);
    std::vector<uint64_t> forbidden((rules.n_tokens() + 63) / 64);
    TraversalState state(rules);
    for (size_t b = 0; b < programs.n_programs; ++b) {
        state.restart();
        for (int t = 0; t < programs.lengths[b] && !state.finished(); ++t) {
            state.forbidden(forbidden.data());
            for (size_t w = 0; w < forbidden.size(); ++w)
                for (uint64_t word = forbidden[w]; word; word &= word - 1) {
                    const size_t token = 64 * w + static_cast<size_t>(__builtin_ctzll(word));
                    if (token < rules.n_tokens()) ++counts[token];
                }
            state.push(programs.row(b)[t]);
        }
    }
}

static int first_violation(const int16_t* tokens, int length, TraversalState& state) {
    state.restart();
    for (int t = 0; t < length; ++t) {
        if (state.finished() || !state.allows(tokens[t])) return t;
        state.push(tokens[t]);
    }
    return state.finished() ? -1 : length;
}

void first_violations(const ProgramView& programs, const RuleSet& rules, int32_t* first) {
    check_tokens(programs, rules.n_tokens());
    TraversalState state(rules);
    for (size_t b = 0; b < programs.n_programs; ++b)
        first[b] = first_violation(programs.row(b), programs.lengths[b], state);
}

}  // namespace dso::rules
