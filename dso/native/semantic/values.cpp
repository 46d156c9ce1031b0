#include "semantic/values.hpp"

#include <algorithm>
#include <cmath>

#include "machine/vector_math.hpp"

namespace dso::semantic {

using namespace machine;

namespace {

constexpr double kHuge = 1e100, kTiny = 1e-100;
constexpr double kCancelled = 0x1p-40;  // of an argument: what is left is rounding
constexpr double kSameOnAllRows = 1e-12;

// Odd multipliers of a multilinear hash.
constexpr int64_t kMultipliers[kKeyRows] = {
    static_cast<int64_t>(0x9e3779b97f4a7c15ull), static_cast<int64_t>(0xc2b2ae3d27d4eb4full),
    static_cast<int64_t>(0xd6e8feb86659fd93ull), static_cast<int64_t>(0xa0761d6478bd642full)};

int log2_at_least(size_t n, int least) {
    int bits = least;
    while ((size_t{1} << bits) < n) ++bits;
    return bits;
}

}  // namespace

bool can_apply(Op op) { return is_operator(op); }

#define UNARY(name, value, ...)                  \
    case Op::op_##name:                          \
        for (size_t i = 0; i < n; i += kLanes) { \
            const Lanes a = load(first + i);     \
            store(out + i, value);               \
        }                                        \
        break;
#define BINARY(name, value, ...)                                   \
    case Op::op_##name:                                            \
        for (size_t i = 0; i < n; i += kLanes) {                   \
            const Lanes a = load(first + i), b = load(second + i); \
            store(out + i, value);                                 \
        }                                                          \
        break;

DSO_CLONES
void apply(Op op, const double* first, const double* second, double* out, size_t n) {
    using namespace elementary;
    switch (op) {
        DSO_OPERATORS(UNARY, BINARY)
        default:
            break;  // can_apply has refused the rest
    }
}

DSO_CLONES
void flush_cancelled(const double* a, double* out, size_t n) {
    using elementary::abs;
    for (size_t i = 0; i < n; i += kLanes) {
        const Lanes result = load(out + i);
        const LaneBits is_rounding = abs(result) < kCancelled * abs(load(a + i));
        store(out + i, select(is_rounding, splat(0), result));
    }
}

DSO_CLONES
void hash_values(const double* const rows[kKeyRows], size_t n, Resolution resolution,
                 Constants constants, uint64_t* keys) {
    using elementary::abs;
    const int shift = resolution.shift();
    const int64_t half = int64_t{1} << (shift - 1);
    const bool refuse = constants == Constants::refused;
    for (size_t i = 0; i < n; i += kLanes) {
        Lanes v[kKeyRows];
        for (size_t r = 0; r < kKeyRows; ++r) v[r] = load(rows[r] + i);
        // The sign is that of the first row that is not zero.
        Lanes leading = v[kKeyRows - 1];
        for (size_t r = kKeyRows - 1; r-- > 0;) leading = select(v[r] != 0, v[r], leading);
        const LaneBits is_negative = leading < 0;
        LaneBits key = {}, is_usable = ~LaneBits{}, is_tiny = ~LaneBits{}, is_same = ~LaneBits{};
        for (size_t r = 0; r < kKeyRows; ++r) {
            const Lanes size = abs(v[r]);
            is_usable &= size < kHuge;  // not for NaN either
            is_tiny &= size < kTiny;
            is_same &= abs(v[r] - v[0]) <= kSameOnAllRows * size;
            const Lanes positive = select(is_negative, -v[r], v[r]) + 0.0;  // no negative zero
            key += ((bits_of(positive) + half) >> shift) * kMultipliers[r];
        }
        is_usable &= ~is_tiny;
        if (refuse) is_usable &= ~is_same;
        key = (key | 1) & is_usable;
        std::memcpy(keys + i, &key, sizeof key);
    }
}

int sign_of_match(const KeyVector& a, const KeyVector& b, Resolution resolution) {
    const double tolerance = resolution.tolerance();
    for (const int sign : {1, -1}) {
        bool matches = true;
        for (size_t r = 0; r < kKeyRows; ++r)
            matches &= std::fabs(a[r] - sign * b[r]) <= tolerance * std::fabs(a[r]);
        if (matches) return sign;
    }
    return 0;
}

std::pair<int, int> KeyIndex::widths(size_t capacity, int bits_each) {
    return {log2_at_least(2 * capacity + 2, 4), log2_at_least(capacity * bits_each + 64, 6)};
}

size_t KeyIndex::bytes(size_t capacity, int bits_each) {
    const auto [slot_bits, bitmap_bits] = widths(capacity, bits_each);
    return (sizeof(Slot) << slot_bits) + (size_t{1} << bitmap_bits) / 8;
}

KeyIndex::KeyIndex(size_t capacity, int bits_each) {
    const auto [slot_bits, bitmap_bits] = widths(capacity, bits_each);
    slots_.resize(size_t{1} << slot_bits);
    bitmap_.resize((size_t{1} << bitmap_bits) / 64);
    slot_shift_ = 64 - slot_bits;
    bitmap_shift_ = 64 - bitmap_bits;
}

void KeyIndex::insert(uint64_t key, uint32_t number) {
    const size_t mask = slots_.size() - 1;
    size_t i = key >> slot_shift_;
    while (slots_[i].number_plus_1) i = (i + 1) & mask;
    slots_[i] = {static_cast<uint32_t>(key >> 8), number + 1};
    const uint64_t bit = key >> bitmap_shift_;
    bitmap_[bit >> 6] |= 1ull << (bit & 63);
}

}  // namespace dso::semantic
