// What the binding files share: numpy array types and the order of registration.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <stdexcept>

#include "machine/program.hpp"

namespace dso::bindings {

namespace py = pybind11;

template <class T>
using Array = py::array_t<T, py::array::c_style | py::array::forcecast>;

void bind_programs(py::module_& m);
void bind_evaluation(py::module_& m);
void bind_fitting(py::module_& m);
void bind_polynomials(py::module_& m);
void bind_sampling(py::module_& m);
void bind_control(py::module_& m);
void bind_gp(py::module_& m);
void bind_semantic(py::module_& m);

inline machine::ProgramView view_programs(const Array<int16_t>& tokens,
                                          const Array<int32_t>& lengths,
                                          const Array<double>& constants) {
    if (tokens.ndim() != 2 || lengths.ndim() != 1 || constants.ndim() != 2 ||
        lengths.shape(0) != tokens.shape(0) || constants.shape(0) != tokens.shape(0))
        throw std::invalid_argument("programs: tokens (B, T), lengths (B,), constants (B, K)");
    const auto n_positions = tokens.shape(1);
    for (py::ssize_t b = 0; b < lengths.shape(0); ++b)
        if (lengths.data()[b] < 0 || lengths.data()[b] > n_positions)
            throw std::invalid_argument("programs: a length lies outside [0, T]");
    return {tokens.data(),
            lengths.data(),
            constants.data(),
            static_cast<size_t>(tokens.shape(0)),
            static_cast<size_t>(n_positions),
            static_cast<size_t>(constants.shape(1))};
}

}  // namespace dso::bindings
