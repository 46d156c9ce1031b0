// Whole batches of programs on rows of data, on several threads.
#pragma once
#include "machine/data.hpp"
#include "machine/library.hpp"
#include "machine/loss.hpp"
#include "machine/program.hpp"
#include "machine/vm.hpp"

namespace dso::machine {

// What a call over a batch works on.
struct Batch {
    const Library& library;
    const ProgramView programs;
    const Data& data;
    const size_t n_threads;
};

// What became of the programs of a batch.
struct Verdicts {
    uint8_t* cause;  // (B,)
    int32_t* node;   // (B,)
    void set(size_t p, const Verdict& verdict) const {
        cause[p] = static_cast<uint8_t>(verdict.cause);
        node[p] = verdict.node;
    }
};

// Each refuses programs that the machine cannot run.

// The predictions (B, N); those of a program that is not valid mean nothing.
void execute(const Batch& batch, double* values, const Verdicts& verdicts);

// The weighted mean over rows of (prediction - y)^2, (B,), NaN where a program is not valid.
void mean_squared_error(const Batch& batch, double* mean, const Verdicts& verdicts);

// The mean over rows of a loss, (B,), NaN where a program is not valid.
void mean_loss(const Batch& batch, const Loss& loss, double* mean, const Verdicts& verdicts);

// The weighted share of rows with |prediction - y| < relative |y| + absolute, (B,).
void fraction_within(const Batch& batch, double relative, double absolute, double* mean,
                     const Verdicts& verdicts);

}  // namespace dso::machine
