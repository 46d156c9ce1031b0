// Breeding, blind and by values.
#include <algorithm>
#include <memory>

#include "bindings/arrays.hpp"
#include "gp/variation.hpp"
#include "semantic/mutation.hpp"

namespace dso::bindings {

using namespace gp;
using namespace semantic;
namespace {

gp::BreedOptions make_options(double p_crossover, double p_mutate, double p_perturb, double p_join,
                              double p_archive, int tournament_size, int mutate_tree_max,
                              int n_attempts) {
    if (tournament_size < 1 || mutate_tree_max < 0 || n_attempts < 1)
        throw std::invalid_argument("BreedOptions: a size is too small");
    return {p_crossover, p_mutate,        p_perturb,       p_join,
            p_archive,   tournament_size, mutate_tree_max, n_attempts};
}

// Parents with the programs that they refer to.
struct BoundParents {
    BoundParents(const Programs& programs_, std::vector<int64_t> offsets)
        : programs(programs_), parents{programs.view(), std::move(offsets)} {}
    Programs programs;
    Parents parents;
};

// Arrays for n offspring.
struct BroodArrays {
    BroodArrays(size_t n, size_t n_positions, size_t n_constants)
        : tokens({n, n_positions}),
          lengths(n),
          constants({n, n_constants}),
          parents(n),
          operations(n),
          n_refused(n),
          n_known(n),
          n_lookups(filled({n}, int64_t{0})) {}
    Brood view() {
        return {tokens.mutable_data(),
                lengths.mutable_data(),
                constants.mutable_data(),
                parents.mutable_data(),
                operations.mutable_data(),
                n_refused.mutable_data(),
                n_known.mutable_data(),
                static_cast<size_t>(tokens.shape(1)),
                static_cast<size_t>(constants.shape(1))};
    }

    NewArray<int16_t> tokens;
    NewArray<int32_t> lengths;
    NewArray<double> constants;
    NewArray<int32_t> parents;
    NewArray<uint8_t> operations;
    NewArray<int32_t> n_refused, n_known;
    NewArray<int64_t> n_lookups;
};

std::vector<uint8_t> which_carry_numbers(const machine::Library& library) {
    std::vector<uint8_t> carry;
    for (const machine::Op op : library.opcodes) carry.push_back(op == machine::Op::constant);
    return carry;
}

BroodArrays breed_programs(const machine::Library& library, const rules::RuleSet& rules,
                           const BoundParents& parents, const BreedOptions& options,
                           const Array<uint32_t>& rows, const Array<int32_t>& groups, uint64_t key,
                           uint32_t first_attempt, size_t n_positions, size_t n_constants,
                           const OrNone<machine::KeySet>& known,
                           const OrNone<SemanticTarget>& target, size_t n_threads) {
    if (groups.size() != rows.size())
        throw std::invalid_argument("breed: rows and groups are (n,)");
    const std::vector<uint8_t> has_constant = which_carry_numbers(library);
    const auto n_rows = static_cast<size_t>(rows.size());
    const BreedJob job{rules,    has_constant, parents.parents, options, known.value_or(nullptr),
                       key,      rows.data(),  groups.data(),   n_rows,  first_attempt,
                       n_threads};
    // A copy of a parent must fit.
    const size_t width = std::max(n_positions, parents.parents.programs.n_positions);
    BroodArrays arrays(n_rows, width, n_constants);
    Brood brood = arrays.view();
    int64_t* n_lookups = arrays.n_lookups.mutable_data();
    {
        const py::gil_scoped_release release;
        if (target)
            breed_by_values(**target, job, brood, n_lookups);
        else
            breed(job, brood);
    }
    return arrays;
}

std::unique_ptr<SemanticTarget> make_target(std::shared_ptr<ValueLibrary> values,
                                            const machine::Library& library,
                                            std::shared_ptr<machine::Data> data, size_t n_partners,
                                            size_t n_nearest) {
    return std::make_unique<SemanticTarget>(std::move(values), library, std::move(data), n_partners,
                                            n_nearest);
}

}  // namespace

void bind_gp(py::module_& m) {
    py::class_<gp::BreedOptions>(m, "BreedOptions", "How offspring are made of their parents.")
        .def(py::init(&make_options), py::kw_only(), py::arg("p_crossover"), py::arg("p_mutate"),
             py::arg("p_perturb"), py::arg("p_join"), py::arg("p_archive"),
             py::arg("tournament_size"), py::arg("mutate_tree_max"), py::arg("n_attempts"));
    py::class_<SemanticTarget>(m, "SemanticTarget", "What semantic mutation solves programs for.")
        .def(py::init(&make_target), py::arg("values").none(false), py::arg("library"),
             py::arg("data").none(false), py::kw_only(), py::arg("n_partners"),
             py::arg("n_nearest"), "The data are those of the key rows.");
    py::class_<BoundParents>(m, "Parents", "Programs in groups, each best first.")
        .def(py::init<const Programs&, std::vector<int64_t>>(), py::arg("programs"),
             py::arg("offsets"), "Group g holds the programs offsets[g] to offsets[g + 1].");
    py::class_<BroodArrays>(m, "Brood", "n offspring.")
        .def_readonly("tokens", &BroodArrays::tokens, "(n, T)")
        .def_readonly("lengths", &BroodArrays::lengths, "(n,)")
        .def_readonly("constants", &BroodArrays::constants,
                      "(n, K), NaN where a number is to be fitted")
        .def_readonly("parents", &BroodArrays::parents, "(n,)")
        .def_readonly("operations", &BroodArrays::operations, "(n,)")
        .def_readonly("n_refused", &BroodArrays::n_refused, "Tries that broke a rule, (n,)")
        .def_readonly("n_known", &BroodArrays::n_known, "Tries that were known, (n,)")
        .def_readonly("n_lookups", &BroodArrays::n_lookups, "Look-ups of values, (n,)");
    m.def("breed", &breed_programs, py::arg("library"), py::arg("rules"), py::arg("parents"),
          py::arg("options"), py::kw_only(), py::arg("rows"), py::arg("groups"), py::arg("key"),
          py::arg("first_attempt"), py::arg("n_positions"), py::arg("n_constants"),
          py::arg("known") = py::none(), py::arg("target") = py::none(), py::arg("n_threads") = 1,
          "Breed one offspring per row from the parents of its group. With a target all by "
          "semantic mutation.");
}

}  // namespace dso::bindings
