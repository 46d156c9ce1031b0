// The part of TraversalState that knows units: which tokens fit, and which leave too little room.
//
// Constants of any dimension, "wild" terminals, may be few, and may not stand everywhere. So each
// open slot has a need: the fewest tokens with a wild one in its subtree, and what it takes more
// without. Where n slots count on a wild one and w are left, the rest has to do without, at the
// least cost:
//
//     tokens = sum_i with_i + sum of the n - w least (without_i - with_i)
#pragma once
#include <algorithm>
#include <vector>

#include "rules/state.hpp"

namespace dso::rules {

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
        looks_ahead_ = left_ < n_slots || room_ < 3 * n_slots || !units_.has_products();
        if (looks_ahead_) state.add_needs_elsewhere(elsewhere_);
    }

    bool fits(int token) {
        return units_.fits(token, wanted_) &&
               (!is_exponent_ || units_.fits_as_exponent(token, frame_.units)) &&
               (!looks_ahead_ || leaves_room(token));
    }

private:
    bool leaves_room(int token) {
        needs_ = elsewhere_;
        const bool is_terminal = state_.rules_->arities[token] == 0;
        if (is_terminal)
            state_.add_needs_after(token, needs_);
        else
            state_.add_needs_below(token, wanted_, needs_);
        int tokens = 0;
        more_.clear();
        for (const Need& need : needs_) {
            tokens += need.tokens;
            if (need.more > 0) more_.push_back(need.more);
        }
        const bool takes_one = is_terminal && units_.terminal(token) == kAny;
        const int without = static_cast<int>(more_.size()) - std::max(0, left_ - takes_one);
        if (without > 0) {
            std::sort(more_.begin(), more_.end());
            for (int i = 0; i < without; ++i) tokens += more_[i];
        }
        return tokens <= room_;
    }

    const TraversalState& state_;
    const Units& units_;
    const Frame& frame_;
    const Dimension wanted_;
    const bool is_exponent_;
    bool looks_ahead_ = false;
    int left_ = 0, room_ = 0;
    std::vector<Need> elsewhere_, needs_;
    std::vector<int> more_;
};

inline bool TraversalState::has_units(int token) const { return UnitRoom(*this).fits(token); }

inline void TraversalState::forbid_by_units(uint64_t* words) const {
    UnitRoom room(*this);
    for (int token = 0; token < static_cast<int>(rules_->n_tokens()); ++token) {
        const uint64_t bit = 1ull << (token & 63);
        if (!(words[token >> 6] & bit) && !room.fits(token)) words[token >> 6] |= bit;
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
    for (int token = 0; with > 2 && token < static_cast<int>(rules_->n_tokens()); ++token) {
        const int arity = rules_->arities[token];
        if (arity > 0 && units.fits(token, wanted) && is_wild({token, true, arity == 1, kEmpty}))
            with = std::min(with, 1 + arity);
    }
    return {with, without - with};
}

// Of the arguments of a token that is wanted to have a dimension.
inline void TraversalState::add_needs_below(int token, Dimension wanted,
                                            std::vector<Need>& needs) const {
    const Units& units = rules_->units;
    const int arity = rules_->arities[token];
    const Dimension below = units.wanted_of_next(token, units.open(token, wanted), arity);
    const Slot first{token, true, arity == 1, kEmpty};
    if (below == kAny && arity > 1) {  // one of the arguments of a product makes up for the others
        const int with = units.wild().empty() ? units.fewest_below(token, wanted) : arity;
        needs.push_back({with, units.fewest_below(token, wanted) - with});
        return;
    }
    // Where all may be wild, perhaps not all of them at once.
    for (int slot = 0; slot < arity - 1; ++slot) needs.push_back(need_of(first, below));
    const Slot last{token, false, true, is_wild(first) ? units.wild()[0] : kMixed};
    needs.push_back(need_of(arity == 1 ? first : last, below));
}

// Of the slot that comes after a terminal, in the place of what was known of it before.
inline void TraversalState::add_needs_after(int terminal, std::vector<Need>& needs) const {
    const Units& units = rules_->units;
    Dimension dimension = units.terminal(terminal);
    int argument = terminal;
    for (size_t i = frames_.size() - 1; i > 0; --i) {
        const Frame& frame = frames_[i];
        OpenUnits node = frame.units;
        const Dimension before = units.wanted_of_next(frame.parent, node, frame.slots_left);
        units.take(frame.parent, node, frame.slot, argument, dimension);
        if (frame.slots_left > 1) {
            const Dimension wanted = units.wanted_of_next(frame.parent, node, frame.slots_left - 1);
            const bool is_same = frame.slot == 0 || frame.same_child == argument;
            const Slot next{frame.parent, false, frame.slots_left == 2,
                            is_same ? argument : kMixed};
            const Need known = need_of({frame.parent, false, false, kMixed}, before);
            const Need need = need_of(next, wanted);
            needs.push_back(
                {std::max(0, need.tokens - known.tokens), known.more > 0 ? 0 : need.more});
            return;
        }
        dimension = units.value(node), argument = frame.parent;
    }
}

// Of the open slots but the one that comes next.
inline void TraversalState::add_needs_elsewhere(std::vector<Need>& needs) const {
    for (const Frame& frame : frames_) {
        if (frame.slots_left == 1) continue;
        // Before the last argument of a product nothing is known of it.
        const Dimension wanted =
            rules_->units.wanted_of_next(frame.parent, frame.units, frame.slots_left);
        const Need need = need_of({frame.parent, false, false, kMixed}, wanted);
        for (int slot = 1; slot < frame.slots_left; ++slot) needs.push_back(need);
    }
}

}  // namespace dso::rules
