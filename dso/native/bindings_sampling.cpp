#include "bindings.hpp"

namespace dso {
void bind_sampling(py::module_&) {}
}  // namespace dso
