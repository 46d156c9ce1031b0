#include "gp/variation.hpp"

#include "gp/breeding.hpp"

namespace dso::gp {
namespace {

class BlindBreeding : private Breeding {
public:
    BlindBreeding(const rules::RuleSet& rules, const std::vector<uint8_t>& has_constant,
                  const Parents& parents, const BreedOptions& options, const machine::KeySet* known)
        : Breeding(rules, has_constant, parents, options, known), by_arity_(rules.max_arity + 1) {
        for (size_t token = 0; token < rules.n_tokens(); ++token) {
            by_arity_[rules.arities[token]].push_back(static_cast<int16_t>(token));
            if (rules.arities[token] > 0) operators_.push_back(static_cast<int16_t>(token));
        }
    }

    void breed_row(uint64_t key, uint32_t row, int group, uint32_t first_attempt, size_t at,
                   Brood& brood) {
        brood.n_refused[at] = brood.n_known[at] = 0;
        for (int attempt = 0; attempt < options_.n_attempts; ++attempt) {
            draws_.start(key, row, first_attempt + static_cast<uint32_t>(attempt));
            if (!vary(group)) continue;  // nothing that could be changed
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

void breed(const rules::RuleSet& rules, const std::vector<uint8_t>& has_constant,
           const Parents& parents, const BreedOptions& options, const machine::KeySet* known,
           uint64_t key, const uint32_t* rows, const int32_t* groups, uint32_t first_attempt,
           size_t begin, size_t end, Brood& brood) {
    BlindBreeding breeding(rules, has_constant, parents, options, known);
    for (size_t at = begin; at < end; ++at)
        breeding.breed_row(key, rows[at], groups[at], first_attempt, at, brood);
}

}  // namespace dso::gp
