#include "machine/holed_program.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "machine/inversion.hpp"
#include "machine/vector_math.hpp"
#include "threads.hpp"

namespace dso::machine {

void HoledProgram::set(const int16_t* tokens, int32_t length, const double* constants,
                       size_t n_constants) {
    machine_.compile(tokens, length, constants, n_constants);
    others_.clear();
    path_.clear();
    is_invertible_ = true;
    std::vector<char> is_above(machine_.code().n_registers, 0);
    const auto leads_to_hole = [&](int32_t source) { return source < 0 && is_above[~source]; };
    int n_holes = 0;
    for (const Instruction& step : machine_.code().steps) {
        if (step.op == Op::poly) {
            ++n_holes;
            hole_ = step.target;
            is_above[step.target] = 1;
            continue;
        }
        const int32_t arity = kArity[static_cast<int32_t>(step.op)];
        const int argument = arity >= 1 && leads_to_hole(step.a)   ? 0
                             : arity == 2 && leads_to_hole(step.b) ? 1
                                                                   : -1;
        if (argument < 0) {
            others_.push_back(step);
            continue;
        }
        is_above[step.target] = 1;
        // A definition may read its argument twice.
        const bool is_twice = arity == 2 && argument == 0 && leads_to_hole(step.b);
        is_invertible_ &= !is_twice && (step.op == Op::less || has_inverse(step.op, argument));
        path_.push_back({step, argument});
    }
    if (n_holes != 1) throw std::invalid_argument("a program needs exactly one token to solve for");
}

// Keeps the values of rows in which a StateChecker takes the branch of the hole.
DSO_CLONES
static void keep_branch(const double* checked, double threshold, bool is_first, double* values,
                        size_t n) {
    const Lanes none = splat(std::numeric_limits<double>::quiet_NaN());
    for (size_t i = 0; i < n; i += kLanes) {
        const LaneBits holds = load(checked + i) < threshold;
        const Lanes value = load(values + i);
        store(values + i, is_first ? select(holds, value, none) : select(holds, none, value));
    }
}

void HoledProgram::wanted(const double* y, double* out) {
    const auto nothing = [](size_t, size_t) {};
    machine_.run(others_, Rest::run, nothing, [&](size_t row, const double*, size_t n) {
        double* values = out + row;
        std::copy(y + row, y + row + n, values);
        for (auto step = path_.rbegin(); step != path_.rend(); ++step) {
            const Instruction& at = step->instruction;
            if (at.op == Op::less) {
                keep_branch(data_.column(at.column, row), at.value, step->argument == 0, values, n);
                continue;
            }
            const bool is_binary = kArity[static_cast<int32_t>(at.op)] == 2;
            const double* other =
                is_binary ? machine_.source(step->argument == 0 ? at.b : at.a, row) : values;
            invert(at.op, step->argument, values, other, values, n);
        }
    });
}

namespace {

constexpr size_t kProgramsPerChunk = 4;

// One program with the subtree at `position` cut out, and `hole` in its place.
struct Cut {
    Cut(const Library& library, const ProgramView& programs, size_t b, int32_t position,
        int16_t hole) {
        const int16_t* row = programs.row(b);
        const int32_t length = programs.lengths[b];
        if (position < 0 || position >= length)
            throw std::invalid_argument("positions: program " + std::to_string(b) +
                                        " has no token at " + std::to_string(position));
        int32_t end = position;
        for (int64_t missing = 1; missing > 0; ++end) missing += library.arities[row[end]] - 1;
        size_t slot = 0;
        for (int32_t t = 0; t < length; ++t) {
            const bool is_inside = t >= position && t < end;
            if (t == position) tokens.push_back(hole);
            if (!is_inside) tokens.push_back(row[t]);
            if (library.opcodes[row[t]] != Op::constant) continue;
            const double value = slot < programs.n_constants ? programs.slots(b)[slot] : 1;
            if (!is_inside) constants.push_back(value);
            ++slot;
        }
    }
    std::vector<int16_t> tokens;
    std::vector<double> constants;
};

Library with_hole(Library library) {
    library.arities.push_back(0);
    library.opcodes.push_back(Op::poly);
    library.operands.push_back(0);
    library.values.push_back(0);
    return library;
}

}  // namespace

void invert_programs(const Batch& batch, const int32_t* positions, double* wanted,
                     bool* is_finite) {
    const Columns& data = batch.data.columns;
    check_programs(batch.library, batch.programs, data.n_columns(), Polynomials::allowed);
    const size_t N = data.n_rows();
    const auto hole = static_cast<int16_t>(batch.library.arities.size());
    const Library library = with_hole(batch.library);
    const double* y = batch.data.required_target().y();
    const auto chunk_of_programs = [&](size_t, size_t begin, size_t end) {
        HoledProgram program(library, data, true);
        std::vector<double> values(data.n_padded());
        for (size_t b = begin; b < end; ++b) {
            const Cut cut(batch.library, batch.programs, b, positions[b], hole);
            program.set(cut.tokens.data(), static_cast<int32_t>(cut.tokens.size()),
                        cut.constants.data(), cut.constants.size());
            program.wanted(y, values.data());
            std::copy(values.begin(), values.begin() + N, wanted + b * N);
            is_finite[b] = program.is_invertible() &&
                           std::all_of(values.begin(), values.begin() + N,
                                       [](double value) { return std::isfinite(value); });
        }
    };
    parallel_for(batch.programs.n_programs, batch.n_threads, kProgramsPerChunk, chunk_of_programs);
}

}  // namespace dso::machine
