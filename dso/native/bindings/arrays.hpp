// What the binding files share: arrays of numpy, the arguments of many calls, and their order.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "machine/batch.hpp"
#include "machine/program.hpp"

namespace dso::bindings {

namespace py = pybind11;

// An argument: anything that can be made an array of T without gaps.
template <class T>
using Array = py::array_t<T, py::array::c_style | py::array::forcecast>;
using OptionalArray = std::optional<Array<double>>;

// An argument that may be None.
template <class T>
using OrNone = std::optional<const T*>;

// An answer.
template <class T>
using NewArray = py::array_t<T>;

template <class T>
NewArray<T> filled(const std::vector<size_t>& shape, T value) {
    NewArray<T> made(shape);
    std::fill_n(made.mutable_data(), made.size(), value);
    return made;
}

template <class T>
std::vector<T> to_vector(const Array<T>& values) {
    return {values.data(), values.data() + values.size()};
}

// Programs as Python hands them over, checked once; the arrays live as long as this does.
class Programs {
public:
    Programs(const Array<int16_t>& tokens, const Array<int32_t>& lengths,
             const OptionalArray& constants);
    const machine::ProgramView& view() const { return view_; }
    size_t size() const { return view_.n_programs; }

private:
    Array<int16_t> tokens_;
    Array<int32_t> lengths_;
    OptionalArray constants_;
    machine::ProgramView view_;
};

inline machine::Batch make_batch(const machine::Library& library, const Programs& programs,
                                 const machine::Data& data, int n_threads) {
    return {library, programs.view(), data, static_cast<size_t>(std::max(1, n_threads))};
}

// Cause and failing node of each program, (B,).
struct VerdictArrays {
    explicit VerdictArrays(size_t n) : cause(n), node(n) {}
    machine::Verdicts view() { return {cause.mutable_data(), node.mutable_data()}; }
    NewArray<uint8_t> cause;
    NewArray<int32_t> node;
};

void bind_arguments(py::module_& m);
void bind_machine(py::module_& m);
void bind_cache(py::module_& m);
void bind_fitting(py::module_& m);
void bind_rules(py::module_& m);
void bind_policy(py::module_& m);
void bind_semantic(py::module_& m);
void bind_gp(py::module_& m);
void bind_control(py::module_& m);

}  // namespace dso::bindings
