#include "bindings/arrays.hpp"

PYBIND11_MODULE(_core, m) {
    m.doc() =
        "Native core of dso: program arrays, evaluation, traversal state, policy and breeding.";
    dso::bind_programs(m);
    dso::bind_evaluation(m);
    dso::bind_fitting(m);
    dso::bind_polynomials(m);
    dso::bind_sampling(m);
    dso::bind_control(m);
    dso::bind_gp(m);
    dso::bind_semantic(m);
}
