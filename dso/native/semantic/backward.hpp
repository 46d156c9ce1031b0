// BackwardSet: what a part of the expression would have to be worth for the whole to be worth y.
#pragma once
#include <vector>

#include "semantic/sameness.hpp"

namespace dso::semantic {

// A context with a hole: its parent's values are form(hole, other) or form(other, hole).
struct Context {
    int32_t parent;  // -1 for y itself
    uint32_t other;  // entry beside the hole, kNone for a unary form
    uint16_t form;
    uint8_t slot;  // of the hole
    uint8_t n_binary;
    uint16_t cost;
    Sameness sameness;  // of what is wanted in the hole and its values, which are a normal form
    rules::Dimension dimension;  // of what is wanted there
};

struct BackwardLimits {
    size_t max_contexts;
    size_t first_partners, second_partners;  // cheapest entries that y is combined with
    int max_cost;
};

// In order of cost, one context per distinct vector, y first. Two arguments beside the hole at
// most. The whole may be wanted up to a factor or an offset; then so are the parts, where they are
// known at all.
class BackwardSet {
public:
    // `wanted` is the dimension of the target: what units forbid is left out.
    BackwardSet(const ValueLibrary& library, const KeyVector& target, const BackwardLimits& limits,
                Sameness sameness = Sameness::exact, rules::Dimension wanted = rules::kAny);

    size_t size() const { return contexts_.size(); }
    const Context& context(size_t i) const { return contexts_[i]; }
    const ValueTable& values() const { return values_; }
    // The dimension of what belongs in the hole.
    rules::Dimension dimension(size_t i) const { return contexts_[i].dimension; }
    uint64_t n_vectors() const { return n_vectors_; }
    Sameness sameness() const { return sameness_; }
    // Contexts of one cost: [begin, end).
    std::pair<size_t, size_t> of_cost(int cost) const;

private:
    void expand(size_t parent, int cost);
    void combine(size_t parent, size_t form, int slot, int partner_cost, int cost, size_t partners);
    bool add(const Context& context, uint64_t key, const KeyVector& values);

    const ValueLibrary& library_;
    const BackwardLimits limits_;
    const Sameness sameness_;
    ValueTable values_;
    KeyIndex index_;
    std::vector<Context> contexts_;
    std::vector<size_t> first_of_cost_;
    uint64_t n_vectors_ = 0;
    std::unique_ptr<ValueBlock> target_, other_, out_;
};

}  // namespace dso::semantic
