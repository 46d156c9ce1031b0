// Executes programs on columns of data.
#pragma once
#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "machine/data.hpp"
#include "machine/library.hpp"

namespace dso::machine {

constexpr int32_t kNoNode = -1;

struct Verdict {
    Cause cause = Cause::valid;
    int32_t node = kNoNode;  // position in the prefix row
};

// One instruction: reads a and b, writes register `target`. A source >= 0 is a data column, one
// below is register ~source.
struct Instruction {
    Op op;
    int32_t position, target, a, b, column;  // column: of the data, or slot of a constant
    double value;
    bool is_inner;  // within a definition, of which only the result has to be finite
};
using Steps = std::vector<Instruction>;

// A compiled program.
struct Code {
    Steps steps;
    int32_t n_registers = 0, n_constants = 0;
    int32_t result = 0;  // a source
};

// Whether a machine may write over values that nothing will read again.
enum class Values { reused, kept };

// What becomes of the rows behind the first tile in which a program fails.
enum class Rest {
    run,      // every row gets its values
    located,  // run as far as it takes to find the first failing node of the whole
    left      // not run at all
};

// One thread's executor: compiles a program, then runs it, or some of its steps, tile by tile.
//
// A program is executed in left-to-right postorder over whole columns:
//     for node in postorder: column[node] = op(columns of children); fail if any is not finite
// Tiles of rows keep the registers in the first-level cache; the first failing node of the program
// is the smallest over the tiles.
class Machine {
public:
    Machine(const Library& library, const Columns& data, bool is_protected,
            Values values = Values::reused);

    void compile(const int16_t* tokens, int32_t length, const double* constants,
                 size_t n_constants);
    const Code& code() const { return code_; }

    // Runs the program. Calls use(first row, prediction, rows) for each tile that is valid, or
    // where all rest is run for each; a `use` that returns false ends the run.
    template <class Use>
    Verdict run(Rest rest, Use use) {
        return run(code_.steps, rest, [](size_t, size_t) {}, use);
    }

    // THE loop over tiles: runs some steps of the program, with constants of the caller's. Calls
    // fill(first row, rows) before each tile, for registers that no step writes.
    template <class Fill, class Use>
    Verdict run(const Steps& steps, Rest rest, Fill fill, Use use) {
        first_failure_ = static_cast<int32_t>(steps.size());
        cause_ = Cause::valid;
        for (size_t row = 0; row < data_.n_padded(); row += kTile) {
            const size_t n = std::min(kTile, data_.n_padded() - row);
            fill(row, n);
            run_tile(steps, row, n, rest == Rest::run);
            if (cause_ != Cause::valid && rest == Rest::left) break;
            if (cause_ != Cause::valid && rest == Rest::located) continue;
            if constexpr (std::is_void_v<decltype(use(row, source(0, row), n))>)
                use(row, source(code_.result, row), n);
            else if (!use(row, source(code_.result, row), n))
                break;
        }
        if (cause_ == Cause::valid) return {};
        return {cause_, steps[first_failure_].position};
    }

    // Runs one tile of the program, whatever its values are, and returns its result.
    const double* run_tile_alone(size_t row, size_t n) {
        first_failure_ = static_cast<int32_t>(code_.steps.size());
        run_tile(code_.steps, row, n, true);
        return source(code_.result, row);
    }

    // Rows of the current tile: of a source, and of a register to write to.
    const double* source(int32_t index, size_t row) const {
        return index >= 0 ? data_.column(index, row) : register_at(~index);
    }
    double* register_at(int32_t index) const { return registers_ + index * stride_; }

private:
    struct Compiler;
    struct Tile;
    struct Open {
        int32_t token, position, missing;
    };

    void run_tile(const Steps& steps, size_t row, size_t n, bool all_rows);
    void fail(const Steps& steps, size_t index, size_t row, size_t n);

    const Library& library_;
    const Columns& data_;
    const bool is_protected_;
    const Values values_;
    const size_t steps_per_token_;
    // Rows of a register: few where the data are few, so that registers do not get in each other's
    // way in the cache.
    const size_t stride_;
    Code code_;
    Buffer storage_;
    double* registers_ = nullptr;
    int32_t first_failure_ = 0;
    Cause cause_ = Cause::valid;
    std::vector<int32_t> operands_, free_;  // stacks of the compiler
    std::vector<Open> open_;
};

}  // namespace dso::machine
