// Sameness: vectors that differ by a factor, or by an offset, as one class with one key.
//
// y = k E for some number k, where E is a product, means that one of its factors is k' y / (the
// others): its values are known up to a factor. Such vectors are compared in their normal form,
//
//     scale:  v / v_0        shift:  v - v_0
//
// which is the same for all of a class. What is inside stays known up to a factor or an offset:
//
//     k y = s t   ->  t = k (y / s)         y + c = s + t   ->  t = (y - s) + c
//     k y = e^t   ->  t = log y + log k     y + c = log t   ->  t = e^c e^y
#pragma once
#include <optional>

#include "semantic/library.hpp"

namespace dso::semantic {

enum class Sameness : uint8_t { exact, scale, shift };

// Replaces vectors by their normal form; what has none becomes NaN or infinite.
void normalise(Sameness sameness, double* const rows[kKeyRows], size_t n);
KeyVector normal_form(Sameness sameness, const KeyVector& values);

// How far the argument of a form is known whose value is known up to `whole`; none where there is
// another number in each row.
std::optional<Sameness> sameness_inside(machine::Op op, Sameness whole);

// The cheapest entry of each class.
class ClassIndex {
public:
    ClassIndex(const ValueLibrary& library, Sameness sameness);
    const ValueLibrary& library() const { return library_; }
    Sameness sameness() const { return sameness_; }
    const KeyIndex& index() const { return index_; }
    // The entry of the class of a normal form, kNone if there is none. `key` is the normal form's.
    uint32_t find(uint64_t key, const KeyVector& normal) const;

private:
    const ValueLibrary& library_;
    Sameness sameness_;
    KeyIndex index_;
};

}  // namespace dso::semantic
