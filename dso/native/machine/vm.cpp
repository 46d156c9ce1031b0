#include "machine/vm.hpp"

#include <algorithm>
#include <cmath>

#include "machine/vector_math.hpp"

namespace dso::machine {

Machine::Machine(const Library& library, const Columns& data, bool is_protected, Values values)
    : library_(library),
      data_(data),
      is_protected_(is_protected),
      values_(values),
      steps_per_token_(library.most_steps()),
      stride_(std::min(kTile, data.n_padded())) {}

// The stacks of one compilation. What is pushed is written field by field where it belongs: a
// structure made elsewhere would be copied before its parts have arrived.
struct Machine::Compiler {
    Compiler(Machine& machine, size_t length)
        : library(machine.library_), data(machine.data_), values(machine.values_) {
        length *= machine.steps_per_token_;
        const auto reserve = [](auto& stack, size_t size) {
            if (stack.size() < size) stack.resize(size);
        };
        reserve(machine.operands_, length);
        reserve(machine.free_, length);
        reserve(machine.open_, length);
        machine.code_.steps.resize(length);
        operand = machine.operands_.data();
        free_register = first_free = machine.free_.data();
        open = machine.open_.data();
        step = machine.code_.steps.data();
    }

    int32_t take_register() {
        return free_register == first_free ? n_registers++ : *--free_register;
    }
    void release(int32_t index) {
        if (index < 0 && values == Values::reused) *free_register++ = ~index;
    }

    // Appends the instruction of a token whose operands are on the stack, and pushes its result.
    DSO_INLINE void emit(int32_t token, int32_t position, const double* constants,
                         size_t n_constants) {
        const Op op = library.opcodes[token];
        const int32_t column = library.operands[token];
        if (op == Op::input) {
            if (!data.is_finite(column))
                write(op, position, column, column, 0, column, library.values[token]);
            *operand++ = column;
            return;
        }
        if (op == Op::constant) {
            // A number that was never set stands at 1, where every fit starts.
            const auto slot = static_cast<size_t>(next_constant);
            const bool is_set = slot < n_constants && !std::isnan(constants[slot]);
            const int32_t target = take_register();
            write(op, position, target, 0, 0, next_constant++, is_set ? constants[slot] : 1.0);
            *operand++ = ~target;
            return;
        }
        if (op == Op::defined) return expand(library.definitions[column], token, position);
        const int32_t arity = library.arities[token];
        const int32_t b = arity == 2 ? *--operand : 0;
        const int32_t a = arity >= 1 ? *--operand : 0;
        const int32_t target = take_register();
        if (arity == 2) release(b);
        if (arity >= 1) release(a);
        write(op, position, target, a, b, column, library.values[token]);
        *operand++ = ~target;
    }

    // The instructions of a definition. Arguments may be read several times, so their registers are
    // free again only behind the last one.
    void expand(const Definition& definition, int32_t token, int32_t position) {
        const int32_t arity = library.arities[token];
        int32_t* const bottom = operand;
        const int32_t* const arguments = operand - arity;
        const auto pop = [&] { return *--operand; };
        const auto release_inner = [&](int32_t source) {
            if (std::find(arguments, arguments + arity, source) == arguments + arity)
                release(source);
        };
        for (const Definition::Node& node : definition.nodes) {
            if (node.op == Op::input) {
                *operand++ = arguments[node.operand];
                continue;
            }
            const int32_t n = kArity[static_cast<int32_t>(node.op)];
            const int32_t b = n == 2 ? pop() : 0;
            const int32_t a = n >= 1 ? pop() : 0;
            const int32_t target = take_register();
            if (n == 2) release_inner(b);
            if (n >= 1) release_inner(a);
            write(node.op, position, target, a, b, 0, node.value);
            step[-1].is_inner = true;
            *operand++ = ~target;
        }
        const int32_t result = pop();
        operand = bottom - arity;
        for (int32_t i = 0; i < arity; ++i)
            if (arguments[i] != result) release(arguments[i]);
        if (result < 0 && step[-1].target == ~result) step[-1].is_inner = false;
        *operand++ = result;
    }

    void write(Op op, int32_t position, int32_t target, int32_t a, int32_t b, int32_t column,
               double value) {
        step->op = op;
        step->position = position;
        step->target = target;
        step->a = a;
        step->b = b;
        step->column = column;
        step->value = value;
        step->is_inner = false;
        ++step;
    }

    const Library& library;
    const Columns& data;
    const Values values;
    int32_t *operand, *free_register, *first_free;
    Open* open;
    Instruction* step;
    int32_t n_registers = 0, next_constant = 0;
};

void Machine::compile(const int16_t* tokens, int32_t length, const double* constants,
                      size_t n_constants) {
    Compiler to(*this, static_cast<size_t>(length));
    Open* const bottom = to.open;
    Open* top = bottom;
    for (int32_t t = 0; t < length; ++t) {
        const int32_t token = tokens[t], arity = library_.arities[token];
        if (arity > 0) {
            top->token = token;
            top->position = t;
            top->missing = arity;
            ++top;
            continue;
        }
        to.emit(token, t, constants, n_constants);
        while (top != bottom && --top[-1].missing == 0) {
            --top;
            to.emit(top->token, top->position, constants, n_constants);
        }
    }
    code_.steps.resize(to.step - code_.steps.data());
    code_.result = to.operand[-1];
    code_.n_registers = to.n_registers;
    code_.n_constants = to.next_constant;
    storage_.reserve(code_.n_registers * stride_);
    registers_ = storage_.data();
}

// Record why the column of instruction `index` is not usable.
void Machine::fail(const Steps& steps, size_t index, size_t row, size_t n) {
    const Instruction& step = steps[index];
    const int32_t arity = kArity[static_cast<int32_t>(step.op)];
    const int32_t target = step.op == Op::input ? step.target : ~step.target;
    const double* result = source(target, row);
    const double* a = arity >= 1 ? source(step.a, row) : result;
    const double* b = arity == 2 ? source(step.b, row) : result;
    Cause worst = Cause::invalid;
    for (size_t i = 0; i < n; ++i)
        if (!std::isfinite(result[i]))
            worst = std::min(worst, cause_of(step.op, a[i], b[i], result[i]));
    if (static_cast<int32_t>(index) < first_failure_) {
        first_failure_ = static_cast<int32_t>(index);
        cause_ = worst;
    } else {
        cause_ = std::min(cause_, worst);
    }
}

// out = f(a), and whether any value is not finite.
template <class F>
static DSO_INLINE bool map1(double* __restrict out, const double* __restrict a, size_t n, F f) {
    LaneBits seen = {};
    for (size_t i = 0; i < n; i += kLanes) {
        const Lanes result = f(load(a + i));
        store(out + i, result);
        seen |= not_finite(result);
    }
    return any_sign(seen);
}
template <class F>
static DSO_INLINE bool map2(double* __restrict out, const double* __restrict a,
                            const double* __restrict b, size_t n, F f) {
    LaneBits seen = {};
    for (size_t i = 0; i < n; i += kLanes) {
        const Lanes result = f(load(a + i), load(b + i));
        store(out + i, result);
        seen |= not_finite(result);
    }
    return any_sign(seen);
}

static DSO_INLINE bool is_finite(const double* values, size_t n) {
    LaneBits seen = {};
    for (size_t i = 0; i < n; i += kLanes) seen |= not_finite(load(values + i));
    return !any_sign(seen);
}

#define UNARY(name, value, ...)                                                                   \
    case Op::op_##name:                                                                           \
        bad =                                                                                     \
            map1(out, a, n, [](const Lanes& a) __attribute__((always_inline)) { return value; }); \
        break;
#define BINARY(name, value, ...)                                          \
    case Op::op_##name:                                                   \
        bad = map2(out, a, b, n,                                          \
                   [](const Lanes& a, const Lanes& b)                     \
                       __attribute__((always_inline)) { return value; }); \
        break;

// The code of a tile. It has no name outside of this file: a member that is compiled in several
// versions would be another one to files that only see its declaration.
struct Machine::Tile {
    DSO_CLONES static void run(Machine& machine, const Steps& steps, size_t row, size_t n,
                               bool all_rows);
};

DSO_CLONES
void Machine::Tile::run(Machine& machine, const Steps& steps, size_t row, size_t n, bool all_rows) {
    using namespace elementary;
    const size_t n_steps = steps.size();
    const size_t stop = all_rows ? n_steps : std::min<size_t>(n_steps, machine.first_failure_ + 1);
    for (size_t index = 0; index < stop; ++index) {
        const Instruction& step = steps[index];
        const double* a = machine.source(step.a, row);
        const double* b = machine.source(step.b, row);
        double* out = machine.register_at(step.target);
        bool bad = false;
        switch (step.op) {
            DSO_OPERATORS(UNARY, BINARY)
            case Op::less: {
                const double* checked = machine.data_.column(step.column, row);
                LaneBits seen = {};
                for (size_t i = 0; i < n; i += kLanes) {
                    const Lanes chosen =
                        select(load(checked + i) < step.value, load(a + i), load(b + i));
                    store(out + i, chosen);
                    seen |= not_finite(chosen);
                }
                bad = any_sign(seen);
                break;
            }
            case Op::literal:
            case Op::constant:
                for (size_t i = 0; i < n; i += kLanes) store(out + i, splat(step.value));
                bad = !std::isfinite(step.value);
                break;
            case Op::input:  // emitted only for a column with a value that is not finite
                bad = true;
                break;
            case Op::poly:  // whoever runs it has filled its register
                bad = !is_finite(out, n);
                break;
            default:
                break;  // check_programs refused it
        }
        if (bad && !step.is_inner && (!machine.is_protected_ || index + 1 == n_steps) &&
            static_cast<int32_t>(index) <= machine.first_failure_) {
            machine.fail(steps, index, row, n);
            if (!all_rows) return;
        }
    }
}

void Machine::run_tile(const Steps& steps, size_t row, size_t n, bool all_rows) {
    Tile::run(*this, steps, row, n, all_rows);
}

}  // namespace dso::machine
