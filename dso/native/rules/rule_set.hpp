// RuleSet: what a prior compiles to. Tables say which tokens may not come next, given the open node
// (parent, slot, sibling), its ancestors, counts of tokens so far, and the numbers of tokens chosen
// and slots open; soft priors add to the logits. Each prior is a RuleSet of its own, so that what
// it masks can be attributed; the sampler walks the merger of them all.
#pragma once
#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "rules/units.hpp"

namespace dso::rules {

constexpr int kEmpty = -1;           // no parent, or no sibling
constexpr int kUnlimited = 1 << 20;  // length limit where none is set
constexpr int kMaxLevels = 4096;     // deepest limit that is looked ahead to
constexpr size_t kMaxGroups = 64;    // ancestor groups and counters are bits of one word

// A set of tokens, one bit each.
class TokenSet {
public:
    TokenSet() = default;
    explicit TokenSet(size_t n_tokens) : words_((n_tokens + 63) / 64) {}
    bool has(int token) const { return words_[token >> 6] >> (token & 63) & 1; }
    void insert(int token) { words_[token >> 6] |= 1ull << (token & 63); }
    void erase(int token) { words_[token >> 6] &= ~(1ull << (token & 63)); }
    bool empty() const {
        for (uint64_t word : words_)
            if (word) return false;
        return true;
    }
    const uint64_t* words() const { return words_.data(); }
    size_t n_words() const { return words_.size(); }
    TokenSet& operator|=(const TokenSet& other) {
        for (size_t w = 0; w < words_.size(); ++w) words_[w] |= other.words_[w];
        return *this;
    }

private:
    std::vector<uint64_t> words_;
};

// Once `threshold` tokens of a counter's group are present, `forbidden` may not be chosen.
struct CountLimit {
    int counter, threshold;
    TokenSet forbidden;
};

// What it takes at least to complete a program that still lacks members of a group.
//
// Every open slot takes a terminal in the end. Where terminals are members each slot brings one;
// what is lacking beyond that comes from operators, each of which costs as many tokens as it has
// arguments and gains the slots that it adds, and itself where it is a member. Sizes are told
// likewise, each slot taking the cheapest terminal.
struct Completion {
    bool terminal_members = false;
    std::vector<int> operator_costs;  // tokens for a gain of 0, 1, ...
    std::vector<int> operator_sizes;  // size for a gain of 0, 1, ...; empty without a size limit
    std::vector<int> most;            // members that k levels can hold; empty without a depth limit

    int shortest(int n_open, int missing) const {
        return n_open + least(operator_costs, n_open, missing);
    }
    // Size beyond that of a cheapest terminal in every open slot.
    int smallest_extra(int n_open, int missing) const {
        return least(operator_sizes, n_open, missing);
    }

private:
    int least(const std::vector<int>& costs, int n_open, int missing) const {
        if (missing <= 0) return 0;
        if (n_open == 0) return kUnlimited + 1;
        return costs[std::max(missing - (terminal_members ? n_open : 0), 0)];
    }
};

// At least `minimum` tokens of a counter's group must be present at the end.
struct CountRequirement {
    int counter, minimum;
    TokenSet group;
    Completion completion;
};

// Every token of the group, all terminals, must be present at the end.
struct CoverRequirement {
    TokenSet group;
    int n_members;
    Completion completion;
};

// On any path below a token of `outer` there are at most `limit` tokens of `inner`. Ancestor bit
// first_bit + j says that j of them stand below such a token already.
struct NestingLimit {
    TokenSet outer, inner;
    int limit, first_bit;
};

// `targets` need all of these ancestor groups above them.
struct AncestorRequirement {
    TokenSet targets;
    uint64_t groups;
};

// What is added to the logits depends on classes of the parent and of the sibling before. The last
// entry of the classes stands for none.
struct ContextLogits {
    std::vector<int> parent_class, sibling_class;  // (L + 1,)
    int n_parents, n_siblings;
    std::vector<double> table;  // (n_parents, n_siblings, L)

    const double* row(int parent, int sibling) const {
        const size_t n_tokens = parent_class.size() - 1;
        const int p = parent_class[parent == kEmpty ? n_tokens : parent];
        const int s = sibling_class[sibling == kEmpty ? n_tokens : sibling];
        return table.data() + n_tokens * (p * n_siblings + s);
    }
};

// One step of a form that every program has: a token that is given, or a hole, which a whole
// subtree fills. What comes behind a hole takes `tokens` and `size` at least, beyond one cheapest
// terminal for each slot that is open there.
struct FormStep {
    int token;           // kEmpty for a hole
    TokenSet forbidden;  // in the hole
    int tokens, size;
};

class RuleSet {
public:
    explicit RuleSet(std::vector<int> arities_)
        : arities(std::move(arities_)),
          first(n_tokens()),
          last_chance(n_tokens()),
          terminals(n_tokens()),
          child(2 * (n_tokens() + 1), TokenSet(n_tokens())),
          only_child(n_tokens(), TokenSet(n_tokens())),
          sibling(n_tokens(), TokenSet(n_tokens())),
          ancestor_bits(n_tokens()),
          counter_bits(n_tokens()),
          logits(n_tokens()) {
        for (int arity : arities) max_arity = std::max(max_arity, arity);
        of_arity.assign(max_arity + 1, TokenSet(n_tokens()));
        above_arity.assign(max_arity + 1, TokenSet(n_tokens()));
        for (size_t token = 0; token < n_tokens(); ++token) {
            of_arity[arities[token]].insert(static_cast<int>(token));
            for (int a = 0; a < arities[token]; ++a) above_arity[a].insert(static_cast<int>(token));
        }
        terminals = of_arity[0];
    }

    size_t n_tokens() const { return arities.size(); }
    // Slot 0 is the first child, 1 any later one; the root slot has no parent.
    const TokenSet& child_of(int parent, int slot) const {
        return child[2 * (parent + 1) + (slot > 0)];
    }

    void forbid_first(const TokenSet& targets) { first |= targets; }

    void forbid_child(const TokenSet& parents, const TokenSet& targets, bool first_slot,
                      bool later_slots) {
        for_each(parents, [&](int parent) {
            if (first_slot) child[2 * (parent + 1)] |= targets;
            if (later_slots) child[2 * (parent + 1) + 1] |= targets;
        });
    }

    void forbid_sibling(const TokenSet& siblings, const TokenSet& targets) {
        for_each(siblings, [&](int token) { sibling[token] |= targets; });
    }

    // `targets` may not fill the last slot of `parents` when every child before is the same token.
    void forbid_only_child(const TokenSet& parents, const TokenSet& targets) {
        for_each(parents, [&](int parent) { only_child[parent] |= targets; });
    }

    // Returns the number of the ancestor group.
    int forbid_descendant(const TokenSet& ancestors, const TokenSet& targets) {
        const int group = add_ancestor_group(targets);
        for_each(ancestors, [&](int token) { ancestor_bits[token] |= 1ull << group; });
        return group;
    }

    void limit_nesting(const TokenSet& outer, const TokenSet& inner, int limit) {
        if (limit < 0) throw std::invalid_argument("a nesting limit is negative");
        const int first_bit = static_cast<int>(descendant.size());
        for (int level = 0; level < limit; ++level) add_ancestor_group(TokenSet(n_tokens()));
        add_ancestor_group(inner);
        nestings.push_back({outer, inner, limit, first_bit});
    }

    void require_ancestors(const TokenSet& targets, const std::vector<int>& groups) {
        uint64_t bits = 0;
        for (int group : groups) {
            if (group < 0 || static_cast<size_t>(group) >= descendant.size())
                throw std::invalid_argument("there is no such ancestor group");
            bits |= 1ull << group;
        }
        ancestor_requirements.push_back({targets, bits});
    }

    void limit_count(const TokenSet& group, int threshold, const TokenSet& forbidden) {
        limits.push_back({add_counter(group), threshold, forbidden});
    }

    // Of the group only one kind of token may be present.
    void exclude_each_other(const TokenSet& group) { exclusions.push_back(group); }

    void require_count(const TokenSet& group, int minimum) {
        requirements.push_back({add_counter(group), minimum, group, completion(group, minimum)});
    }

    void require_each(const TokenSet& group) {
        int n_members = 0;
        for_each(group, [&](int) { ++n_members; });
        covers.push_back({group, n_members, completion(group, n_members)});
    }

    void limit_depth(int maximum) {
        max_depth = std::min(max_depth, maximum);
        update_completions();
    }

    // Sizes are sums of token costs. `argument_limits` (L, max_arity) bounds each argument, the
    // whole program is bounded by `maximum`.
    void limit_size(const std::vector<int>& token_costs, int maximum,
                    const std::vector<int>& limits) {
        if (!costs.empty() && costs != token_costs)
            throw std::invalid_argument("size limits count different costs");
        costs = token_costs;
        cheapest_terminal = kUnlimited;
        for_each(terminals,
                 [&](int token) { cheapest_terminal = std::min(cheapest_terminal, costs[token]); });
        max_size = std::min(max_size, maximum);
        argument_limits.resize(n_tokens() * max_arity, kUnlimited);
        for (size_t i = 0; i < argument_limits.size(); ++i)
            argument_limits[i] = std::min(argument_limits[i], limits[i]);
        least_sizes.assign(n_tokens(), 0);
        for (size_t token = 0; token < n_tokens(); ++token) {
            least_sizes[token] = costs[token] + arities[token] * cheapest_terminal;
            for (int slot = 0; slot < arities[token]; ++slot)
                if (argument_limits[token * max_arity + slot] < cheapest_terminal)
                    least_sizes[token] = 2 * kUnlimited;  // nothing fits below it
        }
        update_completions();
    }

    void limit_length(int minimum, int maximum) {
        min_length = std::max(min_length, minimum);
        max_length = std::min(max_length, maximum);
        look_ahead_to(maximum);
        update_completions();
    }

    // The length limit that look-ahead may count on, where another rule enforces it.
    void look_ahead_to(int maximum) {
        horizon = std::min(horizon, maximum);
        count_unit_tokens();
    }

    // The steps stand in prefix order.
    void require_form(std::vector<FormStep> steps) {
        if (!form.empty()) throw std::invalid_argument("a second form");
        form = std::move(steps);
    }

    void forbid_at_last_chance(const TokenSet& targets) { last_chance |= targets; }

    void add_logits(const std::vector<double>& adjustment) {
        for (size_t token = 0; token < n_tokens(); ++token) logits[token] += adjustment[token];
    }

    void add_soft_length(double location, double scale) {
        soft_lengths.push_back({location, scale});
    }

    void add_context_logits(ContextLogits context) {
        const auto check = [&](const std::vector<int>& classes, int n) {
            bool is_fine = classes.size() == n_tokens() + 1;
            for (int c : classes) is_fine = is_fine && 0 <= c && c < n;
            if (!is_fine) throw std::invalid_argument("context classes are (L + 1,), from 0");
        };
        check(context.parent_class, context.n_parents);
        check(context.sibling_class, context.n_siblings);
        if (context.table.size() != n_tokens() * context.n_parents * context.n_siblings)
            throw std::invalid_argument("context logits are (parents, siblings, L)");
        contexts.push_back(std::move(context));
    }

    // A program has consistent units, and those that are wanted of it.
    void require_units(const Units& required) {
        if (units.on()) throw std::invalid_argument("two priors say what units are");
        units = required;
        count_unit_tokens();
    }

    void merge(const RuleSet& other);

    std::vector<int> arities;
    int max_arity = 0, min_length = 0, max_length = kUnlimited, n_counters = 0;
    int horizon = kUnlimited;  // at most max_length
    int max_depth = kUnlimited, max_size = kUnlimited, cheapest_terminal = 0;
    std::vector<int> costs;            // (L,), empty where no size is limited
    std::vector<int> argument_limits;  // (L, max_arity)
    std::vector<int> least_sizes;      // (L,), of each token with the cheapest arguments
    TokenSet first, last_chance, terminals;
    std::vector<TokenSet> child, only_child, sibling, of_arity, above_arity, descendant;
    std::vector<uint64_t> ancestor_bits, counter_bits;  // (L,)
    std::vector<CountLimit> limits;
    std::vector<TokenSet> exclusions;
    std::vector<CountRequirement> requirements;
    std::vector<CoverRequirement> covers;
    std::vector<NestingLimit> nestings;
    std::vector<AncestorRequirement> ancestor_requirements;
    std::vector<FormStep> form;  // empty where programs may have any
    Completion to_min_length;    // members are all tokens
    std::vector<double> logits;  // (L,)
    struct SoftLength {
        double location, scale;
    };
    std::vector<SoftLength> soft_lengths;
    std::vector<ContextLogits> contexts;
    Units units;

    template <class Visit>
    static void for_each(const TokenSet& set, Visit visit) {
        for (size_t w = 0; w < set.n_words(); ++w)
            for (uint64_t word = set.words()[w]; word; word &= word - 1)
                visit(static_cast<int>(64 * w + __builtin_ctzll(word)));
    }

private:
    static int claim(size_t taken, const char* what) {
        if (taken >= kMaxGroups)
            throw std::invalid_argument("at most 64 " + std::string(what) +
                                        " in all priors together");
        return static_cast<int>(taken);
    }
    Completion completion(const TokenSet& group, int most_missing) const {
        Completion result;
        for_each(group, [&](int token) { result.terminal_members |= arities[token] == 0; });
        result.operator_costs =
            cheapest_gains(group, result.terminal_members, most_missing, arities);
        if (!costs.empty() && max_size < kUnlimited) {
            std::vector<int> added(n_tokens());
            for (size_t token = 0; token < n_tokens(); ++token)
                added[token] = costs[token] + (arities[token] - 1) * cheapest_terminal;
            result.operator_sizes =
                cheapest_gains(group, result.terminal_members, most_missing, added);
        }
        if (max_depth <= kMaxLevels) {
            result.most.assign(std::max(max_depth, 0) + 1, 0);
            for (size_t levels = 1; levels < result.most.size(); ++levels)
                for (size_t token = 0; token < n_tokens(); ++token) {
                    if (levels == 1 && arities[token] > 0) continue;
                    const int64_t members = group.has(static_cast<int>(token)) +
                                            int64_t{arities[token]} * result.most[levels - 1];
                    const auto capped = static_cast<int>(std::min<int64_t>(members, kUnlimited));
                    result.most[levels] = std::max(result.most[levels], capped);
                }
        }
        return result;
    }
    // The least sum of `prices` (L,) of operators that bring 0, 1, ... members of a group.
    std::vector<int> cheapest_gains(const TokenSet& group, bool terminal_members, int most_missing,
                                    const std::vector<int>& prices) const {
        std::vector<int> cheapest(std::max(most_missing, 0) + 1, kUnlimited + 1);
        cheapest[0] = 0;
        for (int gained = 1; gained <= most_missing; ++gained)
            for (size_t token = 0; token < n_tokens(); ++token) {
                if (arities[token] == 0) continue;
                const int gain = (terminal_members ? arities[token] - 1 : 0) +
                                 group.has(static_cast<int>(token));
                if (gain == 0) continue;
                const int64_t price = int64_t{prices[token]} + cheapest[std::max(gained - gain, 0)];
                cheapest[gained] = static_cast<int>(std::min<int64_t>(cheapest[gained], price));
            }
        return cheapest;
    }
    // Completions depend on the limits of size and depth, which may come after them.
    void update_completions() {
        if (costs.empty() && max_depth > kMaxLevels) return;
        for (CountRequirement& need : requirements)
            need.completion = completion(need.group, need.minimum);
        for (CoverRequirement& need : covers)
            need.completion = completion(need.group, need.n_members);
        TokenSet all(n_tokens());
        for (size_t token = 0; token < n_tokens(); ++token) all.insert(static_cast<int>(token));
        to_min_length = completion(all, min_length);
    }
    void count_unit_tokens() {
        if (units.on() && horizon < kUnlimited && !units.looks_ahead()) units.count_tokens(horizon);
    }
    int add_ancestor_group(const TokenSet& targets) {
        const int group = claim(descendant.size(), "ancestor groups");
        descendant.push_back(targets);
        return group;
    }
    int add_counter(const TokenSet& group) {
        const uint64_t bit = 1ull << claim(n_counters, "token counters");
        for_each(group, [&](int token) { counter_bits[token] |= bit; });
        return n_counters++;
    }
};

inline void RuleSet::merge(const RuleSet& other) {
    if (other.arities != arities) throw std::invalid_argument("rules of different libraries");
    first |= other.first, last_chance |= other.last_chance;
    for (size_t i = 0; i < child.size(); ++i) child[i] |= other.child[i];
    const int n_groups = static_cast<int>(descendant.size()), counters = n_counters;
    if (n_groups + other.descendant.size() > kMaxGroups || counters + other.n_counters > 64)
        claim(kMaxGroups, "ancestor groups or token counters");
    for (size_t token = 0; token < n_tokens(); ++token) {
        only_child[token] |= other.only_child[token];
        sibling[token] |= other.sibling[token];
        if (n_groups < 64) ancestor_bits[token] |= other.ancestor_bits[token] << n_groups;
        if (counters < 64) counter_bits[token] |= other.counter_bits[token] << counters;
    }
    descendant.insert(descendant.end(), other.descendant.begin(), other.descendant.end());
    for (CountLimit limit : other.limits) limit.counter += counters, limits.push_back(limit);
    for (CountRequirement need : other.requirements)
        need.counter += counters, requirements.push_back(need);
    n_counters += other.n_counters;
    for (NestingLimit nesting : other.nestings)
        nesting.first_bit += n_groups, nestings.push_back(nesting);
    for (AncestorRequirement need : other.ancestor_requirements)
        need.groups <<= n_groups, ancestor_requirements.push_back(need);
    if (!other.form.empty()) require_form(other.form);
    covers.insert(covers.end(), other.covers.begin(), other.covers.end());
    exclusions.insert(exclusions.end(), other.exclusions.begin(), other.exclusions.end());
    max_depth = std::min(max_depth, other.max_depth);
    min_length = std::max(min_length, other.min_length);
    max_length = std::min(max_length, other.max_length);
    look_ahead_to(other.horizon);
    if (!other.costs.empty()) limit_size(other.costs, other.max_size, other.argument_limits);
    update_completions();
    add_logits(other.logits);
    soft_lengths.insert(soft_lengths.end(), other.soft_lengths.begin(), other.soft_lengths.end());
    contexts.insert(contexts.end(), other.contexts.begin(), other.contexts.end());
    if (other.units.on()) require_units(other.units);
}

}  // namespace dso::rules
