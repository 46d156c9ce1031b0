// The part of TraversalState that knows units: which tokens fit, and which leave too little room.
//
// Constants of any dimension, "wild" terminals, may be few, and may not stand everywhere. So each
// open slot has a need: the fewest tokens with a wild one in its subtree, and what it takes more
// without. Where n slots count on a wild one and w are left, the rest has to do without, at the
// least cost:
//
//     tokens = sum_i with_i + sum of the n - w least (without_i - with_i)
//
// What a slot is wanted to have may be known before its turn: in `mul exp ...` the first argument
// is a pure number whatever stands below exp, so that the second has the dimension of the product.
#pragma once
#include <algorithm>
#include <array>
#include <vector>

#include "rules/state.hpp"

namespace dso::rules {

// Finds the operators the first argument of which may be a wild terminal, and for each token the
// first one that units cannot tell from it.
inline void TraversalState::prepare_units() {
    const Units& units = rules_->units;
    if (!units.on()) return;
    using Arguments = std::array<bool, 3>;  // which may be a wild terminal
    std::vector<Arguments> may_be_wild;
    for (int token = 0; token < static_cast<int>(rules_->n_tokens()); ++token) {
        const int arity = rules_->arities[token];
        Arguments& now = may_be_wild.emplace_back();
        if (arity > 0 && !units.wild().empty())
            now = {is_wild({token, true, arity == 1, kEmpty}),
                   is_wild({token, false, true, kMixed}),
                   is_wild({token, false, true, units.wild()[0]})};
        if (now[0]) wild_below_.push_back(token);
        int first = 0;
        while (first < token && (may_be_wild[first] != now || !units.are_alike(first, token)))
            ++first;
        first_alike_.push_back(first);
    }
}

inline Dimension TraversalState::wanted_of_next() const {
    const Frame& frame = top();
    if (frame.parent == kEmpty) return frame.units.wanted;
    return rules_->units.wanted_of_next(frame.parent, frame.units, frame.slots_left);
}

// What all tokens that may come next have in common.
struct TraversalState::UnitRoom {
    explicit UnitRoom(const TraversalState& state)
        : state_(state),
          units_(state.rules_->units),
          frame_(state.top()),
          wanted_(state.wanted_of_next()),
          is_exponent_(frame_.parent != kEmpty &&
                       units_.is_exponent(frame_.parent, frame_.slots_left)) {
        const int horizon = state.rules_->horizon;
        if (!units_.looks_ahead() || horizon >= kUnlimited) return;
        left_ = state.wild_left(), room_ = horizon - state.n_chosen_ - 1;
        // With a wild terminal a slot takes three tokens at most, where there are products.
        const int n_slots = state.n_open_ - 1 + state.rules_->max_arity;
        looks_ahead_ = left_ < n_slots || room_ < 3 * n_slots || !units_.has_products() ||
                       units_.has_exponents();
        if (looks_ahead_) add_up_elsewhere();
    }

    bool fits(int token) {
        return units_.fits(token, wanted_) &&
               (!is_exponent_ || units_.fits_as_exponent(token, frame_.units)) &&
               (!looks_ahead_ || leaves_room(token));
    }

private:
    // The tokens that the open slots take which no token decides about, and what the first n of
    // them in order of what they take more without a wild terminal take more together.
    void add_up_elsewhere() {
        std::vector<Need>& needs = state_.needs_;
        std::vector<int>& least = state_.least_more_;
        needs.clear(), least.clear();
        n_settled_ = state_.add_needs_elsewhere(wanted_, needs);
        for (const Need& need : needs) {
            elsewhere_ += need.tokens;
            if (need.more > 0) least.push_back(need.more);
        }
        std::sort(least.begin(), least.end());
        least.insert(least.begin(), 0);
        for (size_t i = 1; i < least.size(); ++i) least[i] += least[i - 1];
    }

    bool leaves_room(int token) {
        std::vector<Need>& own = state_.needs_;
        own.clear();
        const bool is_terminal = state_.rules_->arities[token] == 0;
        if (!is_terminal) state_.add_needs_below(token, wanted_, own);
        state_.add_needs_after(token,
                               is_terminal ? units_.terminal(token)
                                           : units_.settled(token, units_.open(token, wanted_)),
                               n_settled_, own);
        int tokens = elsewhere_, all_more = state_.least_more_.back();
        size_t n_own = 0;
        for (const Need& need : own) {
            tokens += need.tokens;
            if (need.more > 0) all_more += need.more, own[n_own++].more = need.more;
        }
        if (tokens + all_more <= room_) return true;
        own.resize(n_own);
        const bool takes_one = is_terminal && units_.terminal(token) == kAny;
        return tokens + least_more(own, std::max(0, left_ - takes_one)) <= room_;
    }

    // What all slots but those that `n_wild` wild terminals serve take more, at the least.
    int least_more(std::vector<Need>& own, int n_wild) const {
        const std::vector<int>& elsewhere = state_.least_more_;
        const int n_elsewhere = static_cast<int>(elsewhere.size()) - 1;
        const int n_own = static_cast<int>(own.size());
        const int without = n_elsewhere + n_own - n_wild;
        if (without <= 0) return 0;
        std::sort(own.begin(), own.end(),
                  [](const Need& a, const Need& b) { return a.more < b.more; });
        int least = kUnlimited, of_own = 0;
        for (int k = 0; k <= std::min(n_own, without); ++k) {
            if (k > 0) of_own += own[k - 1].more;
            if (without - k <= n_elsewhere)
                least = std::min(least, of_own + elsewhere[without - k]);
        }
        return least;
    }

    const TraversalState& state_;
    const Units& units_;
    const Frame& frame_;
    const Dimension wanted_;
    const bool is_exponent_;
    bool looks_ahead_ = false;
    int left_ = 0, room_ = 0;
    int elsewhere_ = 0;
    size_t n_settled_ = 0;
};

inline bool TraversalState::has_units(int token) const { return UnitRoom(*this).fits(token); }

inline void TraversalState::forbid_by_units(uint64_t* words) const {
    UnitRoom room(*this);
    const auto n_tokens = static_cast<int>(rules_->n_tokens());
    constexpr char kNotAsked = 2;  // neither yes nor no
    fits_.assign(n_tokens, kNotAsked);
    for (int token = 0; token < n_tokens; ++token) {
        const uint64_t bit = 1ull << (token & 63);
        if (words[token >> 6] & bit) continue;
        char& answer = fits_[first_alike_[token]];
        if (answer == kNotAsked) answer = room.fits(token);
        if (!answer) words[token >> 6] |= bit;
    }
}

// How many wild terminals may still be written.
inline int TraversalState::wild_left() const {
    int left = 0;
    for (int wild : rules_->units.wild()) {
        int of_this = kUnlimited;
        for (const CountLimit& limit : rules_->limits) {
            if (!limit.forbidden.has(wild)) continue;
            const int more = limit.threshold - counts_[limit.counter];
            const bool counts = rules_->counter_bits[wild] >> limit.counter & 1;
            if (more <= 0 || counts) of_this = std::min(of_this, std::max(0, more));
        }
        left = std::min(kUnlimited, left + of_this);
    }
    return left;
}

inline bool TraversalState::is_wild(const Slot& slot) const {
    for (int wild : rules_->units.wild()) {
        if (rules_->child_of(slot.parent, slot.is_first ? 0 : 1).has(wild)) continue;
        const bool is_alone = slot.is_last && (slot.is_first || slot.same_child == wild);
        if (!is_alone || !rules_->only_child[slot.parent].has(wild)) return true;
    }
    return false;
}

inline TraversalState::Need TraversalState::need_of(const Slot& slot, Dimension wanted) const {
    if (wanted == kAny) return {1, 0};
    const Units& units = rules_->units;
    const int without = units.fewest(wanted);
    if (is_wild(slot)) return {1, without - 1};
    // Where a wild terminal may be an argument, a power or a product has any dimension.
    int with = without;
    for (int token : wild_below_)
        if (with > 2 && units.fits(token, wanted))
            with = std::min(with, 1 + rules_->arities[token]);
    return {with, without - with};
}

// Of the arguments of a token that is wanted to have a dimension.
inline void TraversalState::add_needs_below(int token, Dimension wanted,
                                            std::vector<Need>& needs) const {
    const Units& units = rules_->units;
    const int arity = rules_->arities[token];
    const Dimension below = units.wanted_of_next(token, units.open(token, wanted), arity);
    const Slot first{token, true, arity == 1, kEmpty};
    if (below == kAny && arity > 1) {  // one argument of a product makes up for the other
        const int with = units.wild().empty() ? units.fewest_below(token, wanted) : arity;
        needs.push_back({with, units.fewest_below(token, wanted) - with});
        return;
    }
    needs.push_back(need_of(first, below));
    if (arity == 1) return;
    // Where both may be wild, perhaps not both of them at once.
    const Slot last{token, false, true, is_wild(first) ? units.wild()[0] : kMixed};
    needs.push_back(need_of(last, units.wanted_of_next(token, units.open(token, wanted), 1)));
}

// What follows for an open node and its other argument from the next one: its root, kEmpty where it
// is not known, and its dimension.
inline TraversalState::Outlook TraversalState::outlook_of(const Frame& frame, int argument,
                                                          Dimension dimension) const {
    const Units& units = rules_->units;
    OpenUnits node = frame.units;
    if (argument == kEmpty && units.is_exponent(frame.parent, frame.slots_left))
        return {kAny, units.settled(frame.parent, node), true};
    units.take(frame.parent, node, frame.slot, argument, dimension);
    if (frame.slots_left == 1) return {kAny, units.value(frame.parent, node), true};
    return {units.wanted_of_next(frame.parent, node, 1), units.settled(frame.parent, node),
            units.has_exponent(frame.parent, node)};
}

// Of the open slots that the token that comes next decides about: from its own node up to the first
// node the dimension of which is settled without it. There are no tokens of three arguments here.
inline void TraversalState::add_needs_after(int token, Dimension dimension, size_t n_settled,
                                            std::vector<Need>& needs) const {
    int argument = token;
    for (size_t i = frames_.size() - 1; i > n_settled; --i) {
        const Frame& frame = frames_[i];
        const Outlook outlook = outlook_of(frame, argument, dimension);
        if (!outlook.is_possible)
            needs.push_back({kUnlimited, 0});
        else if (frame.slots_left > 1)
            needs.push_back(need_of({frame.parent, false, true, argument}, outlook.other));
        dimension = outlook.value, argument = frame.parent;
    }
}

// Of all others but the one that comes next. Returns in how many frames they are.
inline size_t TraversalState::add_needs_elsewhere(Dimension dimension,
                                                  std::vector<Need>& needs) const {
    size_t n_settled = 0;
    bool is_settled = false;
    for (size_t i = frames_.size() - 1; i > 0; --i) {
        const Frame& frame = frames_[i];
        const Outlook outlook = outlook_of(frame, kEmpty, dimension);
        if (is_settled && frame.slots_left > 1)
            needs.push_back(need_of({frame.parent, false, false, kMixed}, outlook.other));
        dimension = outlook.value;
        if (dimension == kAny || is_settled) continue;
        is_settled = true, n_settled = i - 1;
    }
    return n_settled;
}

}  // namespace dso::rules
