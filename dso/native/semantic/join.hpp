// JoinSearch: pairs of entries that together have the values some part of the expression needs.
#pragma once
#include <cmath>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "machine/data.hpp"
#include "machine/vm.hpp"
#include "semantic/backward.hpp"
#include "semantic/expression.hpp"

namespace dso::semantic {

// Decides whether a program is an answer: the rules allow it, and it has the target's values on
// every row, up to a factor or an offset where that is the same sameness.
class Verifier {
public:
    // `sample` is asked first; it has rows of the data. `prefix` are tokens that stand before every
    // program: those of the factor or the offset.
    Verifier(const machine::Library& library, const rules::RuleSet& rules,
             const machine::Data& sample, const machine::Data& data, double tolerance,
             Sameness sameness, std::vector<int16_t> prefix);
    bool accepts(const std::vector<int16_t>& tokens);

private:
    bool is_allowed(const std::vector<int16_t>& tokens);
    bool matches(machine::Machine& machine, const machine::Data& data,
                 const std::vector<int16_t>& tokens);
    bool is_same(const double* y);
    bool is_near(double value, double y) const {
        return std::fabs(value - y) <= tolerance_ * (std::fabs(y) + 0.01 * scale_);
    }

    machine::Machine sample_machine_, machine_;
    const machine::Data &sample_, &data_;
    rules::TraversalState state_;
    double tolerance_, scale_ = 0;
    Sameness sameness_;
    std::vector<int16_t> prefix_;
    std::vector<double> values_;  // of a program, where all are needed at once
};

struct Hit {
    std::vector<int16_t> tokens;
    int cost;
};

struct JoinLimits {
    uint64_t max_lookups;
    size_t max_hits;
    IsOver is_over;
};

class JoinSearch {
public:
    JoinSearch(const ValueLibrary& library, const BackwardSet& backward);

    // Looks up everything of cost(context) + cost(entry) = `cost`, and the contexts of that cost
    // themselves. False where a limit ended it early.
    bool run_layer(int cost, const JoinLimits& limits, Verifier& verifier, std::vector<Hit>& hits);
    uint64_t n_lookups() const { return n_lookups_; }
    uint64_t n_verified() const { return n_verified_; }
    // The cheapest way to write y itself as an entry or as two, the first of which is among the
    // first `n_partners`; false if there is none. Nothing is verified beyond the key rows.
    bool write_cheapest(size_t n_partners, std::vector<int16_t>& tokens);
    // Whether any pair is left at this cost or above.
    bool has_layer(int cost) const;

private:
    void look_up_context(size_t context);
    void look_up_pairs(size_t context, size_t begin, size_t n);
    void gather(machine::Op op, rules::Dimension wanted, size_t begin, size_t n);
    const ClassIndex* classes_of(size_t context) const;
    void judge(int cost, Verifier& verifier, std::vector<Hit>& hits);

    const ValueLibrary& library_;
    const BackwardSet& backward_;
    std::unique_ptr<const ClassIndex> scale_, shift_;  // unless all contexts are exact
    ExpressionWriter writer_;
    ValueBlock block_;
    std::vector<uint32_t> gathered_;  // the entries whose values it has
    std::vector<Join> joins_;
    std::vector<int16_t> tokens_;
    std::unordered_set<uint64_t> judged_;
    uint64_t n_lookups_ = 0, n_verified_ = 0;
};

// The cheapest way to write each vector; empty where there is none. See JoinSearch::write_cheapest.
std::vector<std::vector<int16_t>> join_cheapest(const ValueLibrary& library,
                                                const std::vector<KeyVector>& wanted,
                                                size_t n_partners);

// Appends the entry that has the target's values, if there is one: one look-up.
void find_entry(const ValueLibrary& library, const KeyVector& target, size_t context,
                std::vector<Join>& joins);

// Appends the pairs that have the target's values, one of each among the entries [begin, begin +
// n), n <= kBlock: 4 n look-ups.
void find_pairs(const ValueLibrary& library, const KeyVector& target, size_t context, size_t begin,
                size_t n, std::vector<Join>& joins);

// The same up to a factor or an offset, as the classes are.
void find_entry(const ClassIndex& classes, const KeyVector& target, size_t context,
                std::vector<Join>& joins);

// The pairs for one of the operators, one of each among the entries the values of which are in the
// block: a look-up for each. `classes` are null where values are wanted as they are.
void find_pairs(const ValueLibrary& library, const ClassIndex* classes, machine::Op op,
                const KeyVector& target, size_t context, const std::vector<uint32_t>& entries,
                ValueBlock& block, std::vector<Join>& joins);

// Keys of target - s, target + s, target * s, target / s for n vectors s: 4 x kBlock.
void hash_joins(const KeyVector& target, const double* const rows[kKeyRows], size_t n,
                Resolution resolution, uint64_t (*keys)[kBlock]);

}  // namespace dso::semantic
