#include "semantic/mutation.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "machine/inversion.hpp"
#include "machine/partials.hpp"
#include "threads.hpp"

namespace dso::semantic {

using namespace machine;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr size_t kMostJoins = 4, kMostNear = 4;  // that are tried in one place
constexpr int kMostPlaces = 3;                   // that one offspring is tried in

// The solution of period `period` that is nearest to `now`.
double shifted(double solution, double period, double now) {
    return solution + period * std::round((now - solution) / period);
}

double nearer(double a, double b, double now) {
    return std::fabs(b - now) < std::fabs(a - now) ? b : a;
}

// Of the solutions x of op(x, other) = y, given the principal one, that nearest to `now`.
double nearest_branch(Op op, int argument, double principal, double other, double now) {
    const Branches branches = argument == 0 ? branches_of(op, other) : kSingle;
    if (!branches.has_period())
        return branches.has_mirror() ? std::copysign(principal, now) : principal;
    const double nearest = shifted(principal, branches.period, now);
    if (!branches.has_mirror()) return nearest;
    return nearer(nearest, shifted(branches.mirror - principal, branches.period, now), now);
}

bool is_finite(const KeyVector& values) {
    return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
}

}  // namespace

SemanticTarget::SemanticTarget(std::shared_ptr<const ValueLibrary> values_, const Library& library_,
                               std::shared_ptr<const Data> data_, size_t n_partners_,
                               size_t n_nearest_)
    : values(std::move(values_)),
      library(library_),
      data(std::move(data_)),
      n_partners(n_partners_),
      n_nearest(n_nearest_) {
    if (data->required_target().n_rows() != kKeyRows ||
        data->columns.n_columns() < static_cast<size_t>(library.n_inputs()))
        throw std::invalid_argument("SemanticTarget: X (D, rows) and y (rows,) on the key rows");
}

// ---- solving -----------------------------------------------------------------------------------

bool NodeSolver::solve(const gp::Sequence& program, size_t at) {
    if (!execute(program)) return false;
    Values y, slope;
    for (size_t i = 0; i < kLanes; ++i) y.lanes[i] = target_.data->target->y()[i % kKeyRows];
    slope.lanes.fill(1);
    size_t node = 0;
    while (node != at) {
        const auto& children = nodes_[node].children;
        const int argument = nodes_[children[0]].end > at ? 0 : 1;
        if (!descend(program, node, argument, y, slope)) return false;
        node = children[argument];
    }
    for (size_t r = 0; r < kKeyRows; ++r) {
        wanted_[r] = y.lanes[r];
        slopes_[r] = std::fabs(slope.lanes[r]);
    }
    return is_finite(wanted_);
}

// Values of every node on the key rows, from the last to the first.
bool NodeSolver::execute(const gp::Sequence& program) {
    const Library& library = target_.library;
    values_.resize(program.size());
    nodes_.resize(program.size());
    stack_.clear();
    for (size_t t = program.size(); t-- > 0;) {
        const int16_t token = program.tokens[t];
        const Op op = library.opcodes[token];
        double* out = values_[t].lanes.data();
        Node& node = nodes_[t];
        node.end = t + 1;
        for (int i = 0; i < library.arities[token]; ++i) {
            const size_t child = stack_.back();
            stack_.pop_back();
            if (i < 2) node.children[i] = child;
            node.end = nodes_[child].end;
        }
        stack_.push_back(t);
        if (op == Op::input) {
            const double* column = target_.data->columns.column(library.operands[token], 0);
            std::copy(column, column + kLanes, out);
        } else if (op == Op::literal) {
            std::fill_n(out, kLanes, library.values[token]);
        } else if (op == Op::constant) {
            const double number = program.has_numbers ? program.numbers[t] : kNaN;
            std::fill_n(out, kLanes, std::isnan(number) ? 1.0 : number);
        } else if (op == Op::less) {
            const double* checked = target_.data->columns.column(library.operands[token], 0);
            const double *a = values_[node.children[0]].lanes.data(),
                         *b = values_[node.children[1]].lanes.data();
            for (size_t i = 0; i < kLanes; ++i)
                out[i] = checked[i] < library.values[token] ? a[i] : b[i];
        } else if (can_apply(op)) {
            const bool is_binary = library.arities[token] == 2;
            const double* a = values_[node.children[0]].lanes.data();
            apply(op, a, is_binary ? values_[node.children[1]].lanes.data() : a, out, kLanes);
        } else {
            return false;  // only Python knows, or it would have to be fitted
        }
    }
    return true;
}

// From what `node` ought to be to what its argument ought to be.
bool NodeSolver::descend(const gp::Sequence& program, size_t node, int argument, Values& y,
                         Values& slope) {
    const int16_t token = program.tokens[node];
    const Op op = target_.library.opcodes[token];
    const auto& children = nodes_[node].children;
    const double* now = values_[children[argument]].lanes.data();
    if (op == Op::less) {
        const double* checked = target_.data->columns.column(target_.library.operands[token], 0);
        for (size_t i = 0; i < kKeyRows; ++i)
            if ((checked[i] < target_.library.values[token]) != (argument == 0)) return false;
        return true;
    }
    if (!has_inverse(op, argument)) return false;
    const bool is_binary = target_.library.arities[token] == 2;
    const double* other = is_binary ? values_[children[1 - argument]].lanes.data() : now;
    const double* a = values_[children[0]].lanes.data();
    const double* b = is_binary ? values_[children[1]].lanes.data() : a;
    Values solved, chained;
    invert(op, argument, y.lanes.data(), other, solved.lanes.data(), kLanes);
    chain(op, slope.lanes.data(), a, b, values_[node].lanes.data(),
          argument == 0 ? chained.lanes.data() : nullptr,
          argument == 1 ? chained.lanes.data() : nullptr, kLanes);
    for (size_t i = 0; i < kLanes; ++i) {
        y.lanes[i] = nearest_branch(op, argument, solved.lanes[i], other[i], now[i]);
        slope.lanes[i] = chained.lanes[i];
    }
    return true;
}

// ---- breeding ----------------------------------------------------------------------------------

namespace {

class SemanticBreeding : private gp::Breeding {
public:
    SemanticBreeding(const SemanticTarget& target, const gp::BreedJob& job)
        : gp::Breeding(job),
          target_(target),
          values_(*target.values),
          solver_(target),
          writer_(values_) {
        whole_.has_numbers = child_.has_numbers;
    }

    void breed_row(size_t at, gp::Brood& brood, int64_t& n_lookups) {
        brood.n_refused[at] = brood.n_known[at] = 0;
        n_lookups = 0;
        const int n_places = std::min(options_.n_attempts, kMostPlaces);
        for (int attempt = 0; attempt < n_places; ++attempt) {
            start(at, attempt);
            parent_ = choose_parent(job_.groups[at]);
            load(parent_, whole_);
            place_ = draws_.below(whole_.size());
            if (!solver_.solve(whole_, place_)) continue;
            const uint8_t operation = replace(at, brood, n_lookups);
            if (operation == gp::kCopied) continue;
            write(child_, at, brood);
            brood.operations[at] = operation;
            return;
        }
        load(parent_, child_);
        write(child_, at, brood);
        brood.operations[at] = gp::kCopied;
    }

private:
    // Puts the best expression that the rules allow in the place that was solved for.
    uint8_t replace(size_t at, gp::Brood& brood, int64_t& n_lookups) {
        joins_.clear();
        find_entry(values_, solver_.wanted(), 0, joins_);
        ++n_lookups;
        if (fits_any_join(at, brood)) return gp::kSemantic | gp::kSolved;
        joins_.clear();
        const size_t n = std::min(target_.n_partners, values_.size());
        for (size_t i = 0; i < n; i += kBlock)
            find_pairs(values_, solver_.wanted(), 0, i, std::min(kBlock, n - i), joins_);
        n_lookups += static_cast<int64_t>(4 * n);
        if (fits_any_join(at, brood)) return gp::kSemantic | gp::kSolved;
        return fits_any_near(at, brood) ? gp::kSemantic : gp::kCopied;
    }

    // Tries what has exactly the values wanted, the cheapest first.
    bool fits_any_join(size_t at, gp::Brood& brood) {
        const auto cost = [&](const Join& join) {
            return values_.entry(join.first).cost + values_.entry(join.second).cost;
        };
        std::stable_sort(joins_.begin(), joins_.end(),
                         [&](const Join& a, const Join& b) { return cost(a) < cost(b); });
        size_t n_tried = 0;
        for (const Join& join : joins_) {
            if (join.form == -1 || !writer_.write_join(join, tokens_)) continue;
            if (fits(at, brood)) return true;
            if (++n_tried == kMostJoins) break;
        }
        return false;
    }

    // Tries what comes nearest, by what it would change in the whole.
    bool fits_any_near(size_t at, gp::Brood& brood) {
        KeyVector weights;
        for (size_t r = 0; r < kKeyRows; ++r) weights[r] = std::pow(solver_.slopes()[r], 2);
        if (!is_finite(weights) || *std::max_element(weights.begin(), weights.end()) == 0)
            return false;
        const auto near = values_.nearest(solver_.wanted(), weights, target_.n_nearest, kMostNear);
        for (const auto& [distance, entry, sign] : near) {
            tokens_.clear();
            if (values_.write(entry, sign < 0, tokens_) && fits(at, brood)) return true;
        }
        return false;
    }

    // Whether the parent with `tokens_` in the chosen place is new and allowed.
    bool fits(size_t at, gp::Brood& brood) {
        segment_.clear();
        for (const int16_t token : tokens_) segment_.push(token);
        child_ = whole_;
        unchanged_ = child_.size();
        splice(place_, end_of_subtree(child_, place_), segment_, 0, segment_.size());
        if (child_.tokens == whole_.tokens) return false;
        if (is_known()) {
            ++brood.n_known[at];
            return false;
        }
        if (!allowed(brood.n_positions)) {
            ++brood.n_refused[at];
            return false;
        }
        return true;
    }

    const SemanticTarget& target_;
    const ValueLibrary& values_;
    NodeSolver solver_;
    ExpressionWriter writer_;
    std::vector<Join> joins_;
    std::vector<int16_t> tokens_;
    gp::Sequence whole_;
    size_t place_ = 0;
};

}  // namespace

void breed_by_values(const SemanticTarget& target, const gp::BreedJob& job, gp::Brood& brood,
                     int64_t* n_lookups) {
    if (target.library.arities.size() != job.rules.n_tokens())
        throw std::invalid_argument("breed: rules and target of different libraries");
    check(job);
    parallel_for(job.n_rows, job.n_threads, gp::kRowsPerChunk,
                 [&](size_t, size_t begin, size_t end) {
                     SemanticBreeding breeding(target, job);
                     for (size_t at = begin; at < end; ++at)
                         breeding.breed_row(at, brood, n_lookups[at]);
                 });
}

}  // namespace dso::semantic
