// Units: which dimension an open node must have for the whole program to be consistent.
//
// A dimension, a vector of rational exponents, comes as its image under a linear map into the field
// of p = 2^61 - 1 elements (dso/units/images.py): products of units are sums, powers are multiples,
// and both are exact. What is not known, or may be anything, is kAny. From the top a node is told
// what is wanted of it; from below it learns what its arguments have:
//
//     ratios    argument i has w_i t, the value v t, for one t of the node; v is 1 or 0
//     products  value = sum_i w_i argument_i, so that the last argument is what is left over
//     power     the exponent is pure; where it is a literal, value = exponent * base
//
// An argument of weight 0 is a pure number, one of weight kFree has any dimension, one of
// kLikeValue that of the value. So terms of a sum have ratios of 1, and `exp` takes and returns 0
// t.
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
constexpr Dimension kFree = kAny, kLikeValue = kAny - 1;  // in the place of weights

inline Dimension plus(Dimension a, Dimension b) {
    const Dimension sum = a + b;
    return sum >= kPrime ? sum - kPrime : sum;
}
inline Dimension minus(Dimension a, Dimension b) { return a >= b ? a - b : a + kPrime - b; }
inline Dimension times(Dimension a, Dimension b) {
    const auto product = static_cast<unsigned __int128>(a) * b;  // 2^61 is 1 in the field
    return plus(static_cast<Dimension>(product & kPrime), static_cast<Dimension>(product >> 61));
}
inline Dimension inverse(Dimension a) {  // a^(p - 2)
    Dimension result = 1;
    for (uint64_t power = kPrime - 2; power; power >>= 1, a = times(a, a))
        if (power & 1) result = times(result, a);
    return result;
}

enum class UnitRule : uint8_t { ratios, products, power };

// What is known of the dimensions of an open node.
struct OpenUnits {
    Dimension wanted = kAny;  // of its value
    Dimension found = kPure;  // what its arguments so far come to; the t of ratios
};

class Units {
public:
    Units() = default;
    // For each token (L,) its rule, dimension as a terminal, and value as an exponent, kAny where
    // it is no literal; weights of the value and the arguments (L, 1 + max_arity).
    Units(std::vector<int> arities, std::vector<UnitRule> rules, std::vector<Dimension> terminals,
          std::vector<Dimension> numbers, std::vector<Dimension> weights, Dimension wanted)
        : arities_(std::move(arities)),
          rules_(std::move(rules)),
          terminals_(std::move(terminals)),
          numbers_(std::move(numbers)),
          weights_(std::move(weights)),
          last_(arities_.size(), -1),
          wanted_(wanted) {
        for (int arity : arities_) max_arity_ = std::max(max_arity_, arity);
        inverses_.assign(weights_.size(), kPure);
        for (size_t token = 0; token < arities_.size(); ++token) {
            int n_counting = 0;
            for (int slot = 0; slot < arities_[token]; ++slot)
                if (counts(token, slot)) {
                    ++n_counting, last_[token] = slot;
                    inverses_[at(token, slot)] = inverse(weight(token, slot));
                }
            has_numbers_ |= numbers_[token] != kAny;
            has_exponents_ |= rules_[token] == UnitRule::power;
            has_products_ |= rules_[token] == UnitRule::products && n_counting > 1;
            if (arities_[token] == 0 && terminals_[token] == kAny)
                wild_.push_back(static_cast<int>(token));
        }
    }

    bool on() const { return !arities_.empty(); }
    Dimension of_program() const { return wanted_; }

    OpenUnits open(int token, Dimension wanted) const {
        if (rules_[token] != UnitRule::ratios) return {wanted, kPure};
        return {wanted, has_value(token) ? wanted : kAny};
    }

    // What is wanted of the argument that comes next.
    Dimension wanted_of_next(int token, const OpenUnits& node, int slots_left) const {
        const int slot = arities_[token] - slots_left;
        if (rules_[token] == UnitRule::power) return slot == 0 && has_numbers_ ? kAny : kPure;
        const Dimension weight = this->weight(token, slot);
        if (weight == kFree || weight == kPure) return weight;
        if (weight == kLikeValue)
            return node.wanted != kAny ? node.wanted : slot > last_[token] ? node.found : kAny;
        if (rules_[token] == UnitRule::ratios)
            return node.found == kAny ? kAny : times(weight, node.found);
        if (slot < last_[token] || node.wanted == kAny || node.found == kAny) return kAny;
        return times(minus(node.wanted, node.found), inverses_[at(token, slot)]);
    }

    // Takes in a complete argument: its root, and its dimension.
    void take(int token, OpenUnits& node, int slot, int argument, Dimension dimension) const {
        if (rules_[token] == UnitRule::power) {
            node.found = slot == 0 ? dimension : raised(node.found, numbers_[argument]);
        } else if (counts(token, slot)) {
            if (rules_[token] == UnitRule::ratios) {
                if (dimension != kAny) node.found = times(inverses_[at(token, slot)], dimension);
            } else {
                node.found = node.found == kAny || dimension == kAny
                                 ? kAny
                                 : plus(node.found, times(weight(token, slot), dimension));
            }
        } else if (weight(token, slot) == kLikeValue && node.wanted == kAny) {
            node.wanted = dimension;
        }
    }

    // The dimension of a complete node.
    Dimension value(int token, const OpenUnits& node) const {
        if (node.wanted != kAny) return node.wanted;
        return rules_[token] == UnitRule::ratios && !has_value(token) ? kPure : node.found;
    }
    // The dimension of an open node where its arguments still to come cannot change it.
    Dimension settled(int token, const OpenUnits& node) const {
        if (node.wanted != kAny) return node.wanted;
        if (rules_[token] == UnitRule::ratios) return has_value(token) ? node.found : kPure;
        return rules_[token] == UnitRule::power && !has_numbers_ ? kPure : kAny;
    }
    // The dimension of a node with complete arguments, by their roots and dimensions; false where
    // these do not go together.
    bool join(int token, const int* roots, const Dimension* dimensions, Dimension& value) const {
        OpenUnits node = open(token, kAny);
        for (int slot = 0; slot < arities_[token]; ++slot) {
            const Dimension wanted = wanted_of_next(token, node, arities_[token] - slot);
            if (wanted != kAny && dimensions[slot] != kAny && dimensions[slot] != wanted)
                return false;
            if (is_exponent(token, arities_[token] - slot) && !fits_as_exponent(roots[slot], node))
                return false;
            take(token, node, slot, roots[slot], dimensions[slot]);
        }
        value = this->value(token, node);
        return true;
    }
    // What is wanted in the place of an argument of a node of one or two, by the other's root and
    // dimension; false where that does not go together with what is wanted of the node.
    bool look_into(int token, Dimension wanted, int slot, int other_root, Dimension other,
                   Dimension& inside) const {
        if (!fits(token, wanted)) return false;
        if (rules_[token] == UnitRule::power)
            return look_into_power(wanted, slot, numbers_[other_root], other, inside);
        OpenUnits node = open(token, wanted);
        const bool is_ratio = rules_[token] == UnitRule::ratios;
        if (arities_[token] == 2 && other != kAny) {
            const Dimension weight = this->weight(token, 1 - slot);
            if (weight == kPure && other != kPure) return false;
            if (is_ratio && counts(token, 1 - slot) && node.found != kAny &&
                times(weight, node.found) != other)
                return false;
        }
        if (arities_[token] == 2) take(token, node, 1 - slot, other_root, other);
        const Dimension own = weight(token, slot);
        if (!counts(token, slot))
            inside = own == kLikeValue ? node.wanted : own;
        else if (node.found == kAny || (!is_ratio && node.wanted == kAny))
            inside = kAny;
        else if (is_ratio)
            inside = times(own, node.found);
        else
            inside = times(minus(node.wanted, node.found), inverses_[at(token, slot)]);
        return true;
    }
    Dimension terminal(int token) const { return terminals_[token]; }

    // Whether units cannot tell two tokens from each other; wild ones may be limited one by one.
    bool are_alike(size_t a, size_t b) const {
        if (arities_[a] == 0 && terminals_[a] == kAny) return false;
        return arities_[a] == arities_[b] && rules_[a] == rules_[b] &&
               terminals_[a] == terminals_[b] && numbers_[a] == numbers_[b] &&
               std::equal(&weights_[at(a, -1)], &weights_[at(a, -1)] + 1 + max_arity_,
                          &weights_[at(b, -1)]);
    }

    // Whether a token may stand where `wanted` is wanted.
    bool fits(int token, Dimension wanted) const {
        if (wanted == kAny) return true;
        if (arities_[token] == 0) return terminals_[token] == kAny || terminals_[token] == wanted;
        if (rules_[token] == UnitRule::products || wanted == kPure) return true;
        return rules_[token] == UnitRule::ratios ? has_value(token) : has_numbers_;
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

    size_t at(size_t token, int slot) const { return token * (1 + max_arity_) + 1 + slot; }
    Dimension weight(size_t token, int slot) const { return weights_[at(token, slot)]; }
    bool has_value(size_t token) const { return weight(token, -1) != kPure; }
    bool counts(size_t token, int slot) const {
        return weight(token, slot) != kPure && weight(token, slot) < kPrime;
    }
    static Dimension raised(Dimension base, Dimension exponent) {
        if (exponent == kAny || exponent == kPure) return kPure;
        return base == kAny ? kAny : times(base, exponent);
    }
    int looked_up(const Counts& counts, Dimension wanted, int otherwise) const {
        if (!looks_ahead() || wanted == kAny) return otherwise;
        return counts.find(wanted, std::max(beyond_, otherwise));
    }
    static bool look_into_power(Dimension wanted, int slot, Dimension number, Dimension other,
                                Dimension& inside) {
        const bool is_pure = wanted == kAny || wanted == kPure;
        if (slot == 1) {  // an exponent that is a literal gives a base any dimension
            inside = kPure;
            return is_pure || other != kPure;
        }
        inside = number == kAny ? kPure : kAny;
        if (number != kAny && number != kPure && wanted != kAny)
            inside = times(wanted, inverse(number));
        const bool has_value = number != kAny && number != kPure;
        return (other == kAny || other == kPure) && (has_value || is_pure);
    }
    // The dimension of a node the arguments of which are no literals, kAny where these do not go
    // together.
    Dimension joined(int token, Dimension a, Dimension b) const {
        const Dimension dimensions[2] = {a, b};
        const int roots[2] = {0, 0};  // only exponents are looked at
        if (rules_[token] == UnitRule::power) return a == kPure && b == kPure ? kPure : kAny;
        Dimension value;
        return join(token, roots, dimensions, value) ? value : kAny;
    }

    std::vector<int> arities_;
    std::vector<UnitRule> rules_;
    std::vector<Dimension> terminals_, numbers_, weights_, inverses_;
    std::vector<int> last_;  // the last argument that counts (L,)
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
                    reach(token, joined(static_cast<int>(token), a, a));
            } else {
                for (int left = 1; left < size - 1; ++left)
                    for (Dimension a : of_size[left]) {
                        for (Dimension b : of_size[size - 1 - left])
                            reach(token, joined(static_cast<int>(token), a, b));
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
