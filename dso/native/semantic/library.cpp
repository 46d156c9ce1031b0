#include "semantic/library.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace dso::semantic {

using namespace machine;

namespace {

constexpr int kBitmapBits = 24;
constexpr double kFar = 1e300;
constexpr int16_t kNoSibling = INT16_MIN;
constexpr int kMostEmpty = 4;  // levels in a row without an entry: what follows is too long
constexpr uint16_t kLongest = UINT16_MAX;

}  // namespace

rules::RuleSet rules_of_parts(const rules::RuleSet& rules) {
    rules::RuleSet parts = rules;
    parts.min_length = 0;
    parts.first = parts.last_chance = rules::TokenSet(rules.n_tokens());
    parts.requirements.clear();
    parts.covers.clear();
    parts.ancestor_requirements.clear();
    parts.units = rules::Units();
    return parts;
}

ValueLibrary::ValueLibrary(Forms forms, const rules::RuleSet& rules, Resolution resolution,
                           const Growth& growth)
    : forms_(std::move(forms)),
      rules_(rules_of_parts(rules)),
      resolution_(resolution),
      values_(growth.max_entries),
      index_(growth.max_entries, kBitmapBits),
      units_(rules.units),
      patience_(growth.is_over),
      a_(std::make_unique<ValueBlock>()),
      b_(std::make_unique<ValueBlock>()),
      out_(std::make_unique<ValueBlock>()),
      keys_(kBlock),
      state_(std::make_unique<rules::TraversalState>(rules_)) {
    entries_.reserve(growth.max_entries);
    max_vectors_ = growth.max_vectors;
    if (units_.on()) dimensions_.reserve(growth.max_entries);
    compile_checks();
    grow(growth);
}

size_t ValueLibrary::bytes(size_t max_entries) {
    return max_entries * (sizeof(Entry) + sizeof(KeyVector)) +
           KeyIndex::bytes(max_entries, kBitmapBits);
}

size_t ValueLibrary::entries_in(size_t most_bytes) {
    // The index grows by powers of two, so that there is no quotient to take.
    size_t fits = 0, too_many = std::min<size_t>(most_bytes / sizeof(Entry) + 1, kNone);
    while (too_many - fits > 1) {
        const size_t middle = fits + (too_many - fits) / 2;
        (bytes(middle) <= most_bytes ? fits : too_many) = middle;
    }
    return fits;
}

// ---- what the rules say about forms ------------------------------------------------------------

void ValueLibrary::compile_checks() {
    const auto n_tokens = static_cast<int>(rules_.n_tokens());
    own_bits_.assign(n_tokens, 0);
    rules::TokenSet used(n_tokens);
    for (const Form& form : forms_.all)
        for (const int16_t item : form.pattern)
            if (item >= 0) used.insert(item);
    const auto touches = [&](const rules::TokenSet& set) {
        bool found = false;
        rules::RuleSet::for_each(set, [&](int token) { found |= used.has(token); });
        return found;
    };
    for (size_t group = 0; group < rules_.descendant.size(); ++group)
        rules::RuleSet::for_each(rules_.descendant[group],
                                 [&](int token) { own_bits_[token] |= 1ull << group; });
    needs_walk_ = !rules_.nestings.empty() || !rules_.exclusions.empty() || !rules_.costs.empty() ||
                  rules_.max_depth < rules::kUnlimited;
    for (const rules::TokenSet& set : rules_.only_child) needs_walk_ |= touches(set);
    for (const rules::CountLimit& limit : rules_.limits) needs_walk_ |= touches(limit.forbidden);
    // A pattern as a tree: which token or hole stands where.
    for (const Form& form : forms_.all) {
        struct Open {
            int16_t token, sibling;
            int slot, left;
            uint64_t ancestors;
        };
        std::vector<Open> open;
        std::vector<Place> places;
        const auto complete = [&](int16_t item) {
            while (!open.empty()) {
                open.back().sibling = item;
                ++open.back().slot;
                if (--open.back().left > 0) return;
                item = open.back().token;
                open.pop_back();
            }
        };
        for (const int16_t item : form.pattern) {
            uint64_t ancestors = 0;
            if (!open.empty()) {
                const Open& parent = open.back();
                ancestors = parent.ancestors;
                places.push_back({item, parent.token, parent.slot ? parent.sibling : kNoSibling,
                                  parent.slot, ancestors});
            }
            const int arity = item < 0 ? 0 : rules_.arities[item];
            if (arity > 0)
                open.push_back(
                    {item, kNoSibling, 0, arity, ancestors | rules_.ancestor_bits[item]});
            else
                complete(item);
        }
        bool usable = true;
        for (const Place& place : places)
            if (place.item >= 0)
                usable &= !rules_.child_of(place.parent, place.slot).has(place.item) &&
                          !(own_bits_[place.item] & place.ancestors) &&
                          (place.sibling < 0 || !rules_.sibling[place.sibling].has(place.item));
        is_usable_.push_back(usable);
        places_.push_back(std::move(places));
    }
}

// Fills in what is known of an entry from its arguments; false where the rules forbid it.
bool ValueLibrary::is_allowed(size_t form, Entry& entry) const {
    const Entry none{};
    const Entry& left = entry.left != kNone ? entries_[entry.left] : none;
    const Entry& right = entry.right != kNone ? entries_[entry.right] : none;
    const auto root_of = [&](int16_t item) {
        return item >= 0 ? item : item == kLeft ? left.root : right.root;
    };
    entry.below = 0;
    for (const int16_t item : forms_.all[form].pattern)
        entry.below |= item >= 0 ? own_bits_[item] : item == kLeft ? left.below : right.below;
    if (needs_walk_ || forms_.all[form].negates) return obeys(entry);
    for (const Place& place : places_[form]) {
        if (place.item >= 0 && (place.sibling >= 0 || place.sibling == kNoSibling)) continue;
        const int root = root_of(place.item);
        const uint64_t below = place.item >= 0       ? own_bits_[root]
                               : place.item == kLeft ? left.below
                                                     : right.below;
        if (rules_.child_of(place.parent, place.slot).has(root) || (below & place.ancestors))
            return false;
        if (place.sibling != kNoSibling && rules_.sibling[root_of(place.sibling)].has(root))
            return false;
    }
    return true;
}

// The dimension of a form with arguments; false where their units do not go together.
bool ValueLibrary::find_dimension(const Form& form, uint32_t left, uint32_t right,
                                  rules::Dimension& dimension) const {
    struct Part {
        int root;
        rules::Dimension dimension;
    };
    std::vector<Part> parts;
    for (auto item = form.pattern.rbegin(); item != form.pattern.rend(); ++item) {
        if (*item < 0) {
            const uint32_t entry = *item == kLeft ? left : right;
            parts.push_back({entries_[entry].root, dimensions_[entry]});
            if (form.negates && !find_negated(entry, parts.back().dimension)) return false;
            continue;
        }
        const int arity = rules_.arities[*item];
        if (arity == 0) {
            parts.push_back({*item, units_.terminal(*item)});
            continue;
        }
        std::vector<int> roots;
        std::vector<rules::Dimension> dimensions;
        for (int slot = 0; slot < arity; ++slot, parts.pop_back()) {
            roots.push_back(parts.back().root);
            dimensions.push_back(parts.back().dimension);
        }
        if (!units_.join(*item, roots.data(), dimensions.data(), dimension)) return false;
        parts.push_back({*item, dimension});
    }
    dimension = parts.back().dimension;
    return true;
}

// The same for the negative of an entry, as it is written.
bool ValueLibrary::find_negated(uint32_t entry, rules::Dimension& dimension) const {
    if (forms_.all[entries_[entry].form].op == Op::op_sub) return true;
    if (forms_.arithmetic.negate < 0) return false;
    return find_dimension(forms_.all[forms_.arithmetic.negate], entry, kNone, dimension);
}

void ValueLibrary::note_dimension(size_t i, rules::Dimension dimension) {
    dimensions_.resize(entries_.size());
    dimensions_[i] = dimension;
    if (dimension == rules::kAny)
        has_any_ = true;
    else
        has_dimension_.set(dimension % kDimensionBits);
}

// Asks the traversal state, token by token.
bool ValueLibrary::obeys(const Entry& entry) const {
    scratch_.clear();
    if (!write_form(forms_.all[entry.form], entry.left, entry.right, false, scratch_)) return false;
    state_->restart();
    for (const int16_t token : scratch_) {
        if (!state_->allows(token)) return false;
        state_->push(token);
    }
    return true;
}

// ---- tokens ------------------------------------------------------------------------------------

bool ValueLibrary::write(size_t i, bool negative, std::vector<int16_t>& tokens) const {
    const Entry& entry = entries_[i];
    const Form& form = forms_.all[entry.form];
    if (!negative) return write_form(form, entry.left, entry.right, false, tokens);
    if (form.op == Op::op_sub) return write_form(form, entry.left, entry.right, true, tokens);
    if (forms_.arithmetic.negate < 0) return false;
    const Form& negate = forms_.all[forms_.arithmetic.negate];
    return write_form(negate, static_cast<uint32_t>(i), kNone, false, tokens);
}

bool ValueLibrary::write_form(const Form& form, uint32_t left, uint32_t right, bool swapped,
                              std::vector<int16_t>& tokens) const {
    for (const int16_t item : form.pattern) {
        if (item >= 0) {
            tokens.push_back(item);
        } else {
            const bool is_left = (item == kLeft) != swapped;
            if (!write(is_left ? left : right, form.negates, tokens)) return false;
        }
    }
    return true;
}

int ValueLibrary::negated_length(size_t i) const {
    const Entry& entry = entries_[i];
    if (forms_.all[entry.form].op == Op::op_sub) return entry.length;
    if (forms_.arithmetic.negate < 0) return kLongest;
    return entry.length + static_cast<int>(forms_.all[forms_.arithmetic.negate].pattern.size()) - 1;
}

int ValueLibrary::length_of(const Form& form, uint32_t left, uint32_t right) const {
    int length = 0;
    for (const int16_t item : form.pattern) {
        if (item >= 0)
            ++length;
        else if (form.negates)
            length += negated_length(left);
        else
            length += entries_[item == kLeft ? left : right].length;
    }
    return std::min<int>(length, kLongest);
}

// ---- look-up -----------------------------------------------------------------------------------

uint32_t ValueLibrary::find(uint64_t key, const KeyVector& values) const {
    const int64_t found = index_.find(
        key, [&](uint32_t i) { return sign_of_match(values_[i], values, resolution_) != 0; });
    return found < 0 ? kNone : static_cast<uint32_t>(found);
}

uint32_t ValueLibrary::find(const KeyVector& values) const {
    ValueBlock block;
    block.fill(values);
    const double* rows[kKeyRows];
    for (size_t r = 0; r < kKeyRows; ++r) rows[r] = block.rows[r];
    uint64_t keys[kLanes];
    hash_values(rows, kLanes, resolution_, Constants::kept, keys);
    return keys[0] == kNoKey ? kNone : find(keys[0], values);
}

namespace {

// out: for each of n vectors the smaller distance of itself and its negative, with a minus where
// that is the negative's.
DSO_CLONES
void signed_distances(const KeyVector& wanted, const KeyVector& weights,
                      const double* const rows[kKeyRows], size_t n, double* out) {
    for (size_t i = 0; i < n; i += kLanes) {
        Lanes same = {}, opposite = {};
        for (size_t r = 0; r < kKeyRows; ++r) {
            const Lanes s = load(rows[r] + i);
            same += weights[r] * ((wanted[r] - s) * (wanted[r] - s));
            opposite += weights[r] * ((wanted[r] + s) * (wanted[r] + s));
        }
        store(out + i, select(opposite < same, -opposite, same));
    }
}

}  // namespace

std::vector<ValueLibrary::Near> ValueLibrary::nearest(const KeyVector& wanted,
                                                      const KeyVector& weights, size_t n,
                                                      size_t k) const {
    n = std::min(n, size());
    alignas(64) double distances[kBlock];
    double bar = kFar;
    std::vector<Near> found;
    const auto closer = [](const Near& a, const Near& b) {
        return a.distance < b.distance || (a.distance == b.distance && a.entry < b.entry);
    };
    for (size_t begin = 0; begin < n; begin += kBlock) {
        const size_t count = std::min(kBlock, n - begin);
        const double* rows[kKeyRows];
        for (size_t r = 0; r < kKeyRows; ++r) rows[r] = values_.row(r) + begin;
        signed_distances(wanted, weights, rows, count, distances);
        for (size_t i = 0; i < count; ++i) {
            const double distance = std::fabs(distances[i]);
            if (!(distance < bar)) continue;
            if (found.size() == k) {
                std::pop_heap(found.begin(), found.end(), closer);
                found.pop_back();
            }
            found.push_back(
                {distance, static_cast<uint32_t>(begin + i), std::signbit(distances[i]) ? -1 : 1});
            std::push_heap(found.begin(), found.end(), closer);
            if (found.size() == k) bar = std::min(bar, found.front().distance);
        }
    }
    std::sort_heap(found.begin(), found.end(), closer);
    return found;
}

// ---- growth ------------------------------------------------------------------------------------

void ValueLibrary::grow(const Growth& growth) {
    const bool has_subsets = !growth.subsets.empty();
    const auto shared = static_cast<size_t>(
        has_subsets ? growth.shared_part * static_cast<double>(growth.max_entries)
                    : static_cast<double>(growth.max_entries));
    most_entries_ = shared;
    int cost = 1, n_empty = 0;
    std::vector<Source> sources;
    for (; cost <= growth.max_cost; ++cost) {
        const bool is_complete = grow_level(cost, ~uint64_t{0}, sources);
        sources.push_back(source_of(segments_.back(), ~uint64_t{0}));
        n_empty = segments_.back().begin == segments_.back().end ? n_empty + 1 : 0;
        if (!is_complete || n_empty == kMostEmpty) break;
    }
    size_t n_left = growth.subsets.size();
    for (const uint64_t inputs : growth.subsets) {
        if (n_vectors_ >= max_vectors_ || patience_.is_over()) break;
        grow_subset(inputs, cost, entries_.size() + (growth.max_entries - entries_.size()) / n_left,
                    growth);
        --n_left;
    }
}

// Goes on with what has no other inputs than these, from the level that was not finished.
void ValueLibrary::grow_subset(uint64_t inputs, int first_cost, size_t max_entries,
                               const Growth& growth) {
    most_entries_ = max_entries;
    int n_empty = 0;
    std::vector<Source> sources;
    for (int cost = 1; cost <= growth.max_cost; ++cost) {
        if (cost < first_cost) {
            for (const Segment& segment : segments_)
                if (segment.cost == cost) sources.push_back(source_of(segment, inputs));
            continue;
        }
        const bool is_complete = grow_level(cost, inputs, sources);
        for (const Segment& segment : segments_)
            if (segment.cost == cost) sources.push_back(source_of(segment, inputs));
        n_empty = segments_.back().begin == segments_.back().end ? n_empty + 1 : 0;
        if (!is_complete || n_empty == kMostEmpty) break;
    }
}

ValueLibrary::Source ValueLibrary::source_of(const Segment& segment, uint64_t inputs) const {
    Source source;
    source.cost = segment.cost;
    source.first = segment.begin;
    source.n = segment.end - segment.begin;
    for (size_t r = 0; r < kKeyRows; ++r) source.rows[r] = values_.row(r) + segment.begin;
    source.shortest = kLongest;
    for (size_t i = segment.begin; i < segment.end; ++i)
        source.shortest = std::min<int>(source.shortest, entries_[i].length);
    if (!(segment.inputs & ~inputs)) return source;
    for (size_t i = segment.begin; i < segment.end; ++i)
        if (!(entries_[i].inputs & ~inputs)) source.ids.push_back(static_cast<uint32_t>(i));
    source.n = source.ids.size();
    for (size_t r = 0; r < kKeyRows; ++r) {
        source.gathered[r].resize(readable(source.n));
        for (size_t i = 0; i < source.n; ++i) source.gathered[r][i] = values_.row(r)[source.ids[i]];
        source.rows[r] = source.gathered[r].data();
    }
    return source;
}

// Adds the entries of one cost; false where a limit was reached.
bool ValueLibrary::grow_level(int cost, uint64_t inputs, const std::vector<Source>& sources) {
    segments_.push_back({cost, inputs, entries_.size(), entries_.size()});
    level_begin_ = entries_.size();
    level_cost_ = cost;
    bool goes_on = true;
    for (size_t f = 0; f < forms_.all.size() && goes_on; ++f) {
        const Form& form = forms_.all[f];
        if (!is_usable_[f] || static_cast<int>(f) == forms_.arithmetic.negate) continue;
        if (form.arity == 0) {
            if (form.cost != cost) continue;
            for (size_t r = 0; r < kKeyRows; ++r)
                std::fill_n(out_->rows[r], kLanes, form.values[r]);
            const double* rows[kKeyRows];
            for (size_t r = 0; r < kKeyRows; ++r) rows[r] = out_->rows[r];
            hash_values(rows, kLanes, resolution_, Constants::kept, keys_.data());
            ++n_vectors_;
            if (keys_[0] != kNoKey) goes_on = add(f, kNone, kNone, keys_[0], form.values, nullptr);
        } else if (form.arity == 1) {
            for (const Source& source : sources)
                if (goes_on && source.cost + form.cost == cost) goes_on = add_unary(f, source);
        } else {
            for (size_t i = 0; i < sources.size() && goes_on; ++i)
                for (size_t j = i; j < sources.size() && goes_on; ++j)
                    if (sources[i].cost + sources[j].cost + form.cost == cost)
                        goes_on = add_binary(f, sources[i], sources[j]);
        }
    }
    segments_.back().end = entries_.size();
    return goes_on;
}

bool ValueLibrary::add_unary(size_t form, const Source& source) {
    for (size_t i = 0; i < source.n; i += kBlock)
        if (!add_block(form, kNone, false, source, i, std::min(kBlock, source.n - i))) return false;
    return true;
}

// One argument from each source; the smaller source is gone through one by one.
bool ValueLibrary::add_binary(size_t form, const Source& left, const Source& right) {
    const bool swap = left.n > right.n;
    const Source &few = swap ? right : left, &many = swap ? left : right;
    if (!add_pairs(form, few, many, false)) return false;
    return forms_.all[form].is_symmetric || add_pairs(form, few, many, true);
}

bool ValueLibrary::add_pairs(size_t form, const Source& few, const Source& many, bool swapped) {
    const bool same = &few == &many && forms_.all[form].is_symmetric;
    for (size_t i = 0; i < few.n; ++i) {
        const uint32_t fixed = few.id(i);
        if (entries_[fixed].length + many.shortest >= rules_.max_length) continue;
        a_->fill(values_[fixed]);
        for (size_t j = same ? i : 0; j < many.n; j += kBlock)
            if (!add_block(form, fixed, swapped, many, j, std::min(kBlock, many.n - j)))
                return false;
    }
    return true;
}

// Adds op(source) for a unary form, op(fixed, source) or, swapped, op(source, fixed).
bool ValueLibrary::add_block(size_t f, uint32_t fixed, bool swapped, const Source& source,
                             size_t begin, size_t n) {
    if (n_vectors_ >= max_vectors_ || patience_.is_over()) {
        stopped_by_ = n_vectors_ >= max_vectors_ ? "vectors" : "seconds";
        return false;
    }
    const Form& form = forms_.all[f];
    const bool by_units = units_.on() && form.token() >= 0 && !form.negates;
    if (by_units) n = gather(form.token(), fixed, swapped, source, begin, n);
    if (n == 0) return true;
    const double* rows[kKeyRows];
    for (size_t r = 0; r < kKeyRows; ++r) {
        const double* column = by_units ? b_->rows[r] : source.rows[r] + begin;
        double* out = out_->rows[r];
        rows[r] = out;
        if (form.negates) {
            for (size_t i = 0; i < n; ++i) b_->rows[r][i] = -column[i];
            column = b_->rows[r];
        }
        const double* a = fixed == kNone || swapped ? column : a_->rows[r];
        const double* b = swapped ? a_->rows[r] : column;
        apply(form.op, a, b, out, n);
        if (form.op == Op::op_add || form.op == Op::op_sub) flush_cancelled(column, out, n);
    }
    hash_values(rows, n, resolution_, Constants::refused, keys_.data());
    n_vectors_ += n;
    for (size_t i = 0; i < n; ++i)
        if (keys_[i] != kNoKey) index_.prefetch(keys_[i]);
    for (size_t i = 0; i < n; ++i) {
        if (keys_[i] == kNoKey) continue;
        const uint32_t other = by_units ? gathered_[i] : source.id(begin + i);
        const uint32_t left = fixed == kNone || swapped ? other : fixed;
        const uint32_t right = fixed == kNone ? kNone : swapped ? fixed : other;
        const rules::Dimension* dimension = by_units ? &gathered_dimensions_[i] : nullptr;
        if (!add(f, left, right, keys_[i], (*out_)[i], dimension)) return false;
    }
    return true;
}

// Gathers in `b_` the arguments beside a fixed one, if any, that go together with it.
size_t ValueLibrary::gather(int token, uint32_t fixed, bool swapped, const Source& source,
                            size_t begin, size_t n) {
    gathered_.clear(), gathered_dimensions_.clear();
    int roots[2];
    rules::Dimension dimensions[2], dimension;
    const bool is_last = fixed != kNone && !swapped;  // the argument that differs
    if (fixed != kNone) {
        roots[!is_last] = entries_[fixed].root;
        dimensions[!is_last] = dimensions_[fixed];
    }
    for (size_t i = begin; i < begin + n; ++i) {
        const uint32_t other = source.id(i);
        roots[is_last] = entries_[other].root;
        dimensions[is_last] = dimensions_[other];
        if (!units_.join(token, roots, dimensions, dimension)) continue;
        for (size_t r = 0; r < kKeyRows; ++r) b_->rows[r][gathered_.size()] = source.rows[r][i];
        gathered_.push_back(other);
        gathered_dimensions_.push_back(dimension);
    }
    return gathered_.size();
}

// Adds one entry unless its values are known; false where the library is full.
bool ValueLibrary::add(size_t f, uint32_t left, uint32_t right, uint64_t key,
                       const KeyVector& values, const rules::Dimension* known_dimension) {
    const Form& form = forms_.all[f];
    Entry entry{left, right, static_cast<uint16_t>(f), static_cast<uint16_t>(level_cost_), 0, 0,
                0,    0};
    const uint32_t known = index_.may_have(key) ? find(key, values) : kNone;
    if (known != kNone && known < level_begin_) return true;
    entry.length = static_cast<uint16_t>(length_of(form, left, right));
    if (entry.length > rules_.max_length) return true;
    if (known != kNone && entries_[known].length <= entry.length) return true;
    if (!is_allowed(f, entry)) return true;
    rules::Dimension dimension = known_dimension ? *known_dimension : rules::kAny;
    if (units_.on() && !known_dimension && !find_dimension(form, left, right, dimension))
        return true;
    entry.inputs = form.input >= 0 ? 1ull << (form.input & 63) : 0;
    if (left != kNone) entry.inputs |= entries_[left].inputs;
    if (right != kNone) entry.inputs |= entries_[right].inputs;
    const int16_t first = form.pattern[0];
    entry.root = first >= 0 ? first : entries_[first == kLeft ? left : right].root;
    if (known != kNone) {
        // Nothing is built on entries of this level yet.
        entries_[known] = entry;
        if (units_.on()) note_dimension(known, dimension);
        values_.set(known, values);
        return true;
    }
    if (entries_.size() >= most_entries_) {
        stopped_by_ = "entries";
        return false;
    }
    index_.insert(key, static_cast<uint32_t>(entries_.size()));
    entries_.push_back(entry);
    values_.push(values);
    if (units_.on()) note_dimension(entries_.size() - 1, dimension);
    return true;
}

}  // namespace dso::semantic
