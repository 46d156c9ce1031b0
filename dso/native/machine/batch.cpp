#include "machine/batch.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "machine/metrics.hpp"
#include "threads.hpp"

namespace dso::machine {
namespace {

constexpr size_t kProgramsPerChunk = 32;

// Calls body(machine, program) for every program, compiled. Each thread's body is made by make().
template <class Make>
void for_each_program(const Batch& batch, Make make) {
    const Columns& columns = batch.data.columns;
    const ProgramView& programs = batch.programs;
    check_programs(batch.library, programs, columns.n_columns());
    const auto chunk_of_programs = [&](size_t, size_t begin, size_t end) {
        Machine machine(batch.library, columns, batch.data.is_protected);
        auto body = make();
        for (size_t p = begin; p < end; ++p) {
            machine.compile(programs.row(p), programs.lengths[p], programs.slots(p),
                            programs.n_constants);
            body(machine, p);
        }
    };
    parallel_for(programs.n_programs, batch.n_threads,
                 chunk_size(kProgramsPerChunk, columns.n_rows()), chunk_of_programs);
}

// The mean over rows of what tile_sum(prediction, row, n) adds up, make_tile_sum() for each thread.
template <class MakeTileSum>
void weighted_mean(const Batch& batch, double* mean, const Verdicts& verdicts,
                   MakeTileSum make_tile_sum) {
    const double total_weight = batch.data.required_target().total_weight();
    for_each_program(batch, [&] {
        return [&, tile_sum = make_tile_sum()](Machine& machine, size_t p) mutable {
            double total = 0;
            const Verdict verdict =
                machine.run(Rest::located, [&](size_t row, const double* prediction, size_t n) {
                    total += tile_sum(prediction, row, n);
                });
            verdicts.set(p, verdict);
            mean[p] = verdict.cause == Cause::valid ? total / total_weight
                                                    : std::numeric_limits<double>::quiet_NaN();
        };
    });
}

}  // namespace

void execute(const Batch& batch, double* values, const Verdicts& verdicts) {
    const size_t n_rows = batch.data.columns.n_rows();
    for_each_program(batch, [&] {
        return [&](Machine& machine, size_t p) {
            double* out = values + p * n_rows;
            const auto keep = [&](size_t row, const double* prediction, size_t n) {
                std::copy(prediction, prediction + std::min(n, n_rows - row), out + row);
            };
            verdicts.set(p, machine.run(Rest::run, keep));
        };
    });
}

void mean_squared_error(const Batch& batch, double* mean, const Verdicts& verdicts) {
    const Target& target = batch.data.required_target();
    weighted_mean(batch, mean, verdicts, [&] {
        return [&](const double* prediction, size_t row, size_t n) {
            return sum_squared_error(prediction, target.y() + row, target.weights() + row, n);
        };
    });
}

void mean_loss(const Batch& batch, const Loss& loss, double* mean, const Verdicts& verdicts) {
    const LossData data(loss, batch.data.required_target());
    weighted_mean(batch, mean, verdicts, [&] {
        return [rows = LossOfRows(data)](const double* prediction, size_t row, size_t n) mutable {
            return rows.sum(prediction, row, n);
        };
    });
}

void fraction_within(const Batch& batch, double relative, double absolute, double* mean,
                     const Verdicts& verdicts) {
    const Target& target = batch.data.required_target();
    const size_t n_padded = batch.data.columns.n_padded();
    Buffer tolerances(n_padded);
    double* tolerance = tolerances.data();
    for (size_t i = 0; i < n_padded; ++i)
        tolerance[i] = relative * std::fabs(target.y()[i]) + absolute;
    weighted_mean(batch, mean, verdicts, [&] {
        return [&](const double* prediction, size_t row, size_t n) {
            return sum_within(prediction, target.y() + row, tolerance + row, target.weights() + row,
                              n);
        };
    });
}

}  // namespace dso::machine
