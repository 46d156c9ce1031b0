// ValueLibrary: small expressions, one per distinct value vector, in order of cost.
#pragma once
#include <bitset>
#include <memory>
#include <string>
#include <vector>

#include "rules/rule_set.hpp"
#include "rules/state.hpp"
#include "semantic/patience.hpp"
#include "semantic/values.hpp"

namespace dso::semantic {

// Holes in the pattern of a form.
constexpr int16_t kLeft = -1, kRight = -2;

// How to solve y = f(a, b) for one argument: op(y, other) or op(other, y); op(y) where f is unary.
struct Inverse {
    machine::Op op = machine::Op::python;  // none
    bool target_first = true;
};

enum class Parity { none, even, odd };

// One way to make an expression: a leaf, or a function of one or two expressions. What the tokens
// lack is spelled out in the pattern: a square may be "mul L L", the number 2 "div add x x x".
struct Form {
    machine::Op op = machine::Op::literal;
    int arity = 0;
    int cost = 1;                  // beyond its arguments'
    std::vector<int16_t> pattern;  // prefix tokens, with holes for the arguments
    // The token of a form that has no others, -1 where it is spelled out.
    int token() const { return pattern.size() == 1 + static_cast<size_t>(arity) ? pattern[0] : -1; }
    bool is_symmetric = false;     // f(b, a) is f(a, b) or -f(a, b)
    bool negates = false;          // unary: op(-a)
    Parity parity = Parity::none;  // unary: of f
    std::array<Inverse, 2> inverses;
    KeyVector values{};  // of a leaf
    int input = -1;      // column of a leaf that is an input
};

// Forms that expressions are combined and negated with; -1 where the tokens do not allow it.
struct Arithmetic {
    int add = -1, sub = -1, mul = -1, div = -1, negate = -1;
};

struct Forms {
    std::vector<Form> all;
    Arithmetic arithmetic;
};

struct Entry {
    uint32_t left, right;
    uint16_t form, cost, length;
    int16_t root;     // first token
    uint64_t below;   // ancestor groups that forbid one of its tokens
    uint64_t inputs;  // columns, modulo 64
};

// Entries found together: `begin` to `end`, of one cost, over some of the inputs.
struct Segment {
    int cost;
    uint64_t inputs;
    size_t begin, end;
};

struct Growth {
    size_t max_entries;
    uint64_t max_vectors;  // candidates computed
    int max_cost;
    double shared_part;  // of the entries, for all inputs together; the rest is for `subsets`
    std::vector<uint64_t> subsets;
    IsOver is_over;
};

// What an expression must obey wherever it stands: the rules without what a program as a whole
// must have (lengths, counts and inputs at least, a first token), and without units.
rules::RuleSet rules_of_parts(const rules::RuleSet& rules);

class ValueLibrary {
public:
    static constexpr uint32_t kNone = UINT32_MAX;

    ValueLibrary(Forms forms, const rules::RuleSet& rules, Resolution resolution,
                 const Growth& growth);

    size_t size() const { return entries_.size(); }
    const Entry& entry(size_t i) const { return entries_[i]; }
    const ValueTable& values() const { return values_; }
    const KeyIndex& index() const { return index_; }
    // Of units, where the rules know any: the dimension of an entry, and whether one may have it.
    const rules::Units& units() const { return units_; }
    rules::Dimension dimension(size_t i) const {
        return units_.on() ? dimensions_[i] : rules::kAny;
    }
    bool may_have(rules::Dimension dimension) const {
        return has_any_ || has_dimension_[dimension % kDimensionBits];
    }
    const Forms& forms() const { return forms_; }
    const Form& form(size_t i) const { return forms_.all[i]; }
    Resolution resolution() const { return resolution_; }
    const std::vector<Segment>& segments() const { return segments_; }
    uint64_t n_vectors() const { return n_vectors_; }
    // What a library with room for so many entries takes without units, and the most that bytes
    // have room for.
    static size_t bytes(size_t max_entries);
    static size_t entries_in(size_t bytes);
    size_t bytes() const {
        return bytes(entries_.capacity()) + dimensions_.capacity() * sizeof(rules::Dimension);
    }
    const char* stopped_by() const { return stopped_by_; }

    // The entry with these values or their negatives, kNone if there is none. `key` is theirs.
    uint32_t find(uint64_t key, const KeyVector& values) const;
    uint32_t find(const KeyVector& values) const;
    // The k of the first n entries that are nearest, as sum of weights * (wanted -+ values)^2, the
    // nearest first.
    struct Near {
        double distance;
        uint32_t entry;
        int sign;
    };
    std::vector<Near> nearest(const KeyVector& wanted, const KeyVector& weights, size_t n,
                              size_t k) const;
    // Appends the prefix tokens of entry i, or of its negative; false where that cannot be written.
    bool write(size_t i, bool negative, std::vector<int16_t>& tokens) const;

private:
    // A token of a pattern that is not its root: what may not stand there.
    struct Place {
        int16_t item, parent, sibling;  // tokens or holes; sibling kNoSibling
        int slot;
        uint64_t ancestors;
    };
    // Vectors of one cost as arguments of a form.
    struct Source {
        int cost;
        int shortest;     // length
        size_t n, first;  // entries from `first` on, or those in `ids`
        const double* rows[kKeyRows];
        std::vector<uint32_t> ids;
        std::vector<double> gathered[kKeyRows];
        uint32_t id(size_t i) const {
            return static_cast<uint32_t>(ids.empty() ? first + i : ids[i]);
        }
    };

    void compile_checks();
    void grow(const Growth& growth);
    void grow_subset(uint64_t inputs, int first_cost, size_t max_entries, const Growth& growth);
    bool grow_level(int cost, uint64_t inputs, const std::vector<Source>& sources);
    bool add_unary(size_t form, const Source& source);
    bool add_binary(size_t form, const Source& left, const Source& right);
    bool add_pairs(size_t form, const Source& left, const Source& right, bool swapped);
    bool add_block(size_t form, uint32_t fixed, bool swapped, const Source& source, size_t begin,
                   size_t n);
    // `dimension` is null where it is yet to be found.
    bool add(size_t form, uint32_t left, uint32_t right, uint64_t key, const KeyVector& values,
             const rules::Dimension* dimension);
    size_t gather(int token, uint32_t fixed, bool swapped, const Source& source, size_t begin,
                  size_t n);
    bool is_allowed(size_t form, Entry& entry) const;
    bool find_dimension(const Form& form, uint32_t left, uint32_t right,
                        rules::Dimension& dimension) const;
    void note_dimension(size_t i, rules::Dimension dimension);
    bool find_negated(uint32_t entry, rules::Dimension& dimension) const;
    Source source_of(const Segment& segment, uint64_t inputs) const;
    bool obeys(const Entry& entry) const;
    int length_of(const Form& form, uint32_t left, uint32_t right) const;
    int negated_length(size_t i) const;
    bool write_form(const Form& form, uint32_t left, uint32_t right, bool swapped,
                    std::vector<int16_t>& tokens) const;

    Forms forms_;
    rules::RuleSet rules_;
    Resolution resolution_;
    ValueTable values_;
    std::vector<Entry> entries_;
    KeyIndex index_;
    static constexpr size_t kDimensionBits = 1 << 17;
    rules::Units units_;
    std::vector<rules::Dimension> dimensions_;  // of the entries
    std::bitset<kDimensionBits> has_dimension_;
    bool has_any_ = false;
    std::vector<Segment> segments_;
    std::vector<std::vector<Place>> places_;  // by form
    std::vector<char> is_usable_;             // by form
    bool needs_walk_ = false;
    std::vector<uint64_t> own_bits_;  // by token, as Entry::below
    size_t level_begin_ = 0, most_entries_ = 0;
    int level_cost_ = 0;
    uint64_t n_vectors_ = 0, max_vectors_ = 0;
    Patience patience_;
    const char* stopped_by_ = "cost";
    std::unique_ptr<ValueBlock> a_, b_, out_;
    std::vector<uint32_t> gathered_;  // entries whose units suit a form, and what it has with them
    std::vector<rules::Dimension> gathered_dimensions_;
    std::vector<uint64_t> keys_;
    mutable std::unique_ptr<rules::TraversalState> state_;
    mutable std::vector<int16_t> scratch_;
};

}  // namespace dso::semantic
