#include <vector>

#include "bindings/arrays.hpp"

namespace dso::bindings {

using namespace machine;

static py::array_t<uint64_t> hash_programs(const Array<int16_t>& tokens,
                                           const Array<int32_t>& lengths) {
    const std::vector<py::ssize_t> no_constants{tokens.ndim() ? tokens.shape(0) : 0, 0};
    const machine::ProgramView view = view_programs(tokens, lengths, Array<double>(no_constants));
    py::array_t<uint64_t> keys(tokens.shape(0));
    for (size_t b = 0; b < view.n_programs; ++b)
        keys.mutable_data()[b] = machine::hash_tokens(view.row(b), view.lengths[b]);
    return keys;
}

void bind_programs(py::module_& m) {
    m.def("hash_programs", &hash_programs, py::arg("tokens"), py::arg("lengths"),
          "64-bit identity of each token sequence: (B, T) int16, (B,) int32 -> (B,) uint64.");
}

}  // namespace dso::bindings
