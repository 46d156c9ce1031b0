#include "semantic/backward.hpp"

#include <algorithm>
#include <cmath>

namespace dso::semantic {

using namespace machine;

namespace {

constexpr int kBitmapBits = 24;
constexpr int kMostBinary = 2;
constexpr double kDwarfed = 0x1p-20;

// Whether a sum is so much larger than what it was made from that it says hardly anything of it:
// y = (y + s) - s for a huge s.
bool is_dwarfed(const KeyVector& argument, const KeyVector& sum) {
    double size = 0, size_of_sum = 0;
    for (size_t r = 0; r < kKeyRows; ++r) {
        size = std::max(size, std::fabs(argument[r]));
        size_of_sum = std::max(size_of_sum, std::fabs(sum[r]));
    }
    return size < kDwarfed * size_of_sum;
}

}  // namespace

BackwardSet::BackwardSet(const ValueLibrary& library, const KeyVector& target,
                         const BackwardLimits& limits, Sameness sameness,
                         rules::Dimension dimension)
    : library_(library),
      limits_(limits),
      sameness_(sameness),
      values_(limits.max_contexts),
      index_(limits.max_contexts, kBitmapBits),
      target_(std::make_unique<ValueBlock>()),
      other_(std::make_unique<ValueBlock>()),
      out_(std::make_unique<ValueBlock>()) {
    const KeyVector wanted = normal_form(sameness, target);
    ValueBlock& block = *out_;
    block.fill(wanted);
    const double* rows[kKeyRows];
    for (size_t r = 0; r < kKeyRows; ++r) rows[r] = block.rows[r];
    uint64_t keys[kLanes];
    hash_values(rows, kLanes, library.resolution(), Constants::kept, keys);
    first_of_cost_.push_back(0);
    if (keys[0] == kNoKey) return;
    add({-1, ValueLibrary::kNone, 0, 0, 0, 0, sameness, dimension}, keys[0], wanted);
    for (int cost = 1; cost <= limits.max_cost && !values_.full(); ++cost) {
        const size_t n_before = contexts_.size();
        first_of_cost_.push_back(n_before);
        for (size_t parent = 0; parent < n_before && !values_.full(); ++parent)
            expand(parent, cost);
    }
}

std::pair<size_t, size_t> BackwardSet::of_cost(int cost) const {
    const auto begin_of = [&](size_t c) {
        return c < first_of_cost_.size() ? first_of_cost_[c] : contexts_.size();
    };
    return {begin_of(cost), begin_of(cost + 1)};
}

bool BackwardSet::add(const Context& context, uint64_t key, const KeyVector& values) {
    if (values_.full()) return false;
    const auto is_it = [&](uint32_t i) {
        return sign_of_match(values_[i], values, library_.resolution()) != 0;
    };
    if (index_.may_have(key) && index_.find(key, is_it) >= 0) return true;
    index_.insert(key, static_cast<uint32_t>(contexts_.size()));
    contexts_.push_back(context);
    values_.push(values);
    return true;
}

// The contexts of a given cost that stand in the hole of `parent`.
void BackwardSet::expand(size_t parent, int cost) {
    const Forms& forms = library_.forms();
    const Context context = contexts_[parent];
    const size_t partners =
        context.n_binary == 0 ? limits_.first_partners : limits_.second_partners;
    target_->fill(values_[parent]);
    for (size_t f = 0; f < forms.all.size(); ++f) {
        const Form& form = forms.all[f];
        const int rest = cost - context.cost - form.cost;
        if (form.arity == 0 || form.negates || rest < 0) continue;
        if (!sameness_inside(form.op, context.sameness)) continue;
        for (int slot = 0; slot < form.arity; ++slot) {
            if (form.inverses[slot].op == Op::python) continue;
            if (form.arity == 1 && rest == 0) combine(parent, f, 0, 0, cost, 0);
            if (form.arity == 2 && rest > 0 && context.n_binary < kMostBinary)
                combine(parent, f, slot, rest, cost, partners);
        }
    }
}

void BackwardSet::combine(size_t parent, size_t f, int slot, int partner_cost, int cost,
                          size_t partners) {
    const Form& form = library_.form(f);
    const Inverse inverse = form.inverses[slot];
    const Context known = contexts_[parent];
    const KeyVector target = values_[parent];
    const Sameness sameness = *sameness_inside(form.op, known.sameness);
    const bool is_sum = inverse.op == Op::op_add || inverse.op == Op::op_sub;
    const auto n_binary = static_cast<uint8_t>(known.n_binary + (form.arity == 2));
    double* rows[kKeyRows];
    uint64_t keys[kBlock];
    uint32_t others[kBlock];
    rules::Dimension dimensions[kBlock];
    const rules::Units& units = library_.units();
    const int token = form.token();
    // The entries of a block that have units for it; what is wanted in the hole beside each.
    const auto gather = [&](size_t first, size_t n) {
        size_t n_fitting = 0;
        for (size_t i = first; i < first + n; ++i) {
            rules::Dimension inside = rules::kAny;
            if (units.on() && token >= 0 &&
                !units.look_into(token, known.dimension, slot,
                                 form.arity == 2 ? library_.entry(i).root : 0,
                                 form.arity == 2 ? library_.dimension(i) : rules::kAny, inside))
                continue;
            for (size_t r = 0; r < kKeyRows && form.arity == 2; ++r)
                other_->rows[r][n_fitting] = library_.values().row(r)[i];
            others[n_fitting] = static_cast<uint32_t>(i);
            dimensions[n_fitting++] = inside;
        }
        return n_fitting;
    };
    const auto add_block = [&](size_t first, size_t n) {
        n = gather(first, n);
        if (n == 0) return;
        for (size_t r = 0; r < kKeyRows; ++r) {
            const double* y = target_->rows[r];
            const double* other = form.arity == 2 ? other_->rows[r] : y;
            rows[r] = out_->rows[r];
            apply(inverse.op, inverse.target_first ? y : other, inverse.target_first ? other : y,
                  out_->rows[r], n);
            if (is_sum) flush_cancelled(y, out_->rows[r], n);
        }
        if (form.arity == 2) normalise(sameness, rows, n);  // functions lead from one to the next
        hash_values(rows, n, library_.resolution(), Constants::kept, keys);
        n_vectors_ += n;
        for (size_t i = 0; i < n; ++i) {
            if (keys[i] == kNoKey) continue;
            const KeyVector found = (*out_)[i];
            if (is_sum && is_dwarfed(target, found)) continue;
            if (form.arity == 1) {  // an inverse may hold on a branch only
                ValueBlock check;
                bool holds = true;
                for (size_t r = 0; r < kKeyRows; ++r) {
                    std::fill_n(check.rows[0], kLanes, found[r]);
                    apply(form.op, check.rows[0], check.rows[0], check.rows[1], kLanes);
                    holds &= std::fabs(check.rows[1][0] - target[r]) <= 1e-9 * std::fabs(target[r]);
                }
                if (!holds) continue;
            }
            const Context context{static_cast<int32_t>(parent),
                                  form.arity == 2 ? others[i] : ValueLibrary::kNone,
                                  static_cast<uint16_t>(f),
                                  static_cast<uint8_t>(slot),
                                  n_binary,
                                  static_cast<uint16_t>(cost),
                                  sameness,
                                  dimensions[i]};
            if (!add(context, keys[i], found)) return;
        }
    };
    if (form.arity == 1) return add_block(0, 1);
    for (const Segment& segment : library_.segments()) {
        if (segment.cost != partner_cost || segment.begin >= partners) continue;
        const size_t end = std::min(segment.end, partners);
        for (size_t i = segment.begin; i < end; i += kBlock)
            add_block(i, std::min(kBlock, end - i));
    }
}

}  // namespace dso::semantic
