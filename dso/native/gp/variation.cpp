#include "gp/variation.hpp"

#include <algorithm>
#include <stdexcept>

#include "gp/breeding.hpp"
#include "threads.hpp"

namespace dso::gp {
namespace {

class BlindBreeding : private Breeding {
public:
    explicit BlindBreeding(const BreedJob& job)
        : Breeding(job), by_arity_(job.rules.max_arity + 1) {
        for (size_t token = 0; token < rules_.n_tokens(); ++token) {
            by_arity_[rules_.arities[token]].push_back(static_cast<int16_t>(token));
            if (rules_.arities[token] > 0) operators_.push_back(static_cast<int16_t>(token));
        }
    }

    void breed_row(size_t at, Brood& brood) {
        brood.n_refused[at] = brood.n_known[at] = 0;
        for (int attempt = 0; attempt < options_.n_attempts; ++attempt) {
            start(at, attempt);
            if (!vary(job_.groups[at])) continue;  // nothing that could be changed
            // The cheaper question first: a known program has obeyed already.
            if (operation_ != kPerturbed && is_known()) {
                ++brood.n_known[at];
                continue;
            }
            if (!allowed(brood.n_positions)) {
                ++brood.n_refused[at];
                continue;
            }
            write(child_, at, brood);
            brood.operations[at] = operation_;
            return;
        }
        load(parent_, child_);
        write(child_, at, brood);
        brood.operations[at] = kCopied;
    }

private:
    // Makes a child of chosen parents; false where nothing was changed.
    bool vary(int group) {
        operation_ = kCopied;
        unchanged_ = 0;
        parent_ = choose_parent(group);
        load(parent_, child_);
        bool crosses = draws_.happens(options_.p_crossover);
        bool mutates = draws_.happens(options_.p_mutate);
        if (!crosses && !mutates) {  // a copy teaches nothing: one of both it is
            const double both = options_.p_crossover + options_.p_mutate;
            if (both <= 0) return false;
            crosses = draws_.happens(options_.p_crossover / both);
            mutates = !crosses;
        }
        unchanged_ = child_.size();
        if (crosses) cross(choose_parent(group));
        if (mutates) mutate(group);
        return operation_ != kCopied;
    }

    void cross(size_t mate) {
        load(mate, mate_);
        if (child_.size() < 2 || mate_.size() < 2) return;
        const size_t at = 1 + draws_.below(child_.size() - 1);
        const size_t from = 1 + draws_.below(mate_.size() - 1);
        splice(at, end_of_subtree(child_, at), mate_, from, end_of_subtree(mate_, from));
        operation_ |= kCrossed;
    }

    void mutate(int group) {
        if (options_.p_perturb > 0 && has_numbers() && draws_.happens(options_.p_perturb)) {
            perturb();
            return;
        }
        switch (draws_.below(4)) {
            case 0:
                replace_subtree();
                break;
            case 1:
                replace_node();
                break;
            case 2:
                insert(group);
                break;
            default:
                shrink();
        }
    }

    void replace_subtree() {
        const size_t at = draws_.below(child_.size());
        segment_.clear();
        const auto depth = draws_.below(static_cast<size_t>(options_.mutate_tree_max) + 1);
        if (!grow(static_cast<int>(depth))) return;
        splice(at, end_of_subtree(child_, at), segment_, 0, segment_.size());
        operation_ |= kSubtree;
    }

    // A random full tree, token by token; false where it can have no end or gets far too long.
    bool grow(int depth) {
        levels_.assign(1, depth);
        while (!levels_.empty()) {
            const int left = levels_.back();
            levels_.pop_back();
            const auto& choices = left > 0 && !operators_.empty() ? operators_ : by_arity_[0];
            if (choices.empty() || segment_.size() > kLongest) return false;
            const int16_t token = choices[draws_.below(choices.size())];
            segment_.push(token);
            for (int child = 0; child < rules_.arities[token]; ++child) levels_.push_back(left - 1);
        }
        return true;
    }

    void replace_node() {
        const size_t at = draws_.below(child_.size());
        const int16_t old = child_.tokens[at];
        const auto& choices = by_arity_[rules_.arities[old]];
        if (choices.size() < 2) return;
        size_t chosen = draws_.below(choices.size() - 1);
        if (choices[chosen] >= old) ++chosen;  // any but the old one
        child_.tokens[at] = choices[chosen];
        if (child_.has_numbers) child_.numbers[at] = kToBeFitted;
        unchanged_ = std::min(unchanged_, at);
        operation_ |= kReplaced;
    }

    void insert(int group) {
        if (operators_.empty() || by_arity_[0].empty()) return;
        const size_t at = draws_.below(child_.size());
        const size_t end = end_of_subtree(child_, at);
        const int16_t token = operators_[draws_.below(operators_.size())];
        const auto arity = static_cast<size_t>(rules_.arities[token]);
        const size_t slot = draws_.below(arity);
        const bool joins = arity > 1 && draws_.happens(options_.p_join);
        size_t from = 0, to = 0;
        if (joins) {
            load(choose_parent(group), mate_);
            from = draws_.below(mate_.size()), to = end_of_subtree(mate_, from);
        }
        segment_.clear();
        segment_.push(token);
        for (size_t s = 0; s < arity; ++s) {
            if (s == slot)
                segment_.append(child_, at, end);
            else if (joins)
                segment_.append(mate_, from, to);
            else
                segment_.push(by_arity_[0][draws_.below(by_arity_[0].size())]);
        }
        splice(at, end, segment_, 0, segment_.size());
        operation_ |= kInserted;
    }

    void shrink() {
        size_t n_operators = 0;
        for (int16_t token : child_.tokens) n_operators += rules_.arities[token] > 0;
        if (n_operators == 0) return;
        size_t chosen = draws_.below(n_operators), at = 0;
        while (rules_.arities[child_.tokens[at]] == 0 || chosen-- > 0) ++at;
        size_t begin = at + 1;
        for (size_t slot = draws_.below(rules_.arities[child_.tokens[at]]); slot > 0; --slot)
            begin = end_of_subtree(child_, begin);
        const size_t end = end_of_subtree(child_, begin);
        segment_.clear();
        segment_.append(child_, begin, end);
        splice(at, end_of_subtree(child_, at), segment_, 0, segment_.size());
        operation_ |= kShrunk;
    }

    bool has_numbers() const {
        return std::any_of(child_.numbers.begin(), child_.numbers.end(),
                           [](double number) { return !std::isnan(number); });
    }

    // One of the fitted numbers, times a factor near 1, and at times with its sign turned.
    void perturb() {
        size_t n_numbers = 0;
        for (double number : child_.numbers) n_numbers += !std::isnan(number);
        size_t chosen = draws_.below(n_numbers), at = 0;
        while (std::isnan(child_.numbers[at]) || chosen-- > 0) ++at;
        const double radius = std::sqrt(-2.0 * std::log(draws_.uniform()));
        const double normal = radius * std::cos(6.283185307179586 * draws_.uniform());
        const double sign = draws_.happens(0.1) ? -1.0 : 1.0;
        child_.numbers[at] = sign * child_.numbers[at] * std::exp(0.3 * normal);
        operation_ |= kPerturbed;
    }

    static constexpr size_t kLongest = 4096;  // of a grown subtree

    std::vector<std::vector<int16_t>> by_arity_;
    std::vector<int16_t> operators_;
    std::vector<int> levels_;
    uint8_t operation_ = kCopied;
};

}  // namespace

static void check_parents(const rules::RuleSet& rules, const Parents& parents) {
    const machine::ProgramView& programs = parents.programs;
    const std::vector<int64_t>& offsets = parents.offsets;
    if (offsets.size() < 2 || offsets.front() != 0 ||
        !std::is_sorted(offsets.begin(), offsets.end()) ||
        offsets.back() != static_cast<int64_t>(programs.n_programs))
        throw std::invalid_argument("breed: offsets of groups ascend from 0 to B");
    for (size_t b = 0; b < programs.n_programs; ++b) {
        int64_t open = 1;
        for (int t = 0; t < programs.lengths[b]; ++t) {
            const int16_t token = programs.row(b)[t];
            if (open == 0 || token < 0 || static_cast<size_t>(token) >= rules.n_tokens())
                throw std::invalid_argument("breed: a parent is no program of the library");
            open += rules.arities[token] - 1;
        }
        if (open != 0) throw std::invalid_argument("breed: a parent is no complete program");
    }
}

void check(const BreedJob& job) {
    if (job.has_constant.size() != job.rules.n_tokens())
        throw std::invalid_argument("breed: tokens and rules of different libraries");
    check_parents(job.rules, job.parents);
    for (size_t i = 0; i < job.n_rows; ++i) {
        const int32_t group = job.groups[i];
        if (group < 0 || static_cast<size_t>(group) >= job.parents.n_groups() ||
            job.parents.offsets[group] == job.parents.offsets[group + 1])
            throw std::invalid_argument("breed: a row belongs to a group without parents");
    }
}

void breed(const BreedJob& job, Brood& brood) {
    check(job);
    parallel_for(job.n_rows, job.n_threads, kRowsPerChunk, [&](size_t, size_t begin, size_t end) {
        BlindBreeding breeding(job);
        for (size_t at = begin; at < end; ++at) breeding.breed_row(at, brood);
    });
}

}  // namespace dso::gp
