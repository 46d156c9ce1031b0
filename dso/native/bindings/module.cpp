#include "bindings/arrays.hpp"

PYBIND11_MODULE(_core, m) {
    m.doc() =
        "Native core of dso: program arrays, evaluation, traversal state, policy and breeding.";
    dso::bindings::bind_programs(m);
    dso::bindings::bind_evaluation(m);
    dso::bindings::bind_fitting(m);
    dso::bindings::bind_polynomials(m);
    dso::bindings::bind_sampling(m);
    dso::bindings::bind_control(m);
    dso::bindings::bind_gp(m);
    dso::bindings::bind_semantic(m);
}
