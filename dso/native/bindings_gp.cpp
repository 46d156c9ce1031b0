// Breeding as Python sees it.
#include <algorithm>

#include "bindings.hpp"
#include "gp.hpp"
#include "threads.hpp"

namespace dso {
namespace {

constexpr size_t kRowsPerChunk = 64;

BreedOptions make_options(double p_crossover, double p_mutate, double p_perturb, double p_join,
                          double p_archive, int tournament_size, int mutate_tree_max,
                          int n_attempts) {
    if (tournament_size < 1 || mutate_tree_max < 0 || n_attempts < 1)
        throw std::invalid_argument("BreedOptions: a size is too small");
    return {p_crossover, p_mutate,        p_perturb,       p_join,
            p_archive,   tournament_size, mutate_tree_max, n_attempts};
}

// A checked view of the parents; the arrays stay with the caller.
Parents make_parents(const RuleSet& rules, const std::vector<uint8_t>& has_constant,
                     const Array<int16_t>& tokens, const Array<int32_t>& lengths,
                     const Array<double>& constants, std::vector<int64_t> offsets) {
    const ProgramView programs = view_programs(tokens, lengths, constants);
    if (has_constant.size() != rules.n_tokens())
        throw std::invalid_argument("breed: has_constant is (L,)");
    if (offsets.size() < 2 || offsets.front() != 0 ||
        !std::is_sorted(offsets.begin(), offsets.end()) ||
        offsets.back() != static_cast<int64_t>(programs.n_programs))
        throw std::invalid_argument("breed: offsets of groups ascend from 0 to B");
    for (size_t b = 0; b < programs.n_programs; ++b) {
        int64_t open = 1;
        for (int t = 0; t < programs.lengths[b]; ++t) {
            const int16_t token = programs.row(b)[t];
            if (open == 0 || token < 0 || static_cast<size_t>(token) >= rules.n_tokens())
                throw std::invalid_argument("breed: a parent is no program of the library");
            open += rules.arities[token] - 1;
        }
        if (open != 0) throw std::invalid_argument("breed: a parent is no complete program");
    }
    return {programs, std::move(offsets)};
}

py::tuple breed_programs(const RuleSet& rules, const std::vector<uint8_t>& has_constant,
                         const Array<int16_t>& tokens, const Array<int32_t>& lengths,
                         const Array<double>& constants, const std::vector<int64_t>& offsets,
                         const BreedOptions& options, const KeySet* known, uint64_t key,
                         const Array<uint32_t>& rows, const Array<int32_t>& groups,
                         uint32_t first_attempt, size_t n_positions, size_t n_constants,
                         size_t n_threads) {
    const Parents parents = make_parents(rules, has_constant, tokens, lengths, constants, offsets);
    const auto n_rows = static_cast<size_t>(rows.size());
    if (static_cast<size_t>(groups.size()) != n_rows)
        throw std::invalid_argument("breed: rows and groups are (n,)");
    for (size_t i = 0; i < n_rows; ++i) {
        const int32_t group = groups.data()[i];
        if (group < 0 || static_cast<size_t>(group) >= parents.n_groups() ||
            offsets[group] == offsets[group + 1])
            throw std::invalid_argument("breed: a row belongs to a group without parents");
    }
    if (static_cast<size_t>(tokens.shape(1)) > n_positions)
        n_positions = static_cast<size_t>(tokens.shape(1));
    py::array_t<int16_t> new_tokens({n_rows, n_positions});
    py::array_t<double> new_constants({n_rows, n_constants});
    py::array_t<int32_t> new_lengths(n_rows), parent(n_rows), n_refused(n_rows), n_known(n_rows);
    py::array_t<uint8_t> operations(n_rows);
    Brood brood{new_tokens.mutable_data(),
                new_lengths.mutable_data(),
                new_constants.mutable_data(),
                parent.mutable_data(),
                operations.mutable_data(),
                n_refused.mutable_data(),
                n_known.mutable_data(),
                n_positions,
                n_constants};
    {
        const py::gil_scoped_release release;
        parallel_for(n_rows, n_threads, kRowsPerChunk, [&](size_t, size_t begin, size_t end) {
            breed(rules, has_constant, parents, options, known, key, rows.data(), groups.data(),
                  first_attempt, begin, end, brood);
        });
    }
    return py::make_tuple(new_tokens, new_lengths, new_constants, parent, operations, n_refused,
                          n_known);
}

}  // namespace

void bind_gp(py::module_& m) {
    py::class_<BreedOptions>(m, "BreedOptions", "How offspring are made of their parents.")
        .def(py::init(&make_options), py::kw_only(), py::arg("p_crossover"), py::arg("p_mutate"),
             py::arg("p_perturb"), py::arg("p_join"), py::arg("p_archive"),
             py::arg("tournament_size"), py::arg("mutate_tree_max"), py::arg("n_attempts"));
    m.def("breed", &breed_programs, py::arg("rules"), py::arg("has_constant"), py::arg("tokens"),
          py::arg("lengths"), py::arg("constants"), py::arg("offsets"), py::arg("options"),
          py::arg("known").none(true), py::arg("key"), py::arg("rows"), py::arg("groups"),
          py::arg("first_attempt"), py::arg("n_positions"), py::arg("n_constants"),
          py::arg("n_threads") = 1,
          "Breed one offspring per row from the parents of its group, best first in each; "
          "-> tokens (n, T), lengths (n,), constants (n, K), parents (n,), operations (n,), tries "
          "that broke a rule (n,), tries that were known (n,).");
}

}  // namespace dso
