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

#include "rules.hpp"

namespace dso {

constexpr int kMixed = -2;  // `same_child` once two completed children differ

struct Frame {
    int parent = kEmpty;  // token of the open node, kEmpty above the root
    int slot = 0;         // child that comes next
    int slots_left = 1;
    int sibling = kEmpty;     // root token of the child completed last
    int same_child = kEmpty;  // the token at which every completed child starts, or kMixed
    uint64_t ancestors = 0;   // groups that the open node or a node above it belongs to
};

class TraversalState {
public:
    explicit TraversalState(const RuleSet& rules)
        : rules_(&rules), counts_(rules.n_counters), counted_out_((rules.n_tokens() + 63) / 64) {
        frames_.reserve(64);
        restart();
    }

    void restart() {
        frames_.assign(1, Frame{});
        n_chosen_ = 0, n_open_ = 1, last_ = kEmpty;
        std::fill(counts_.begin(), counts_.end(), 0);
        std::fill(counted_out_.begin(), counted_out_.end(), 0);
        for (const CountLimit& limit : rules_->limits)
            if (limit.threshold <= 0) count_out(limit);
    }

    int n_chosen() const { return n_chosen_; }
    int n_open() const { return n_open_; }
    bool finished() const { return n_open_ == 0; }
    int last() const { return last_; }
    const Frame& top() const { return frames_.back(); }

    // Sets in `words` the bits of the tokens that may not come next.
    void forbidden(uint64_t* words) const;
    bool allows(int token) const {
        scratch_.resize(counted_out_.size());
        forbidden(scratch_.data());
        return !(scratch_[token >> 6] >> (token & 63) & 1);
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
    void forbid_by_length(uint64_t* words) const;
    void forbid_unfulfillable(const CountRequirement& need, uint64_t* words) const;

    const RuleSet* rules_;
    std::vector<Frame> frames_;
    std::vector<int> counts_;
    std::vector<uint64_t> counted_out_;  // tokens that a count limit forbids from here on
    mutable std::vector<uint64_t> scratch_;
    int n_chosen_ = 0, n_open_ = 1, last_ = kEmpty;
};

inline void TraversalState::forbidden(uint64_t* words) const {
    const RuleSet& rules = *rules_;
    const Frame& frame = top();
    const size_t n_words = counted_out_.size();
    const uint64_t* by_parent = rules.child_of(frame.parent, frame.slot).words();
    for (size_t w = 0; w < n_words; ++w) words[w] = by_parent[w] | counted_out_[w];
    if (n_chosen_ == 0) join(words, rules.first);
    if (frame.slot > 0) join(words, rules.sibling[frame.sibling]);
    if (frame.parent != kEmpty && frame.slots_left == 1) {
        const TokenSet& alone = rules.only_child[frame.parent];
        if (frame.slot == 0)
            join(words, alone);
        else if (frame.same_child != kMixed && alone.has(frame.same_child))
            words[frame.same_child >> 6] |= 1ull << (frame.same_child & 63);
    }
    for (uint64_t groups = frame.ancestors; groups; groups &= groups - 1)
        join(words, rules.descendant[__builtin_ctzll(groups)]);
    forbid_by_length(words);
    for (const CountRequirement& need : rules.requirements) forbid_unfulfillable(need, words);
}

inline void TraversalState::forbid_by_length(uint64_t* words) const {
    const RuleSet& rules = *rules_;
    const int room = rules.max_length - n_chosen_ - n_open_;  // largest arity that still fits
    if (room < rules.max_arity) join(words, rules.above_arity[std::max(room, 0)]);
    if (room == 1) join(words, rules.last_chance);
    if (n_open_ == 1 && n_chosen_ + 1 < rules.min_length) join(words, rules.terminals);
}

// With `missing` members still to come and `open` slots left, the shortest completion either puts
// members into open slots, opening more where there are too few, or chains the cheapest members.
inline void TraversalState::forbid_unfulfillable(const CountRequirement& need,
                                                 uint64_t* words) const {
    const int missing_now = need.minimum - counts_[need.counter];
    if (missing_now <= 0) return;
    const RuleSet& rules = *rules_;
    const auto shortest = [&](int open, int missing) {
        if (missing <= 0) return open;
        if (open == 0) return kUnlimited + 1;
        if (need.smallest_arity > 0) return open + missing * need.smallest_arity;
        if (missing <= open) return open;
        if (rules.max_arity < 2) return kUnlimited + 1;
        const int openers = (missing - open + rules.max_arity - 2) / (rules.max_arity - 1);
        return open + openers * rules.max_arity;
    };
    const int budget = rules.max_length - n_chosen_ - 1;
    for (int arity = 0; arity <= rules.max_arity; ++arity) {
        const int open = n_open_ - 1 + arity;
        const bool member_fails = shortest(open, missing_now - 1) > budget;
        const bool other_fails = shortest(open, missing_now) > budget;
        if (!member_fails && !other_fails) continue;
        const uint64_t* same = rules.of_arity[arity].words();
        const uint64_t* group = need.group.words();
        for (size_t w = 0; w < counted_out_.size(); ++w)
            words[w] |= same[w] & ((member_fails ? group[w] : 0) | (other_fails ? ~group[w] : 0));
    }
}

template <class T>
void TraversalState::add_soft_logits(T* logits) const {
    const RuleSet& rules = *rules_;
    for (size_t token = 0; token < rules.n_tokens(); ++token)
        logits[token] += static_cast<T>(rules.logits[token]);
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
    for (uint64_t bits = rules.counter_bits[token]; bits; bits &= bits - 1) {
        const int counter = __builtin_ctzll(bits);
        ++counts_[counter];
        for (const CountLimit& limit : rules.limits)
            if (limit.counter == counter && limit.threshold == counts_[counter]) count_out(limit);
    }
    const int arity = rules.arities[token];
    ++n_chosen_, n_open_ += arity - 1, last_ = token;
    if (arity > 0) {
        frames_.push_back(
            {token, 0, arity, kEmpty, kEmpty, top().ancestors | rules.ancestor_bits[token]});
        return;
    }
    for (int completed = token; !frames_.empty();) {  // a terminal may complete the nodes above it
        Frame& frame = frames_.back();
        frame.same_child = frame.slot == 0 || frame.same_child == completed ? completed : kMixed;
        frame.sibling = completed;
        ++frame.slot;
        if (--frame.slots_left > 0 || frames_.size() == 1) return;
        completed = frame.parent;
        frames_.pop_back();
    }
}

}  // namespace dso
