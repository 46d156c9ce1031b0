#include "bindings/arrays.hpp"

PYBIND11_MODULE(_core, m) {
    using namespace dso::bindings;
    m.doc() =
        "Native core of dso; N rows of data, B programs, other letters as in ARCHITECTURE.md.";
    bind_arguments(m);
    bind_machine(m);
    bind_cache(m);
    bind_fitting(m);
    bind_rules(m);
    bind_policy(m);
    bind_semantic(m);
    bind_gp(m);
    bind_control(m);
}
