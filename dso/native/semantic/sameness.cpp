#include "semantic/sameness.hpp"

#include <algorithm>
#include <cmath>

namespace dso::semantic {

using namespace machine;

namespace {

constexpr int kBitmapBits = 24;

}  // namespace

DSO_CLONES
void normalise(Sameness sameness, double* const rows[kKeyRows], size_t n) {
    if (sameness == Sameness::exact) return;
    const bool is_scale = sameness == Sameness::scale;
    for (size_t r = kKeyRows; r-- > 0;) {  // the first row last: the others need it
        for (size_t i = 0; i < n; i += kLanes) {
            const Lanes first = load(rows[0] + i), v = load(rows[r] + i);
            store(rows[r] + i, is_scale ? v / first : v - first);
        }
        if (!is_scale && r > 0) flush_cancelled(rows[0], rows[r], n);
    }
}

KeyVector normal_form(Sameness sameness, const KeyVector& values) {
    KeyVector normal = values;
    if (sameness == Sameness::exact) return normal;
    ValueBlock block;
    double* rows[kKeyRows];
    for (size_t r = 0; r < kKeyRows; ++r) {
        rows[r] = block.rows[r];
        std::fill_n(rows[r], kLanes, values[r]);
    }
    normalise(sameness, rows, 1);
    return block[0];
}

std::optional<Sameness> sameness_inside(Op op, Sameness whole) {
    if (whole == Sameness::exact) return whole;
    const bool is_scale = whole == Sameness::scale;
    switch (op) {
        case Op::op_mul:
        case Op::op_div:
        case Op::op_inv:
        case Op::op_sqrt:
        case Op::op_cbrt:
        case Op::op_abs:
        case Op::op_n2:
        case Op::op_n3:
        case Op::op_n4:
            if (is_scale) return Sameness::scale;
            return std::nullopt;
        case Op::op_add:
        case Op::op_sub:
            if (!is_scale) return Sameness::shift;
            return std::nullopt;
        case Op::op_exp:
        case Op::op_expneg:
            if (is_scale) return Sameness::shift;
            return std::nullopt;
        case Op::op_log:
            if (!is_scale) return Sameness::scale;
            return std::nullopt;
        default:
            return std::nullopt;
    }
}

ClassIndex::ClassIndex(const ValueLibrary& library, Sameness sameness)
    : library_(library), sameness_(sameness), index_(library.size(), kBitmapBits) {
    ValueBlock block;
    double* rows[kKeyRows];
    for (size_t r = 0; r < kKeyRows; ++r) rows[r] = block.rows[r];
    uint64_t keys[kBlock];
    for (size_t begin = 0; begin < library.size(); begin += kBlock) {
        const size_t n = std::min(kBlock, library.size() - begin);
        for (size_t r = 0; r < kKeyRows; ++r)
            std::copy_n(library.values().row(r) + begin, n, rows[r]);
        normalise(sameness, rows, n);
        hash_values(rows, n, library.resolution(), Constants::kept, keys);
        for (size_t i = 0; i < n; ++i) {
            if (keys[i] == kNoKey) continue;
            if (index_.may_have(keys[i]) && find(keys[i], block[i]) != ValueLibrary::kNone)
                continue;
            index_.insert(keys[i], static_cast<uint32_t>(begin + i));
        }
    }
}

uint32_t ClassIndex::find(uint64_t key, const KeyVector& normal) const {
    const int64_t found = index_.find(key, [&](uint32_t i) {
        const KeyVector own = normal_form(sameness_, library_.values()[i]);
        return sign_of_match(normal, own, library_.resolution()) != 0;
    });
    return found < 0 ? ValueLibrary::kNone : static_cast<uint32_t>(found);
}

}  // namespace dso::semantic
