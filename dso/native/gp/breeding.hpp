// What every way of breeding has in common: choosing parents, changing a program, asking the rules.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>

#include "gp/variation.hpp"
#include "rng.hpp"
#include "rules/state.hpp"

namespace dso::gp {

inline constexpr double kToBeFitted = std::numeric_limits<double>::quiet_NaN();

// The numbers of one try, in the order in which they are asked for.
class Draws {
public:
    void start(uint64_t key, uint32_t row, uint32_t attempt) {
        stream_.start(key, row, attempt);
        step_ = 0;
    }
    double uniform() { return stream_.uniform(step_++); }
    size_t below(size_t n) { return std::min(n - 1, static_cast<size_t>(uniform() * n)); }
    bool happens(double probability) { return uniform() < probability; }

private:
    RowStream stream_;
    uint32_t step_ = 0;
};

// A program that is being changed. Each position has its number beside it, NaN where there is none
// or it is to be fitted; a library without constants goes without numbers.
struct Sequence {
    std::vector<int16_t> tokens;
    std::vector<double> numbers;
    bool has_numbers = false;
    size_t size() const { return tokens.size(); }
    void clear() { tokens.clear(), numbers.clear(); }
    void push(int16_t token, double number = kToBeFitted) {
        tokens.push_back(token);
        if (has_numbers) numbers.push_back(number);
    }
    void append(const Sequence& other, size_t begin, size_t end) {
        tokens.insert(tokens.end(), other.tokens.begin() + begin, other.tokens.begin() + end);
        if (has_numbers)
            numbers.insert(numbers.end(), other.numbers.begin() + begin,
                           other.numbers.begin() + end);
    }
};

// Makes one offspring after the other; a way of breeding derives from it.
class Breeding {
protected:
    explicit Breeding(const BreedJob& job)
        : job_(job),
          rules_(job.rules),
          has_constant_(job.has_constant),
          parents_(job.parents),
          options_(job.options),
          state_(rules_) {
        const bool has_numbers = std::any_of(has_constant_.begin(), has_constant_.end(),
                                             [](uint8_t carries) { return carries; });
        for (Sequence* sequence : {&child_, &mate_, &segment_, &other_})
            sequence->has_numbers = has_numbers;
    }

    // The best of `tournament_size` draws with replacement, by one number: as parents stand best
    // first, it is the least of so many uniform ranks.
    size_t choose_parent(int group) {
        const bool from_archive = options_.p_archive > 0 && draws_.happens(options_.p_archive);
        const size_t last = parents_.n_groups() - 1;
        if (from_archive && parents_.offsets[last + 1] > parents_.offsets[last])
            return parents_.offsets[last] +
                   draws_.below(parents_.offsets[last + 1] - parents_.offsets[last]);
        const auto begin = static_cast<size_t>(parents_.offsets[group]);
        const auto n = static_cast<size_t>(parents_.offsets[group + 1]) - begin;
        const double least = 1.0 - std::pow(1.0 - draws_.uniform(), 1.0 / options_.tournament_size);
        return begin + std::min(n - 1, static_cast<size_t>(least * static_cast<double>(n)));
    }

    void load(size_t program, Sequence& into) const {
        const machine::ProgramView& from = parents_.programs;
        const int16_t* tokens = from.row(program);
        const auto length = static_cast<size_t>(from.lengths[program]);
        into.tokens.assign(tokens, tokens + length);
        if (!into.has_numbers) return;
        into.numbers.assign(length, kToBeFitted);
        size_t slot = 0;
        for (size_t t = 0; t < length && slot < from.n_constants; ++t)
            if (has_constant_[tokens[t]]) into.numbers[t] = from.slots(program)[slot++];
    }

    size_t end_of_subtree(const Sequence& in, size_t at) const {
        int open = 1;
        while (open > 0) open += rules_.arities[in.tokens[at++]] - 1;
        return at;
    }

    // Puts `segment` in place of [begin, end) of the child.
    void splice(size_t begin, size_t end, const Sequence& segment, size_t from, size_t to) {
        other_.clear();
        other_.append(child_, 0, begin);
        other_.append(segment, from, to);
        other_.append(child_, end, child_.size());
        std::swap(child_, other_);
        unchanged_ = std::min(unchanged_, begin);
    }

    // Whether the child obeys every rule and fits. Up to the first change it is its parent, which
    // does.
    bool allowed(size_t n_positions) {
        if (child_.size() > n_positions) return false;
        state_.restart();
        for (size_t t = 0; t < child_.size(); ++t) {
            if (t >= unchanged_ && !state_.allows(child_.tokens[t])) return false;
            state_.push(child_.tokens[t]);
        }
        return true;
    }

    uint64_t hash() const {
        return machine::hash_tokens(child_.tokens.data(), static_cast<int32_t>(child_.size()));
    }

    void write(const Sequence& program, size_t at, Brood& brood) const {
        int16_t* tokens = brood.tokens + at * brood.n_positions;
        double* constants = brood.constants + at * brood.n_constants;
        std::fill(std::copy(program.tokens.begin(), program.tokens.end(), tokens),
                  tokens + brood.n_positions, machine::kPad);
        std::fill_n(constants, brood.n_constants, kToBeFitted);
        size_t slot = 0;
        for (size_t t = 0; t < program.size() && slot < brood.n_constants; ++t)
            if (has_constant_[program.tokens[t]]) constants[slot++] = program.numbers[t];
        brood.lengths[at] = static_cast<int32_t>(program.size());
        brood.parents[at] = static_cast<int32_t>(parent_);
    }

    bool is_known() const { return job_.known && job_.known->contains(hash()); }

    // Begins a try of row `at`.
    void start(size_t at, int attempt) {
        draws_.start(job_.key, job_.rows[at], job_.first_attempt + static_cast<uint32_t>(attempt));
    }

    const BreedJob& job_;
    const rules::RuleSet& rules_;
    const std::vector<uint8_t>& has_constant_;
    const Parents& parents_;
    const BreedOptions& options_;
    rules::TraversalState state_;
    Draws draws_;
    Sequence child_, mate_, segment_, other_;
    size_t parent_ = 0, unchanged_ = 0;
};

}  // namespace dso::gp
