// Value vectors: what expressions are worth on a few key rows, and what tells two of them apart.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "machine/operators.hpp"
#include "machine/vector_math.hpp"

namespace dso::semantic {

constexpr size_t kKeyRows = 4;
constexpr size_t kBlock = 256;  // vectors worked on at once; they stay in the first-level cache
constexpr uint64_t kNoKey = 0;

using KeyVector = std::array<double, kKeyRows>;

// Numbers to have room for where n are read by whole lanes, from any of them on.
constexpr size_t readable(size_t n) { return n + machine::kLanes; }

// Vectors by row, so that eight of them are worked on at once. The memory never moves: its size is
// fixed at construction.
class ValueTable {
public:
    explicit ValueTable(size_t capacity) : capacity_(capacity) {
        for (auto& row : rows_) row.resize(readable(capacity));
    }
    size_t size() const { return size_; }
    bool full() const { return size_ == capacity_; }
    const double* row(size_t r) const { return rows_[r].data(); }
    KeyVector operator[](size_t i) const {
        KeyVector values;
        for (size_t r = 0; r < kKeyRows; ++r) values[r] = rows_[r][i];
        return values;
    }
    void set(size_t i, const KeyVector& values) {
        for (size_t r = 0; r < kKeyRows; ++r) rows_[r][i] = values[r];
    }
    void push(const KeyVector& values) { set(size_++, values); }

private:
    size_t capacity_, size_ = 0;
    std::array<std::vector<double>, kKeyRows> rows_;
};

// Working memory for a block of vectors.
struct ValueBlock {
    alignas(64) double rows[kKeyRows][kBlock];
    void fill(const KeyVector& values) {
        for (size_t r = 0; r < kKeyRows; ++r) std::fill_n(rows[r], kBlock, values[r]);
    }
    KeyVector operator[](size_t i) const {
        return {rows[0][i], rows[1][i], rows[2][i], rows[3][i]};
    }
};

// How exactly values are compared: the leading `bits` of their mantissas.
struct Resolution {
    int bits;
    int shift() const { return 52 - bits; }
    double tolerance() const { return 1.0 / static_cast<double>(1ull << bits); }
};

// out = op(a, b) for n numbers, rounded up to whole lanes. A unary operator does not read b.
void apply(machine::Op op, const double* a, const double* b, double* out, size_t n);
bool can_apply(machine::Op op);

// Sets to zero what is but rounding of a sum or difference of a and another number.
void flush_cancelled(const double* a, double* out, size_t n);

enum class Constants { kept, refused };

// 64-bit identities of n vectors, the same for v and -v; kNoKey where a vector is not finite, huge,
// tiny, or (if refused) the same number on all rows. Vectors of equal leading bits have equal keys.
void hash_values(const double* const rows[kKeyRows], size_t n, Resolution resolution,
                 Constants constants, uint64_t* keys);

// 1 or -1 where a = b or a = -b within the resolution, else 0.
int sign_of_match(const KeyVector& a, const KeyVector& b, Resolution resolution);

// Keys to numbers: open addressing behind a bitmap, which answers most look-ups of what is not
// there.
class KeyIndex {
public:
    KeyIndex(size_t capacity, int bits_each);
    bool may_have(uint64_t key) const {
        const uint64_t bit = key >> bitmap_shift_;
        return bitmap_[bit >> 6] >> (bit & 63) & 1;
    }
    void prefetch(uint64_t key) const { __builtin_prefetch(&slots_[key >> slot_shift_]); }
    // Calls is_it(number) for each number that may stand under the key, until it says yes; returns
    // that number or -1.
    template <class IsIt>
    int64_t find(uint64_t key, IsIt is_it) const {
        const auto tag = static_cast<uint32_t>(key >> 8);
        const size_t mask = slots_.size() - 1;
        for (size_t i = key >> slot_shift_; slots_[i].number_plus_1; i = (i + 1) & mask)
            if (slots_[i].tag == tag && is_it(slots_[i].number_plus_1 - 1))
                return slots_[i].number_plus_1 - 1;
        return -1;
    }
    void insert(uint64_t key, uint32_t number);
    static size_t bytes(size_t capacity, int bits_each);

private:
    struct Slot {
        uint32_t tag, number_plus_1;
    };
    // Bits of the numbers of slots and of bits in the bitmap.
    static std::pair<int, int> widths(size_t capacity, int bits_each);
    std::vector<Slot> slots_;
    std::vector<uint64_t> bitmap_;
    int slot_shift_, bitmap_shift_;
};

}  // namespace dso::semantic
