// TraversalState: where one prefix traversal stands, and which tokens may come next.
//
// The open nodes form a stack of frames. `forbidden` answers for all tokens at once (sampling),
// `allows` for one (offspring, guesses), `push` writes the next token. Arities are arbitrary.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "rules/rule_set.hpp"

namespace dso::rules {

constexpr int kMixed = -2;  // `same_child` once two completed children differ

struct Frame {
    int parent = kEmpty;  // token of the open node, kEmpty above the root
    int slot = 0;         // child that comes next
    int slots_left = 1;
    int sibling = kEmpty;     // root token of the child completed last
    int first_earlier = 0;    // where its children before `sibling` begin in `earlier_`
    int same_child = kEmpty;  // the token at which every completed child starts, or kMixed
    uint64_t ancestors = 0;   // groups that the open node or a node above it belongs to
    int size = 0;             // cost of the open node and its completed children
    int room = kUnlimited;    // cost that the children still to come may have together
    OpenUnits units;          // of the open node; above the root, what is wanted of the program
};

class TraversalState {
public:
    explicit TraversalState(const RuleSet& rules)
        : rules_(&rules),
          counts_(rules.n_counters),
          counted_out_((rules.n_tokens() + 63) / 64),
          missing_(rules.covers.size()),
          n_missing_(rules.covers.size()) {
        frames_.reserve(64);
        prepare_units();
        restart();
    }

    void restart() {
        frames_.assign(1, Frame{});
        frames_[0].room = rules_->max_size;
        frames_[0].units.wanted = rules_->units.of_program();
        earlier_.clear();
        n_chosen_ = 0, n_open_ = 1, size_ = 0, last_ = kEmpty, step_ = 0, hole_open_ = 1;
        std::fill(counts_.begin(), counts_.end(), 0);
        std::fill(counted_out_.begin(), counted_out_.end(), 0);
        for (size_t i = 0; i < rules_->covers.size(); ++i) {
            missing_[i] = rules_->covers[i].group;
            n_missing_[i] = rules_->covers[i].n_members;
        }
        for (const CountLimit& limit : rules_->limits)
            if (limit.threshold <= 0) count_out(limit);
    }

    int n_chosen() const { return n_chosen_; }
    int n_open() const { return n_open_; }
    bool finished() const { return n_open_ == 0; }
    int last() const { return last_; }
    const Frame& top() const { return frames_.back(); }
    // The dimension that the next token is wanted to have.
    Dimension wanted_of_next() const;

    // Sets in `words` the bits of the tokens that may not come next.
    void forbidden(uint64_t* words) const {
        forbid_by_place(words);
        if (rules_->units.on()) forbid_by_units(words);
    }
    bool allows(int token) const {
        scratch_.resize(counted_out_.size());
        forbid_by_place(scratch_.data());
        return !(scratch_[token >> 6] >> (token & 63) & 1) &&
               (!rules_->units.on() || has_units(token));
    }
    // Adds the soft adjustment of every token to its logit, (L,); hard rules are not in it.
    template <class T>
    void add_soft_logits(T* logits) const;

    void push(int token);

private:
    static void join(uint64_t* words, const TokenSet& set) {
        for (size_t w = 0; w < set.n_words(); ++w) words[w] |= set.words()[w];
    }
    void count_out(const CountLimit& limit) { join(counted_out_.data(), limit.forbidden); }
    void forbid_by_place(uint64_t* words) const;
    void forbid_by_length(uint64_t* words) const;
    void forbid_by_size(uint64_t* words) const;
    void forbid_by_form(uint64_t* words) const;
    const FormStep* step() const {
        return static_cast<size_t>(step_) < rules_->form.size() ? &rules_->form[step_] : nullptr;
    }
    int room_of_next(const Frame& frame) const;
    // Tokens after which `missing` members (one fewer after a member itself) no longer fit.
    void forbid_unfulfillable(const TokenSet* members, int missing, const Completion& completion,
                              uint64_t* words) const;
    // The same for limits of size and depth; without `members` all tokens are.
    void forbid_too_large(const TokenSet* members, int missing, const Completion& completion,
                          uint64_t* words) const;
    uint64_t ancestors_below(int token) const;
    // rules/state_units.hpp
    void forbid_by_units(uint64_t* words) const;
    bool has_units(int token) const;
    struct Slot {  // as far as it decides whether a wild terminal may stand there
        int parent;
        bool is_first, is_last;
        int same_child;
    };
    struct Need {
        int tokens, more;  // with a wild terminal, and what it takes more without
    };
    int wild_left() const;
    void prepare_units();
    struct UnitRoom;
    bool is_wild(const Slot& slot) const;
    Need need_of(const Slot& slot, Dimension wanted) const;
    void add_needs_below(int token, Dimension wanted, std::vector<Need>& needs) const;
    struct Outlook {
        Dimension other, value;  // wanted of the other argument, and of the node; kAny if open
        bool is_possible;
    };
    Outlook outlook_of(const Frame& frame, int argument, Dimension dimension) const;
    void add_needs_after(int token, Dimension dimension, size_t n_settled,
                         std::vector<Need>& needs) const;
    size_t add_needs_elsewhere(Dimension dimension, std::vector<Need>& needs) const;
    void complete(int token, int size);

    const RuleSet* rules_;
    std::vector<Frame> frames_;
    std::vector<int> earlier_;  // root tokens of completed children before the last, all frames'
    std::vector<int> counts_;
    std::vector<uint64_t> counted_out_;  // tokens that a count limit forbids from here on
    std::vector<TokenSet> missing_;      // per cover requirement, members not yet present
    std::vector<int> n_missing_;
    mutable std::vector<uint64_t> scratch_;
    std::vector<int> wild_below_, first_alike_;  // see `prepare_units`
    mutable std::vector<char> fits_;             // of each token that is the first of its like
    mutable std::vector<Need> needs_;            // of one token, see `UnitRoom`
    mutable std::vector<int> least_more_;        // of the other open slots
    int n_chosen_ = 0, n_open_ = 1, size_ = 0, last_ = kEmpty;
    int step_ = 0, hole_open_ = 1;  // of the form, and slots open in its hole
};

inline void TraversalState::forbid_by_place(uint64_t* words) const {
    const RuleSet& rules = *rules_;
    const Frame& frame = top();
    const size_t n_words = counted_out_.size();
    const uint64_t* by_parent = rules.child_of(frame.parent, frame.slot).words();
    for (size_t w = 0; w < n_words; ++w) words[w] = by_parent[w] | counted_out_[w];
    if (n_chosen_ == 0) join(words, rules.first);
    if (frame.slot > 0) join(words, rules.sibling[frame.sibling]);
    for (size_t i = frame.first_earlier; i < earlier_.size(); ++i)
        join(words, rules.sibling[earlier_[i]]);
    if (frame.parent != kEmpty && frame.slots_left == 1) {
        const TokenSet& alone = rules.only_child[frame.parent];
        if (frame.slot == 0)
            join(words, alone);
        else if (frame.same_child != kMixed && alone.has(frame.same_child))
            words[frame.same_child >> 6] |= 1ull << (frame.same_child & 63);
    }
    for (uint64_t groups = frame.ancestors; groups; groups &= groups - 1)
        join(words, rules.descendant[__builtin_ctzll(groups)]);
    for (const AncestorRequirement& need : rules.ancestor_requirements)
        if (need.groups & ~frame.ancestors) join(words, need.targets);
    forbid_by_length(words);
    if (static_cast<int>(frames_.size()) >= rules.max_depth && rules.max_arity > 0)
        join(words, rules.above_arity[0]);
    if (!rules.costs.empty()) forbid_by_size(words);
    for (const CountRequirement& need : rules.requirements)
        forbid_unfulfillable(&need.group, need.minimum - counts_[need.counter], need.completion,
                             words);
    for (size_t i = 0; i < rules.covers.size(); ++i)
        forbid_unfulfillable(&missing_[i], n_missing_[i], rules.covers[i].completion, words);
    forbid_too_large(nullptr, rules.min_length - n_chosen_, rules.to_min_length, words);
    if (!rules.form.empty()) forbid_by_form(words);
}

// Where the form gives the token it is that one, whatever else is forbidden. In a hole there has to
// be room left for what comes behind it.
inline void TraversalState::forbid_by_form(uint64_t* words) const {
    const RuleSet& rules = *rules_;
    const FormStep* now = step();
    if (now == nullptr) return;
    if (now->token != kEmpty) {
        const uint64_t bit = 1ull << (now->token & 63);
        for (size_t w = 0; w < counted_out_.size(); ++w)
            words[w] = w == static_cast<size_t>(now->token >> 6) ? ~bit : ~0ull;
        return;
    }
    join(words, now->forbidden);
    const int room = rules.max_length - n_chosen_ - n_open_ - now->tokens;
    if (room < rules.max_arity) join(words, rules.above_arity[std::max(room, 0)]);
    if (rules.costs.empty() || rules.max_size >= kUnlimited) return;
    for (size_t token = 0; token < rules.n_tokens(); ++token) {
        const int open = n_open_ - 1 + rules.arities[token];
        const int size = size_ + rules.costs[token] + open * rules.cheapest_terminal + now->size;
        if (size > rules.max_size && rules.arities[token] > 0)
            words[token >> 6] |= 1ull << (token & 63);
    }
}

inline void TraversalState::forbid_by_length(uint64_t* words) const {
    const RuleSet& rules = *rules_;
    const int room = rules.max_length - n_chosen_ - n_open_;  // largest arity that still fits
    if (room < rules.max_arity) join(words, rules.above_arity[std::max(room, 0)]);
    if (rules.horizon - n_chosen_ - n_open_ == 1) join(words, rules.last_chance);
    if (n_open_ == 1 && n_chosen_ + 1 < rules.min_length) join(words, rules.terminals);
}

// The argument that comes next may use what its siblings and those of the nodes above leave, where
// each slot still open takes at least the cheapest terminal.
inline void TraversalState::forbid_by_size(uint64_t* words) const {
    const RuleSet& rules = *rules_;
    const int room = room_of_next(top());
    for (size_t token = 0; token < rules.n_tokens(); ++token)
        if (rules.least_sizes[token] > room) words[token >> 6] |= 1ull << (token & 63);
}

inline int TraversalState::room_of_next(const Frame& frame) const {
    const RuleSet& rules = *rules_;
    const int shared = frame.room - (frame.slots_left - 1) * rules.cheapest_terminal;
    if (frame.parent == kEmpty) return shared;
    return std::min(shared, rules.argument_limits[frame.parent * rules.max_arity + frame.slot]);
}

inline void TraversalState::forbid_unfulfillable(const TokenSet* members, int missing,
                                                 const Completion& completion,
                                                 uint64_t* words) const {
    if (missing <= 0) return;
    const RuleSet& rules = *rules_;
    const int budget = rules.horizon - n_chosen_ - 1;
    for (int arity = 0; arity <= rules.max_arity; ++arity) {
        const int open = n_open_ - 1 + arity;
        const bool member_fails = completion.shortest(open, missing - 1) > budget;
        const bool other_fails = completion.shortest(open, missing) > budget;
        if (!member_fails && !other_fails) continue;
        const uint64_t *same = rules.of_arity[arity].words(), *group = members->words();
        for (size_t w = 0; w < counted_out_.size(); ++w)
            words[w] |= same[w] & ((member_fails ? group[w] : 0) | (other_fails ? ~group[w] : 0));
    }
    forbid_too_large(members, missing, completion, words);
}

inline void TraversalState::forbid_too_large(const TokenSet* members, int missing,
                                             const Completion& completion, uint64_t* words) const {
    if (missing <= 0) return;
    const RuleSet& rules = *rules_;
    const int n_tokens = static_cast<int>(rules.n_tokens());
    const auto forbid = [&](int token) { words[token >> 6] |= 1ull << (token & 63); };
    const auto still_missing = [&](int token) {
        return missing - (members == nullptr || members->has(token));
    };
    if (!completion.operator_sizes.empty())
        for (int token = 0; token < n_tokens; ++token) {
            const int open = n_open_ - 1 + rules.arities[token];
            const int size = size_ + rules.costs[token] + open * rules.cheapest_terminal;
            if (completion.smallest_extra(open, still_missing(token)) > rules.max_size - size)
                forbid(token);
        }
    if (!completion.most.empty()) {
        const int levels = rules.max_depth - static_cast<int>(frames_.size()) + 1;  // from here on
        if (levels < 1) return;
        int64_t elsewhere = 0;  // what the other open slots can hold
        for (int depth = 0; depth < static_cast<int>(frames_.size()); ++depth)
            elsewhere +=
                int64_t{frames_[depth].slots_left - 1} * completion.most[rules.max_depth - depth];
        for (int token = 0; token < n_tokens; ++token)
            if (still_missing(token) >
                elsewhere + int64_t{rules.arities[token]} * completion.most[levels - 1])
                forbid(token);
    }
}

template <class T>
void TraversalState::add_soft_logits(T* logits) const {
    const RuleSet& rules = *rules_;
    for (size_t token = 0; token < rules.n_tokens(); ++token)
        logits[token] += static_cast<T>(rules.logits[token]);
    if (!rules.contexts.empty() && !frames_.empty()) {
        const Frame& frame = frames_.back();
        const int sibling = frame.slot > 0 ? frame.sibling : kEmpty;
        for (const ContextLogits& context : rules.contexts) {
            const double* added = context.row(frame.parent, sibling);
            for (size_t token = 0; token < rules.n_tokens(); ++token)
                logits[token] += static_cast<T>(added[token]);
        }
    }
    if (n_chosen_ == 0) return;  // a length preference says nothing about the first token
    for (const RuleSet::SoftLength& soft : rules.soft_lengths) {
        const double distance = n_chosen_ - soft.location;
        const T penalty = static_cast<T>(-distance * distance / (2 * soft.scale));
        const bool too_short = distance < 0;
        if (too_short && n_open_ > 1) continue;
        for (size_t token = 0; token < rules.n_tokens(); ++token)
            if ((rules.arities[token] == 0) == too_short) logits[token] += penalty;
    }
}

inline void TraversalState::push(int token) {
    const RuleSet& rules = *rules_;
    const FormStep* now = step();
    const bool is_given = now != nullptr && now->token != kEmpty;  // which counts for nothing
    for (uint64_t bits = is_given ? 0 : rules.counter_bits[token]; bits; bits &= bits - 1) {
        const int counter = __builtin_ctzll(bits);
        ++counts_[counter];
        for (const CountLimit& limit : rules.limits)
            if (limit.counter == counter && limit.threshold == counts_[counter]) count_out(limit);
    }
    for (const TokenSet& exclusive : rules.exclusions)
        if (exclusive.has(token)) {
            TokenSet others = exclusive;
            others.erase(token);
            join(counted_out_.data(), others);
        }
    for (size_t i = 0; i < missing_.size(); ++i)
        if (missing_[i].has(token)) missing_[i].erase(token), --n_missing_[i];
    const int arity = rules.arities[token];
    const int cost = rules.costs.empty() ? 0 : rules.costs[token];
    ++n_chosen_, n_open_ += arity - 1, size_ += cost, last_ = token;
    if (now != nullptr) {
        hole_open_ = now->token != kEmpty ? 0 : hole_open_ + arity - 1;
        if (hole_open_ == 0) ++step_, hole_open_ = 1;
    }
    if (arity > 0) {
        const int room = rules.costs.empty() ? kUnlimited : room_of_next(top()) - cost;
        const uint64_t ancestors = ancestors_below(token);
        const OpenUnits units =
            rules.units.on() ? rules.units.open(token, wanted_of_next()) : OpenUnits{};
        // Field by field: a frame made elsewhere would be copied before its parts have arrived.
        Frame& frame = frames_.emplace_back();
        frame.parent = token;
        frame.slots_left = arity;
        frame.first_earlier = static_cast<int>(earlier_.size());
        frame.ancestors = ancestors;
        frame.size = cost;
        frame.room = room;
        frame.units = units;
        return;
    }
    complete(token, cost);
}

// Groups above the children of `token`, the next node: those above itself, its own, and the nesting
// levels that it raises.
inline uint64_t TraversalState::ancestors_below(int token) const {
    uint64_t groups = top().ancestors;
    for (const NestingLimit& nesting : rules_->nestings) {
        const uint64_t levels = ((1ull << nesting.limit) - 1) << nesting.first_bit;
        if (nesting.inner.has(token)) groups |= (groups & levels) << 1;
        if (nesting.outer.has(token)) groups |= 1ull << nesting.first_bit;
    }
    return groups | rules_->ancestor_bits[token];
}

// A terminal completes the open slot, and perhaps the nodes above it.
inline void TraversalState::complete(int token, int size) {
    const Units& units = rules_->units;
    Dimension dimension = units.on() ? units.terminal(token) : kAny;
    while (true) {
        Frame& frame = frames_.back();
        if (units.on() && frame.parent != kEmpty) {
            units.take(frame.parent, frame.units, frame.slot, token, dimension);
            dimension = units.value(frame.parent, frame.units);
        }
        frame.same_child = frame.slot == 0 || frame.same_child == token ? token : kMixed;
        const bool goes_on = --frame.slots_left > 0;
        if (goes_on && frame.slot > 0) earlier_.push_back(frame.sibling);
        frame.sibling = token;
        frame.size += size;
        frame.room -= size;
        ++frame.slot;
        if (goes_on || frames_.size() == 1) return;
        if (frame.slot > 2) earlier_.resize(frame.first_earlier);
        token = frame.parent;
        size = frame.size;
        frames_.pop_back();
    }
}

}  // namespace dso::rules

#include "rules/state_units.hpp"
