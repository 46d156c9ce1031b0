// Executes programs on columns of data.
#pragma once
#include <cstdint>
#include <vector>

#include "machine/operators.hpp"
#include "machine/program.hpp"

namespace dso::machine {

// What the tokens of a library mean to the machine.
struct Library {
    std::vector<int32_t> arities;
    std::vector<Op> opcodes;
    std::vector<int32_t> operands;  // column of an input or a StateChecker
    std::vector<double> values;     // literal or threshold
    int n_inputs() const;           // columns that the tokens refer to
};

// Memory aligned to a cache line.
class Buffer {
public:
    explicit Buffer(size_t size = 0) { reserve(size); }
    void reserve(size_t size) {
        if (storage_.size() < size + 8) storage_.resize(size + 8);
    }
    double* data() {
        const auto address = reinterpret_cast<uintptr_t>(storage_.data());
        return storage_.data() + (64 - address % 64) % 64 / sizeof(double);
    }

private:
    std::vector<double> storage_;
};

// The data columns, padded to whole lanes. Padding repeats the first row, so it never fails where
// no row fails.
class Columns {
public:
    Columns(const double* columns, size_t n_columns, size_t n_rows);
    Columns(const Columns&) = delete;
    const double* column(size_t d) const { return data_ + d * stride_; }
    bool is_finite(size_t d) const { return finite_[d]; }
    size_t n_columns() const { return finite_.size(); }
    size_t n_rows() const { return n_rows_; }
    size_t n_padded() const { return stride_; }

private:
    Buffer buffer_;
    double* data_;
    size_t n_rows_, stride_;
    std::vector<char> finite_;
};

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
};

// Whether a machine may write over values that nothing will read again.
enum class Values { reused, kept };

// One thread's executor: compiles a program, then runs it tile by tile.
//
// A program is executed in left-to-right postorder over whole columns:
//     for node in postorder: column[node] = op(columns of children); fail if any is not finite
// Tiles of rows keep the registers in the first-level cache; the first failing node of the program
// is the smallest over the tiles.
class Machine {
public:
    static constexpr size_t kTile = 512;

    Machine(const Library& library, const Columns& data, bool is_protected,
            Values values = Values::reused);

    void compile(const int16_t* tokens, int32_t length, const double* constants,
                 size_t n_constants);

    // Calls use(first row, prediction, rows) for each tile. Where `all_rows` is false, tiles are
    // cut short once the program has failed.
    template <class Use>
    Verdict run(bool all_rows, Use use) {
        first_failure_ = static_cast<int32_t>(code_.size());
        cause_ = Cause::valid;
        for (size_t row = 0; row < data_.n_padded(); row += kTile) {
            const size_t n = std::min(kTile, data_.n_padded() - row);
            run_tile(row, n, all_rows);
            if (all_rows || cause_ == Cause::valid) use(row, source(result_, row), n);
        }
        if (cause_ == Cause::valid) return {};
        return {cause_, code_[first_failure_].position};
    }

protected:
    void run_tile(size_t row, size_t n, bool all_rows);
    void fail(size_t index, size_t row, size_t n);
    const double* source(int32_t index, size_t row) const {
        return index >= 0 ? data_.column(index) + row : register_at(~index);
    }
    double* register_at(int32_t index) const { return registers_ + index * stride_; }

    const Library& library_;
    const Columns& data_;
    const bool is_protected_;
    const Values values_;
    // Rows of a register: few where the data are few, so that registers do not get in each other's
    // way in the cache.
    const size_t stride_;
    std::vector<Instruction> code_;
    int32_t n_registers_ = 0, result_ = 0, next_constant_ = 0;
    Buffer storage_;
    double* registers_ = nullptr;
    int32_t first_failure_ = 0;
    Cause cause_ = Cause::valid;

private:
    struct Compiler;
    struct Open {
        int32_t token, position, missing;
    };
    std::vector<int32_t> operands_, free_;  // stacks of the compiler
    std::vector<Open> open_;
};

// Refuse programs that the machine cannot run, naming the first. Whoever knows what to put in the
// place of a polynomial lets it pass.
enum class Polynomials { refused, allowed };
void check_programs(const Library& library, const ProgramView& programs, size_t n_columns,
                    Polynomials polynomials = Polynomials::refused);

}  // namespace dso::machine
