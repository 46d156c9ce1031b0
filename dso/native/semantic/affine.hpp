// Pairs of entries whose sum, product or quotient is what a context wants, up to scale and offset.
//
// y = f(a + k s t) for unknown a and k: what f wants inside, w, and s t have the same
//
//     (w_2 - w_0) / (w_1 - w_0)    and    (w_3 - w_0) / (w_1 - w_0)
//
// There is no look-up of t given s, since neither number is known. So all pairs of some entries are
// computed, and each is looked up among all contexts at once: these are few, and in the cache.
#pragma once
#include "semantic/expression.hpp"

namespace dso::semantic {

struct AffineLimits {
    size_t n_entries;  // the cheapest, that are paired
    uint64_t max_lookups;
    size_t max_found;
    IsOver is_over;
};

struct AffinePairs {
    std::vector<Join> found;  // the cheapest pairs first
    uint64_t n_lookups = 0;
};

AffinePairs find_affine_pairs(const ValueLibrary& library, const BackwardSet& backward,
                              const AffineLimits& limits);

}  // namespace dso::semantic
