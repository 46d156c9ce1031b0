// Breeding as Python sees it.
#include <algorithm>

#include "bindings/arrays.hpp"
#include "gp/variation.hpp"
#include "semantic/mutation.hpp"
#include "threads.hpp"

namespace dso::bindings {

using namespace gp;
using namespace semantic;
namespace {

constexpr size_t kRowsPerChunk = 64;

gp::BreedOptions make_options(double p_crossover, double p_mutate, double p_perturb, double p_join,
                              double p_archive, int tournament_size, int mutate_tree_max,
                              int n_attempts) {
    if (tournament_size < 1 || mutate_tree_max < 0 || n_attempts < 1)
        throw std::invalid_argument("BreedOptions: a size is too small");
    return {p_crossover, p_mutate,        p_perturb,       p_join,
            p_archive,   tournament_size, mutate_tree_max, n_attempts};
}

// A checked view of the parents; the arrays stay with the caller.
gp::Parents make_parents(const rules::RuleSet& rules, const std::vector<uint8_t>& has_constant,
                         const Array<int16_t>& tokens, const Array<int32_t>& lengths,
                         const Array<double>& constants, std::vector<int64_t> offsets) {
    const machine::ProgramView programs = view_programs(tokens, lengths, constants);
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

// Arrays for n offspring, and the checks before they are filled.
struct Nursery {
    Nursery(const gp::Parents& parents, const Array<int16_t>& tokens, size_t n_rows,
            const Array<int32_t>& groups, size_t n_positions, size_t n_constants)
        : n_positions(std::max(n_positions, static_cast<size_t>(tokens.shape(1)))),
          n_constants(n_constants),
          tokens({n_rows, this->n_positions}),
          lengths(n_rows),
          constants({n_rows, n_constants}),
          parents(n_rows),
          operations(n_rows),
          n_refused(n_rows),
          n_known(n_rows) {
        if (static_cast<size_t>(groups.size()) != n_rows)
            throw std::invalid_argument("breed: rows and groups are (n,)");
        for (size_t i = 0; i < n_rows; ++i) {
            const int32_t group = groups.data()[i];
            if (group < 0 || static_cast<size_t>(group) >= parents.n_groups() ||
                parents.offsets[group] == parents.offsets[group + 1])
                throw std::invalid_argument("breed: a row belongs to a group without parents");
        }
    }
    gp::Brood brood() {
        return {tokens.mutable_data(),
                lengths.mutable_data(),
                constants.mutable_data(),
                parents.mutable_data(),
                operations.mutable_data(),
                n_refused.mutable_data(),
                n_known.mutable_data(),
                n_positions,
                n_constants};
    }

    size_t n_positions, n_constants;
    py::array_t<int16_t> tokens;
    py::array_t<int32_t> lengths;
    py::array_t<double> constants;
    py::array_t<int32_t> parents;
    py::array_t<uint8_t> operations;
    py::array_t<int32_t> n_refused, n_known;
};

py::tuple breed_programs(const rules::RuleSet& rules, const std::vector<uint8_t>& has_constant,
                         const Array<int16_t>& tokens, const Array<int32_t>& lengths,
                         const Array<double>& constants, const std::vector<int64_t>& offsets,
                         const gp::BreedOptions& options, const machine::KeySet* known,
                         uint64_t key, const Array<uint32_t>& rows, const Array<int32_t>& groups,
                         uint32_t first_attempt, size_t n_positions, size_t n_constants,
                         size_t n_threads, const SemanticTarget* target) {
    const gp::Parents parents =
        make_parents(rules, has_constant, tokens, lengths, constants, offsets);
    const auto n_rows = static_cast<size_t>(rows.size());
    if (target && target->library.arities.size() != rules.n_tokens())
        throw std::invalid_argument("breed: rules and target of different libraries");
    Nursery nursery(parents, tokens, n_rows, groups, n_positions, n_constants);
    gp::Brood brood = nursery.brood();
    py::array_t<int64_t> n_lookups(n_rows);
    int64_t* lookups = n_lookups.mutable_data();
    std::fill_n(lookups, n_rows, 0);
    {
        const py::gil_scoped_release release;
        parallel_for(n_rows, n_threads, kRowsPerChunk, [&](size_t, size_t begin, size_t end) {
            if (target)
                breed_by_values(*target, rules, has_constant, parents, options, known, key,
                                rows.data(), groups.data(), first_attempt, begin, end, brood,
                                lookups);
            else
                breed(rules, has_constant, parents, options, known, key, rows.data(), groups.data(),
                      first_attempt, begin, end, brood);
        });
    }
    return py::make_tuple(nursery.tokens, nursery.lengths, nursery.constants, nursery.parents,
                          nursery.operations, nursery.n_refused, nursery.n_known, n_lookups);
}

std::unique_ptr<SemanticTarget> make_target(std::shared_ptr<ValueLibrary> values,
                                            const machine::Library& library, const Array<double>& X,
                                            const Array<double>& y, size_t n_partners,
                                            size_t n_nearest) {
    if (X.ndim() != 2 || X.shape(0) < library.n_inputs() ||
        X.shape(1) != static_cast<py::ssize_t>(kKeyRows) ||
        y.size() != static_cast<py::ssize_t>(kKeyRows))
        throw std::invalid_argument("SemanticTarget: X (D, rows) and y (rows,) on the key rows");
    KeyVector wanted;
    std::copy_n(y.data(), kKeyRows, wanted.begin());
    return std::make_unique<SemanticTarget>(std::move(values), library, X.data(),
                                            static_cast<size_t>(X.shape(0)), wanted, n_partners,
                                            n_nearest);
}

}  // namespace

void bind_gp(py::module_& m) {
    py::class_<gp::BreedOptions>(m, "BreedOptions", "How offspring are made of their parents.")
        .def(py::init(&make_options), py::kw_only(), py::arg("p_crossover"), py::arg("p_mutate"),
             py::arg("p_perturb"), py::arg("p_join"), py::arg("p_archive"),
             py::arg("tournament_size"), py::arg("mutate_tree_max"), py::arg("n_attempts"));
    py::class_<SemanticTarget>(m, "SemanticTarget", "What semantic mutation solves programs for.")
        .def(py::init(&make_target), py::arg("values"), py::arg("library"), py::arg("X"),
             py::arg("y"), py::arg("n_partners"), py::arg("n_nearest"));
    m.def("breed", &breed_programs, py::arg("rules"), py::arg("has_constant"), py::arg("tokens"),
          py::arg("lengths"), py::arg("constants"), py::arg("offsets"), py::arg("options"),
          py::arg("known").none(true), py::arg("key"), py::arg("rows"), py::arg("groups"),
          py::arg("first_attempt"), py::arg("n_positions"), py::arg("n_constants"),
          py::arg("n_threads") = 1, py::arg("target").none(true) = nullptr,
          "Breed one offspring per row from the parents of its group, best first in each; "
          "-> tokens (n, T), lengths (n,), constants (n, K), parents (n,), operations (n,), tries "
          "that broke a rule (n,), tries that were known (n,), look-ups (n,). With a target all by "
          "semantic mutation.");
}

}  // namespace dso::bindings
