#include "semantic/affine.hpp"

#include <algorithm>
#include <cmath>

namespace dso::semantic {

using namespace machine;

namespace {

constexpr int kBitmapBits = 64;    // of a context: nearly all look-ups end there
constexpr double kMinPart = 1e-6;  // of the greatest difference: with less, that is all there is
constexpr double kTolerance = 1e-9;

// Replaces v_2 and v_3 by their affine invariants, and v_0 and v_1 by 0 and 1; NaN where two of
// these four are nearly the same.
DSO_CLONES
void make_invariant(double* const rows[kKeyRows], size_t n) {
    using elementary::abs;
    for (size_t i = 0; i < n; i += kLanes) {
        const Lanes first = load(rows[0] + i), step = load(rows[1] + i) - first;
        Lanes v[2];
        LaneBits is_spread = ~LaneBits{};
        for (size_t r = 0; r < 2; ++r) {
            v[r] = (load(rows[r + 2] + i) - first) / step;
            is_spread &=
                (abs(v[r]) > kMinPart) & (abs(v[r]) < 1 / kMinPart) & (abs(v[r] - 1.0) > kMinPart);
        }
        for (size_t r = 0; r < 2; ++r) store(rows[r + 2] + i, select(is_spread, v[r], splat(NAN)));
        store(rows[0] + i, splat(0));
        store(rows[1] + i, splat(1));
    }
}

bool is_same(const KeyVector& a, const KeyVector& b) {
    for (size_t r = 2; r < kKeyRows; ++r)
        if (!(std::fabs(a[r] - b[r]) <= kTolerance * std::max(std::fabs(a[r]), 1.0))) return false;
    return true;
}

// Contexts by their invariants.
class ContextIndex {
public:
    ContextIndex(const ValueTable& values, Resolution resolution)
        : resolution_(resolution), index_(values.size(), kBitmapBits) {
        invariants_.resize(values.size());
        ValueBlock block;
        uint64_t keys[kBlock];
        for (size_t begin = 0; begin < values.size(); begin += kBlock) {
            const size_t n = std::min(kBlock, values.size() - begin);
            for (size_t r = 0; r < kKeyRows; ++r)
                std::copy_n(values.row(r) + begin, n, block.rows[r]);
            hash(block, n, keys);
            for (size_t i = 0; i < n; ++i) {
                invariants_[begin + i] = block[i];
                if (keys[i] != kNoKey && find(keys[i], block[i]) < 0)  // y, before y + 1 and 2 y
                    index_.insert(keys[i], static_cast<uint32_t>(begin + i));
            }
        }
    }

    void hash(ValueBlock& block, size_t n, uint64_t* keys) const {
        double* rows[kKeyRows];
        const double* read[kKeyRows];
        for (size_t r = 0; r < kKeyRows; ++r) read[r] = rows[r] = block.rows[r];
        make_invariant(rows, n);
        hash_values(read, n, resolution_, Constants::kept, keys);
    }

    // The first context that has these invariants, -1 for none.
    int64_t find(uint64_t key, const KeyVector& invariants) const {
        if (!index_.may_have(key)) return -1;
        return index_.find(key, [&](uint32_t i) { return is_same(invariants, invariants_[i]); });
    }

private:
    const Resolution resolution_;
    KeyIndex index_;
    std::vector<KeyVector> invariants_;
};

}  // namespace

AffinePairs find_affine_pairs(const ValueLibrary& library, const BackwardSet& backward,
                              const AffineLimits& limits) {
    Patience patience(limits.is_over);
    const ContextIndex contexts(backward.values(), library.resolution());
    const Arithmetic& forms = library.forms().arithmetic;
    const size_t n_entries = std::min(limits.n_entries, library.size());
    AffinePairs pairs;
    ValueBlock fixed, out;
    uint64_t keys[kBlock];
    // form(s, t), or form(t, s), for s against n entries t.
    const auto look_up = [&](int form, uint32_t s, bool is_swapped, size_t begin, size_t n) {
        const Op op = library.form(form).op;
        for (size_t r = 0; r < kKeyRows; ++r) {
            const double* t = library.values().row(r) + begin;
            apply(op, is_swapped ? t : fixed.rows[r], is_swapped ? fixed.rows[r] : t, out.rows[r],
                  n);
        }
        contexts.hash(out, n, keys);
        pairs.n_lookups += n;
        for (size_t i = 0; i < n; ++i) {
            if (keys[i] == kNoKey) continue;
            const auto t = static_cast<uint32_t>(begin + i);
            const int64_t context = contexts.find(keys[i], out[i]);
            if (context >= 0)
                pairs.found.push_back({static_cast<size_t>(context), form, is_swapped ? t : s,
                                       is_swapped ? s : t, 1, false});
        }
    };
    for (uint32_t s = 0; s < n_entries; ++s) {
        if (pairs.n_lookups >= limits.max_lookups || pairs.found.size() >= limits.max_found ||
            patience.is_over())
            break;
        fixed.fill(library.values()[s]);
        // With all before it, so that the cheapest pairs come first.
        for (size_t begin = 0; begin <= s; begin += kBlock) {
            const size_t n = std::min<size_t>(kBlock, s + 1 - begin);
            for (const int form : {forms.mul, forms.div, forms.add, forms.sub})
                if (form >= 0) look_up(form, s, false, begin, n);
            if (forms.div >= 0) look_up(forms.div, s, true, begin, n);
        }
    }
    return pairs;
}

}  // namespace dso::semantic
