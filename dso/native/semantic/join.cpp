#include "semantic/join.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace dso::semantic {

using namespace machine;

namespace {

constexpr Op kLookUps[] = {Op::op_sub, Op::op_add, Op::op_mul, Op::op_div};
constexpr uint64_t kLookUpsPerCheck = 1 << 18;

double value_of(Op op, double target, double s) {
    switch (op) {
        case Op::op_sub:
            return target - s;
        case Op::op_add:
            return target + s;
        case Op::op_mul:
            return target * s;
        default:
            return target / s;
    }
}

}  // namespace

// ---- verification ------------------------------------------------------------------------------

Verifier::Verifier(const Library& library, const rules::RuleSet& rules, const Data& sample,
                   const Data& data, double tolerance, Sameness sameness,
                   std::vector<int16_t> prefix)
    : sample_machine_(library, sample.columns, sample.is_protected),
      machine_(library, data.columns, data.is_protected),
      sample_(sample),
      data_(data),
      state_(rules),
      tolerance_(tolerance),
      sameness_(sameness),
      prefix_(std::move(prefix)) {
    const auto check = [&](const Data& rows) {
        if (rows.required_target().n_rows() == 0 ||
            rows.columns.n_columns() < static_cast<size_t>(library.n_inputs()))
            throw std::invalid_argument("search: X (D, N) with the library's inputs, y (N,)");
    };
    check(sample), check(data);
    if (rules.n_tokens() != library.arities.size())
        throw std::invalid_argument("rules and tokens of different libraries");
    const double* y = data.target->y();
    for (size_t i = 0; i < data.columns.n_rows(); ++i) scale_ = std::max(scale_, std::fabs(y[i]));
}

bool Verifier::accepts(const std::vector<int16_t>& tokens) {
    return is_allowed(tokens) && matches(sample_machine_, sample_, tokens) &&
           matches(machine_, data_, tokens);
}

bool Verifier::is_allowed(const std::vector<int16_t>& tokens) {
    state_.restart();
    const auto takes = [&](int16_t token) {
        if (state_.finished() || !state_.allows(token)) return false;
        state_.push(token);
        return true;
    };
    return std::all_of(prefix_.begin(), prefix_.end(), takes) &&
           std::all_of(tokens.begin(), tokens.end(), takes) && state_.finished();
}

// Each row within the tolerance, relative to itself and a little of the greatest |y|.
bool Verifier::matches(Machine& machine, const Data& data, const std::vector<int16_t>& tokens) {
    const double* y = data.target->y();
    const size_t n_rows = data.columns.n_rows();
    machine.compile(tokens.data(), static_cast<int32_t>(tokens.size()), nullptr, 0);
    bool fits = true;
    values_.clear();
    const Verdict verdict =
        machine.run(Rest::left, [&](size_t row, const double* values, size_t n) {
            n = std::min(n, n_rows - row);
            if (sameness_ != Sameness::exact)
                values_.insert(values_.end(), values, values + n);
            else
                for (size_t i = 0; i < n; ++i) fits &= is_near(values[i], y[row + i]);
            return fits;
        });
    return fits && verdict.cause == Cause::valid && (sameness_ == Sameness::exact || is_same(y));
}

// Whether the values, with the factor or offset that fits best, are those of y.
bool Verifier::is_same(const double* y) {
    double products = 0, squares = 0, differences = 0;
    for (size_t i = 0; i < values_.size(); ++i) {
        products += values_[i] * y[i];
        squares += values_[i] * values_[i];
        differences += y[i] - values_[i];
    }
    const bool is_scale = sameness_ == Sameness::scale;
    const double factor = is_scale ? products / squares : 1;
    const double offset = is_scale ? 0 : differences / static_cast<double>(values_.size());
    for (size_t i = 0; i < values_.size(); ++i)
        if (!is_near(offset + factor * values_[i], y[i])) return false;
    return true;
}

// ---- look-ups ----------------------------------------------------------------------------------

DSO_CLONES
void hash_joins(const KeyVector& target, const double* const rows[kKeyRows], size_t n,
                Resolution resolution, uint64_t (*keys)[kBlock]) {
    alignas(64) double values[kKeyRows][kBlock];
    const double* columns[kKeyRows];
    for (size_t r = 0; r < kKeyRows; ++r) columns[r] = values[r];
    for (size_t k = 0; k < 4; ++k) {
        for (size_t r = 0; r < kKeyRows; ++r) {
            const Lanes y = splat(target[r]);
            for (size_t i = 0; i < n; i += kLanes) {
                const Lanes s = load(rows[r] + i);
                store(values[r] + i, k == 0 ? y - s : k == 1 ? y + s : k == 2 ? y * s : y / s);
            }
        }
        hash_values(columns, n, resolution, Constants::kept, keys[k]);
    }
}

namespace {

// out = target op s for n entries.
DSO_CLONES
void combine(Op op, double target, const double* s, size_t n, double* out) {
    const Lanes y = splat(target);
    for (size_t i = 0; i < n; i += kLanes) {
        const Lanes x = load(s + i);
        store(out + i, op == Op::op_sub   ? y - x
                       : op == Op::op_add ? y + x
                       : op == Op::op_mul ? y * x
                                          : y / x);
    }
}

}  // namespace

bool JoinSearch::has_layer(int cost) const {
    int most = 0;
    for (const Segment& segment : library_.segments()) most = std::max(most, segment.cost);
    const int last = backward_.size() ? backward_.context(backward_.size() - 1).cost : -1;
    return last >= 0 && cost <= most + last;
}

bool JoinSearch::run_layer(int cost, const JoinLimits& limits, Verifier& verifier,
                           std::vector<Hit>& hits) {
    Patience patience(limits.is_over);
    uint64_t most = limits.max_lookups, next_check = n_lookups_;
    const auto goes_on = [&] {
        if (n_lookups_ >= most || hits.size() >= limits.max_hits) return false;
        if (n_lookups_ < next_check) return true;
        next_check = n_lookups_ + kLookUpsPerCheck;
        return !patience.is_over();
    };
    const auto judge_all = [&] {
        const bool had_none = hits.empty();
        judge(cost, verifier, hits);
        // The rest of a layer is there for a nicer answer; it need not cost more than the first.
        if (had_none && !hits.empty()) most = std::min(most, 2 * n_lookups_ + (1 << 20));
    };
    const auto [first, last] = backward_.of_cost(cost);
    for (size_t context = first; context < last; ++context) look_up_context(context);
    judge_all();
    for (int c = 0; c < cost; ++c) {
        const auto [begin, end] = backward_.of_cost(c);
        for (size_t context = begin; context < end; ++context)
            for (const Segment& segment : library_.segments()) {
                if (segment.cost != cost - c) continue;
                for (size_t i = segment.begin; i < segment.end; i += kBlock) {
                    if (!goes_on()) return false;
                    look_up_pairs(context, i, std::min(kBlock, segment.end - i));
                    if (!joins_.empty()) judge_all();
                }
            }
    }
    return true;
}

void find_entry(const ValueLibrary& library, const KeyVector& target, size_t context,
                std::vector<Join>& joins) {
    const uint32_t found = library.find(target);
    if (found == ValueLibrary::kNone) return;
    const int sign = sign_of_match(target, library.values()[found], library.resolution());
    joins.push_back({context, Join::kNoForm, found, found, sign, false});
}

namespace {

// target = s op' found, where found = sign * target op s.
Join join_of(const Arithmetic& forms, Op op, size_t context, uint32_t s, uint32_t found, int sign) {
    switch (op) {
        case Op::op_sub:  // target = s + sign * found
            return {context, forms.add, s, found, sign, false};
        case Op::op_add:  // target = sign * found - s, or -(s - sign * found)
            return {context, forms.sub, s, found, sign, true};
        case Op::op_mul:  // target = sign * found / s
            return {context, forms.div, found, s, 1, sign < 0};
        default:  // target = s * (sign * found)
            return {context, forms.mul, s, found, sign, false};
    }
}

}  // namespace

void find_pairs(const ValueLibrary& library, const KeyVector& target, size_t context, size_t begin,
                size_t n, std::vector<Join>& joins) {
    uint64_t keys[4][kBlock];
    const double* rows[kKeyRows];
    for (size_t r = 0; r < kKeyRows; ++r) rows[r] = library.values().row(r) + begin;
    hash_joins(target, rows, n, library.resolution(), keys);
    const KeyIndex& index = library.index();
    const Arithmetic& forms = library.forms().arithmetic;
    for (int k = 0; k < 4; ++k)
        for (size_t i = 0; i < n; ++i) {
            const uint64_t key = keys[k][i];
            if (key == kNoKey || !index.may_have(key)) continue;
            KeyVector wanted;
            for (size_t r = 0; r < kKeyRows; ++r)
                wanted[r] = value_of(kLookUps[k], target[r], rows[r][i]);
            const uint32_t found = library.find(key, wanted);
            if (found == ValueLibrary::kNone) continue;
            const int sign = sign_of_match(wanted, library.values()[found], library.resolution());
            const auto s = static_cast<uint32_t>(begin + i);
            joins.push_back(join_of(forms, kLookUps[k], context, s, found, sign));
        }
}

void find_entry(const ClassIndex& classes, const KeyVector& target, size_t context,
                std::vector<Join>& joins) {
    alignas(64) double values[kKeyRows][kLanes];
    const double* rows[kKeyRows];
    for (size_t r = 0; r < kKeyRows; ++r) {
        std::fill_n(values[r], kLanes, target[r]);
        rows[r] = values[r];
    }
    uint64_t keys[kLanes];
    const Resolution resolution = classes.library().resolution();
    hash_values(rows, kLanes, resolution, Constants::kept, keys);
    if (keys[0] == kNoKey) return;
    const uint32_t found = classes.find(keys[0], target);
    if (found == ValueLibrary::kNone) return;
    const KeyVector own = normal_form(classes.sameness(), classes.library().values()[found]);
    joins.push_back(
        {context, Join::kNoForm, found, found, sign_of_match(target, own, resolution), false});
}

void find_pairs(const ValueLibrary& library, const ClassIndex* classes, Op op,
                const KeyVector& target, size_t context, const std::vector<uint32_t>& entries,
                ValueBlock& block, std::vector<Join>& joins) {
    double* rows[kKeyRows];
    const double* read[kKeyRows];
    const size_t n = entries.size();
    for (size_t r = 0; r < kKeyRows; ++r) {
        read[r] = rows[r] = block.rows[r];
        combine(op, target[r], read[r], n, rows[r]);
    }
    if (classes) normalise(classes->sameness(), rows, n);
    uint64_t keys[kBlock];
    hash_values(read, n, library.resolution(), Constants::kept, keys);
    const KeyIndex& index = classes ? classes->index() : library.index();
    for (size_t i = 0; i < n; ++i) {
        if (keys[i] == kNoKey || !index.may_have(keys[i])) continue;
        const KeyVector wanted = block[i];
        const uint32_t found =
            classes ? classes->find(keys[i], wanted) : library.find(keys[i], wanted);
        if (found == ValueLibrary::kNone) continue;
        const KeyVector values = library.values()[found];
        const KeyVector own = classes ? normal_form(classes->sameness(), values) : values;
        const int sign = sign_of_match(wanted, own, library.resolution());
        joins.push_back(join_of(library.forms().arithmetic, op, context, entries[i], found, sign));
    }
}

JoinSearch::JoinSearch(const ValueLibrary& library, const BackwardSet& backward)
    : library_(library), backward_(backward), writer_(library) {
    if (backward.sameness() == Sameness::exact) return;
    scale_ = std::make_unique<ClassIndex>(library, Sameness::scale);
    shift_ = std::make_unique<ClassIndex>(library, Sameness::shift);
}

const ClassIndex* JoinSearch::classes_of(size_t context) const {
    const Sameness sameness = backward_.context(context).sameness;
    return sameness == Sameness::exact   ? nullptr
           : sameness == Sameness::scale ? scale_.get()
                                         : shift_.get();
}

void JoinSearch::look_up_context(size_t context) {
    const KeyVector wanted = backward_.values()[context];
    const size_t n_before = joins_.size();
    if (const ClassIndex* classes = classes_of(context))
        find_entry(*classes, wanted, context, joins_);
    else
        find_entry(library_, wanted, context, joins_);
    ++n_lookups_;
    if (joins_.size() == n_before) return;
    const rules::Dimension own = library_.dimension(joins_.back().first);
    const rules::Dimension dimension = backward_.dimension(context);
    if (own != dimension && own != rules::kAny && dimension != rules::kAny) joins_.pop_back();
}

void JoinSearch::look_up_pairs(size_t context, size_t begin, size_t n) {
    const KeyVector wanted = backward_.values()[context];
    const ClassIndex* classes = classes_of(context);
    const rules::Dimension dimension = backward_.dimension(context);
    if (!classes && dimension == rules::kAny) {
        find_pairs(library_, wanted, context, begin, n, joins_);
        n_lookups_ += 4 * n;
        return;
    }
    for (const Op op : kLookUps) {
        const bool is_sum = op == Op::op_add || op == Op::op_sub;
        if (classes && is_sum != (classes->sameness() == Sameness::shift)) continue;
        gather(op, dimension, begin, n);
        if (gathered_.empty()) continue;
        find_pairs(library_, classes, op, wanted, context, gathered_, block_, joins_);
        n_lookups_ += gathered_.size();
    }
}

// Gathers the entries s for which `wanted` op s is a dimension that an entry may have.
void JoinSearch::gather(Op op, rules::Dimension wanted, size_t begin, size_t n) {
    const auto fits = [&](rules::Dimension s) {
        if (wanted == rules::kAny || s == rules::kAny) return true;
        if (op == Op::op_add || op == Op::op_sub) return s == wanted;
        return library_.may_have(op == Op::op_mul ? rules::plus(wanted, s)
                                                  : rules::minus(wanted, s));
    };
    gathered_.clear();
    for (size_t i = begin; i < begin + n; ++i) {
        if (!fits(library_.dimension(i))) continue;
        for (size_t r = 0; r < kKeyRows; ++r)
            block_.rows[r][gathered_.size()] = library_.values().row(r)[i];
        gathered_.push_back(static_cast<uint32_t>(i));
    }
}

bool JoinSearch::write_cheapest(size_t n_partners, std::vector<int16_t>& tokens) {
    if (backward_.size() == 0) return false;
    joins_.clear();
    look_up_context(0);
    const size_t n = std::min(n_partners, library_.size());
    for (size_t i = 0; i < n && joins_.empty(); i += kBlock)
        look_up_pairs(0, i, std::min(kBlock, n - i));
    const auto cost = [&](const Join& join) {
        return library_.entry(join.first).cost + library_.entry(join.second).cost;
    };
    std::stable_sort(joins_.begin(), joins_.end(),
                     [&](const Join& a, const Join& b) { return cost(a) < cost(b); });
    for (const Join& join : joins_)
        if (join.form != -1 && writer_.write(backward_, join, tokens)) return true;
    return false;
}

std::vector<std::vector<int16_t>> join_cheapest(const ValueLibrary& library,
                                                const std::vector<KeyVector>& wanted,
                                                size_t n_partners) {
    std::vector<std::vector<int16_t>> programs(wanted.size());
    for (size_t q = 0; q < wanted.size(); ++q) {
        const BackwardSet target(library, wanted[q], BackwardLimits{1, 0, 0, 0});
        JoinSearch joins(library, target);
        if (!joins.write_cheapest(n_partners, programs[q])) programs[q].clear();
    }
    return programs;
}

void JoinSearch::judge(int cost, Verifier& verifier, std::vector<Hit>& hits) {
    for (const Join& join : joins_) {
        if (join.form == -1) continue;  // the tokens cannot say it
        if (!writer_.write(backward_, join, tokens_)) continue;
        const uint64_t identity = hash_tokens(tokens_.data(), static_cast<int32_t>(tokens_.size()));
        if (!judged_.insert(identity).second) continue;
        ++n_verified_;
        if (verifier.accepts(tokens_)) hits.push_back({tokens_, cost});
    }
    joins_.clear();
}

}  // namespace dso::semantic
