// Units: which dimension an open node must have for the whole program to be consistent.
//
// A dimension, a vector of rational exponents, comes as its image under a linear map into the field
// of p = 2^61 - 1 elements (dso/units/images.py): products of units are sums, powers are multiples,
// and both are exact. What is not known, or may be anything, is kAny. From the top a node is told
// what is wanted of it; from below it learns what its arguments have:
//
//     same      every argument has what the value has
//     powers    value = sum_i w_i argument_i, so that the last argument is what is left over
//     power     the exponent is pure; where it is a literal, value = exponent * base
//     pure      all are pure numbers
//     free      arguments may have any dimension, the value is a pure number
//
// A program is consistent if every token has what is wanted of it: constants of any dimension make
// a subtree one of any dimension, and without them its dimension is known once it is complete.
#pragma once
#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <vector>

namespace dso::rules {

using Dimension = uint64_t;
constexpr Dimension kPrime = (1ull << 61) - 1;
constexpr Dimension kAny = ~0ull;
constexpr Dimension kPure = 0;

inline Dimension plus(Dimension a, Dimension b) {
    const Dimension sum = a + b;
    return sum >= kPrime ? sum - kPrime : sum;
}
inline Dimension minus(Dimension a, Dimension b) { return a >= b ? a - b : a + kPrime - b; }
inline Dimension times(Dimension a, Dimension b) {
    return static_cast<Dimension>(static_cast<unsigned __int128>(a) * b % kPrime);
}
inline Dimension inverse(Dimension a) {  // a^(p - 2)
    Dimension result = 1;
    for (uint64_t power = kPrime - 2; power; power >>= 1, a = times(a, a))
        if (power & 1) result = times(result, a);
    return result;
}

enum class UnitRule : uint8_t { pure, same, powers, power, free };

// What is known of the dimensions of an open node.
struct OpenUnits {
    Dimension wanted = kAny;  // of its value
    Dimension found = kPure;  // what its arguments so far come to
};

class Units {
public:
    Units() = default;
    // For each token (L,) its rule, dimension as a terminal, and value as an exponent, kAny where
    // it is no literal; powers of arguments (L, max_arity).
    Units(std::vector<int> arities, std::vector<UnitRule> rules, std::vector<Dimension> terminals,
          std::vector<Dimension> numbers, std::vector<Dimension> powers, Dimension wanted)
        : arities_(std::move(arities)),
          rules_(std::move(rules)),
          terminals_(std::move(terminals)),
          numbers_(std::move(numbers)),
          powers_(std::move(powers)),
          wanted_(wanted) {
        for (int arity : arities_) max_arity_ = std::max(max_arity_, arity);
        for (size_t token = 0; token < arities_.size(); ++token) {
            has_numbers_ |= numbers_[token] != kAny;
            has_exponents_ |= rules_[token] == UnitRule::power;
            has_products_ |= rules_[token] == UnitRule::powers && arities_[token] == 2;
            const int last = arities_[token] - 1;
            if (arities_[token] == 0 && terminals_[token] == kAny)
                wild_.push_back(static_cast<int>(token));
            inverses_.push_back(rules_[token] == UnitRule::powers ? inverse(power(token, last))
                                                                  : kPure);
        }
    }

    bool on() const { return !arities_.empty(); }
    Dimension of_program() const { return wanted_; }
    void accept_any_program() { wanted_ = kAny; }

    OpenUnits open(int token, Dimension wanted) const {
        return {wanted, rules_[token] == UnitRule::same ? wanted : kPure};
    }

    // What is wanted of the argument that comes next.
    Dimension wanted_of_next(int token, const OpenUnits& node, int slots_left) const {
        switch (rules_[token]) {
            case UnitRule::same:
                return node.found;
            case UnitRule::powers:
                if (slots_left > 1 || node.wanted == kAny || node.found == kAny) return kAny;
                return times(minus(node.wanted, node.found), inverses_[token]);
            case UnitRule::power:
                return slots_left > 1 && has_numbers_ ? kAny : kPure;
            case UnitRule::pure:
                return kPure;
            default:
                return kAny;
        }
    }

    // Takes in a complete argument: its root, and its dimension.
    void take(int token, OpenUnits& node, int slot, int argument, Dimension dimension) const {
        switch (rules_[token]) {
            case UnitRule::same:
                if (dimension != kAny) node.found = dimension;
                break;
            case UnitRule::powers:
                node.found = node.found == kAny || dimension == kAny
                                 ? kAny
                                 : plus(node.found, times(power(token, slot), dimension));
                break;
            case UnitRule::power:
                node.found = slot == 0 ? dimension : raised(node.found, numbers_[argument]);
                break;
            default:
                break;
        }
    }

    // The dimension of a complete node.
    Dimension value(const OpenUnits& node) const {
        return node.wanted != kAny ? node.wanted : node.found;
    }
    // The dimension of an open node where its arguments still to come cannot change it.
    Dimension settled(int token, const OpenUnits& node) const {
        if (node.wanted != kAny) return node.wanted;
        switch (rules_[token]) {
            case UnitRule::same:
                return node.found;
            case UnitRule::powers:
                return kAny;
            case UnitRule::power:
                return has_numbers_ ? kAny : kPure;
            default:
                return kPure;
        }
    }
    Dimension terminal(int token) const { return terminals_[token]; }

    // Whether units cannot tell two tokens from each other; wild ones may be limited one by one.
    bool are_alike(size_t a, size_t b) const {
        if (arities_[a] == 0 && terminals_[a] == kAny) return false;
        return arities_[a] == arities_[b] && rules_[a] == rules_[b] &&
               terminals_[a] == terminals_[b] && numbers_[a] == numbers_[b] &&
               std::equal(powers_.begin() + a * max_arity_, powers_.begin() + (a + 1) * max_arity_,
                          powers_.begin() + b * max_arity_);
    }

    // Whether a token may stand where `wanted` is wanted.
    bool fits(int token, Dimension wanted) const {
        if (wanted == kAny) return true;
        if (arities_[token] == 0) return terminals_[token] == kAny || terminals_[token] == wanted;
        switch (rules_[token]) {
            case UnitRule::same:
            case UnitRule::powers:
                return true;
            case UnitRule::power:
                return has_numbers_ || wanted == kPure;
            default:
                return wanted == kPure;
        }
    }
    bool is_exponent(int token, int slots_left) const {
        return rules_[token] == UnitRule::power && slots_left == 1;
    }
    // Whether a token may be the exponent of an open node; its own dimension is another question.
    bool fits_as_exponent(int token, const OpenUnits& node) const {
        const bool is_pure = node.wanted == kAny || node.wanted == kPure;
        if (numbers_[token] == kAny) return is_pure && (node.found == kAny || node.found == kPure);
        const Dimension result = raised(node.found, numbers_[token]);
        return result == kAny || node.wanted == kAny || result == node.wanted;
    }
    // Whether there is an exponent for a power that has its base, true for other tokens.
    bool has_exponent(int token, const OpenUnits& node) const {
        if (rules_[token] != UnitRule::power || node.found == kAny) return true;
        if (node.found == kPure) return node.wanted == kAny || node.wanted == kPure;
        for (size_t number = 0; number < numbers_.size(); ++number)
            if (numbers_[number] != kAny && fits_as_exponent(static_cast<int>(number), node))
                return true;
        return false;
    }

    // Terminals of any dimension, as constants.
    const std::vector<int>& wild() const { return wild_; }
    bool has_products() const { return has_products_; }
    bool has_exponents() const { return has_exponents_; }
    UnitRule rule(int token) const { return rules_[token]; }

    // ---- how many tokens a dimension takes at least ---------------------------------------------

    // Finds the fewest tokens, none of them wild, that give each dimension.
    void count_tokens(int max_length);
    bool looks_ahead() const { return beyond_ > 1; }
    int fewest(Dimension wanted) const { return looked_up(fewest_, wanted, 1); }
    int fewest_below(int token, Dimension wanted) const {
        return looked_up(below_[token], wanted, arities_[token]);
    }

private:
    // Numbers of tokens by dimension. Images of dimensions are spread evenly: they are their own
    // hashes.
    class Counts {
    public:
        // Takes the number for a dimension that is new, and tells whether it is.
        bool emplace(Dimension key, int count) {
            if (2 * (n_ + 1) > keys_.size()) grow();
            const size_t i = place(key);
            if (keys_[i] == key) return false;
            keys_[i] = key, counts_[i] = count, ++n_;
            return true;
        }
        int find(Dimension key, int otherwise) const {
            if (keys_.empty()) return otherwise;
            const size_t i = place(key);
            return keys_[i] == key ? counts_[i] : otherwise;
        }

    private:
        size_t place(Dimension key) const {
            size_t i = (key ^ key >> 29) & (keys_.size() - 1);
            while (keys_[i] != key && keys_[i] != kAny) i = (i + 1) & (keys_.size() - 1);
            return i;
        }
        void grow() {
            std::vector<Dimension> keys(std::max<size_t>(16, 2 * keys_.size()), kAny);
            std::vector<int> counts(keys.size());
            keys.swap(keys_), counts.swap(counts_);
            for (size_t i = 0; i < keys.size(); ++i) {
                if (keys[i] == kAny) continue;
                const size_t to = place(keys[i]);
                keys_[to] = keys[i], counts_[to] = counts[i];
            }
        }
        std::vector<Dimension> keys_;  // kAny where there is none
        std::vector<int> counts_;
        size_t n_ = 0;
    };

    Dimension power(size_t token, int slot) const { return powers_[token * max_arity_ + slot]; }
    static Dimension raised(Dimension base, Dimension exponent) {
        if (exponent == kAny || exponent == kPure) return kPure;
        return base == kAny ? kAny : times(base, exponent);
    }
    int looked_up(const Counts& counts, Dimension wanted, int otherwise) const {
        if (!looks_ahead() || wanted == kAny) return otherwise;
        return counts.find(wanted, std::max(beyond_, otherwise));
    }
    // The dimension of a node with two arguments of given ones, kAny where they do not go together.
    Dimension joined(size_t token, Dimension a, Dimension b) const {
        switch (rules_[token]) {
            case UnitRule::same:
                return a == b ? a : kAny;
            case UnitRule::powers:
                return plus(times(power(token, 0), a), times(power(token, 1), b));
            case UnitRule::free:
                return kPure;
            default:
                return a == kPure && b == kPure ? kPure : kAny;
        }
    }

    std::vector<int> arities_;
    std::vector<UnitRule> rules_;
    std::vector<Dimension> terminals_, numbers_, powers_, inverses_;
    std::vector<int> wild_;
    Dimension wanted_ = kAny;
    int max_arity_ = 0;
    bool has_numbers_ = false, has_products_ = false, has_exponents_ = false;
    Counts fewest_;              // tokens of the smallest program of each dimension
    std::vector<Counts> below_;  // the same below each token (L,)
    int beyond_ = 1;             // what other dimensions take at least
};

inline void Units::count_tokens(int max_length) {
    constexpr size_t kMaxSteps = 50'000;  // of each token with two arguments
    for (size_t token = 0; token < arities_.size(); ++token)
        if (arities_[token] > 2) return;
    below_.assign(arities_.size(), {});
    std::vector<std::vector<Dimension>> of_size(1);
    size_t n_steps = 0;
    for (int size = 1; size <= max_length; ++size) {
        for (int left = 1; left < size - 1; ++left)
            n_steps += of_size[left].size() * of_size[size - 1 - left].size();
        if (n_steps > kMaxSteps) return;
        std::vector<Dimension> fresh;
        const auto reach = [&](size_t token, Dimension dimension) {
            if (dimension == kAny) return;
            below_[token].emplace(dimension, size - 1);
            if (fewest_.emplace(dimension, size)) fresh.push_back(dimension);
        };
        for (size_t token = 0; token < arities_.size(); ++token) {
            if (arities_[token] == 0) {
                if (size == 1) reach(token, terminals_[token]);
            } else if (arities_[token] == 1) {
                for (Dimension a : of_size[size - 1])
                    reach(token, rules_[token] == UnitRule::powers ? times(power(token, 0), a)
                                                                   : joined(token, a, a));
            } else {
                for (int left = 1; left < size - 1; ++left)
                    for (Dimension a : of_size[left]) {
                        for (Dimension b : of_size[size - 1 - left])
                            reach(token, joined(token, a, b));
                        if (rules_[token] != UnitRule::power || left != size - 2) continue;
                        for (Dimension number : numbers_)
                            if (number != kAny) reach(token, raised(a, number));
                    }
            }
        }
        of_size.push_back(std::move(fresh));
        beyond_ = size + 1;
    }
}

}  // namespace dso::rules
