#include "control/controller.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "control/clip.hpp"
#include "machine/vector_math.hpp"

namespace dso::control {

using namespace machine;

// Step of a ScalarProgram that always jumps; decisions jump where the condition does not hold.
constexpr Op kJump = Op::count;
// Steps around a definition: copy a value from below the top, and drop the arguments under it.
constexpr Op kCopy{static_cast<int32_t>(Op::count) + 1}, kDrop{static_cast<int32_t>(Op::count) + 2};

void ScalarProgram::compile(const Library& library, const int16_t* tokens, int32_t length,
                            const double* constants, size_t n_constants) {
    code_.clear();
    stack_.resize(length + library.most_steps() + 1);
    struct Open {
        int16_t token;
        int32_t missing;
        size_t start;  // of a decision: its own step; later that of the jump behind the first child
    };
    std::vector<Open> open;
    size_t next_constant = 0;
    const auto close = [&](const Open& node) {
        if (library.opcodes[node.token] == Op::less)
            code_[node.start].operand = static_cast<int32_t>(code_.size());
        else if (library.opcodes[node.token] == Op::defined)
            expand(library.definitions[library.operands[node.token]], library.arities[node.token]);
        else
            code_.push_back({library.opcodes[node.token], 0, 0});
    };
    for (int32_t t = 0; t < length; ++t) {
        const int16_t token = tokens[t];
        const Op op = library.opcodes[token];
        if (op == Op::less) {
            // The column of the decision stands in a step before it, the jump in its own.
            code_.push_back({Op::input, library.operands[token], 0});
            code_.push_back({Op::less, 0, library.values[token]});
        }
        if (library.arities[token] > 0) {
            open.push_back({token, library.arities[token], code_.size() - (op == Op::less)});
            continue;
        }
        double value = library.values[token];
        if (op == Op::constant) {
            const size_t slot = next_constant++;
            value = slot < n_constants && !std::isnan(constants[slot]) ? constants[slot] : 1.0;
        }
        code_.push_back(
            {op == Op::input ? Op::input : Op::literal, library.operands[token], value});
        while (!open.empty()) {
            Open& node = open.back();
            if (--node.missing > 0) {
                if (library.opcodes[node.token] == Op::less) {
                    code_.push_back({kJump, 0, 0});
                    code_[node.start].operand = static_cast<int32_t>(code_.size());
                    node.start = code_.size() - 1;
                }
                break;
            }
            close(node);
            open.pop_back();
        }
    }
}

// The steps of a definition whose arguments lie on top of the stack.
void ScalarProgram::expand(const Definition& definition, int32_t arity) {
    int32_t above = 0;  // values on top of the arguments
    for (const Definition::Node& node : definition.nodes) {
        if (node.op == Op::input)
            code_.push_back({kCopy, above + arity - 1 - node.operand, 0});
        else
            code_.push_back({node.op, 0, node.value});
        above += 1 - kArity[static_cast<int32_t>(node.op)];
    }
    code_.push_back({kDrop, arity, 0});
}

#define UNARY(name, value, ...)  \
    case Op::op_##name: {        \
        const double a = top[0]; \
        top[0] = value;          \
        break;                   \
    }
#define BINARY(name, value, ...)              \
    case Op::op_##name: {                     \
        const double a = top[-1], b = top[0]; \
        *--top = value;                       \
        break;                                \
    }

double ScalarProgram::operator()(const double* observation) {
    using namespace elementary;
    double* top = stack_.data() - 1;
    const auto n_steps = static_cast<int32_t>(code_.size());
    for (int32_t i = 0; i < n_steps; ++i) {
        const Step& step = code_[i];
        switch (step.op) {
            DSO_OPERATORS(UNARY, BINARY)
            case Op::input:
                *++top = observation[step.operand];
                break;
            case Op::literal:
                *++top = step.value;
                break;
            case Op::less:
                if (!(*top-- < step.value)) i = step.operand - 1;
                break;
            default:  // check_policies has refused the rest
                if (step.op == kCopy) {
                    const double copied = top[-step.operand];
                    *++top = copied;
                } else if (step.op == kDrop) {
                    top[-step.operand] = top[0];
                    top -= step.operand;
                } else {
                    i = step.operand - 1;  // kJump
                }
        }
    }
    return *top;
}

void ActionTree::compile(const Library& library, const ActionTokens& actions, const int16_t* tokens,
                         int32_t length) {
    code_.clear();
    defaults_ = actions.defaults;
    is_set_.resize(defaults_.size());
    std::vector<size_t> waiting;  // decisions whose second child comes next, the last one first
    for (int32_t t = 0; t < length; ++t) {
        const int16_t token = tokens[t];
        const bool is_decision = library.opcodes[token] == Op::less;
        const int32_t dimension = actions.dimensions[token];
        code_.push_back({dimension, library.operands[token], 0,
                         is_decision ? library.values[token] : actions.values[token]});
        if (is_decision) waiting.push_back(t);
        if (library.arities[token] == 0 && !waiting.empty()) {
            code_[waiting.back()].otherwise = t + 1;
            waiting.pop_back();
        }
    }
}

void ActionTree::operator()(const double* observation, double* action) {
    std::copy(defaults_.begin(), defaults_.end(), action);
    std::fill(is_set_.begin(), is_set_.end(), 0);
    for (size_t i = 0;;) {
        const Step& step = code_[i];
        if (step.dimension == ActionTokens::kStop) return;
        if (step.dimension == ActionTokens::kNone) {
            i = observation[step.operand] < step.value ? i + 1 : step.otherwise;
            continue;
        }
        if (!is_set_[step.dimension]) action[step.dimension] = step.value;
        is_set_[step.dimension] = 1;
        ++i;
    }
}

void Perceptron::run(const double* observation, double* action, std::vector<float>& memory) const {
    size_t widest = n_inputs();
    for (const Layer& layer : layers) widest = std::max(widest, layer.n_out);
    memory.resize(2 * widest);
    float *in = memory.data(), *out = memory.data() + widest;
    for (size_t j = 0; j < n_inputs(); ++j) {
        double x = observation[j];
        if (!mean.empty()) x = clip((x - mean[j]) / deviation[j], -limit, limit);
        in[j] = static_cast<float>(x);
    }
    for (size_t l = 0; l < layers.size(); ++l) {
        const Layer& layer = layers[l];
        for (size_t i = 0; i < layer.n_out; ++i) {
            // Eight sums side by side, always in the same order.
            const float* row = layer.weights.data() + i * layer.n_in;
            float sums[8] = {};
            size_t j = 0;
            for (; j + 8 <= layer.n_in; j += 8)
                for (size_t k = 0; k < 8; ++k) sums[k] += row[j + k] * in[j + k];
            float total = layer.bias[i];
            for (; j < layer.n_in; ++j) total += row[j] * in[j];
            for (const float sum : sums) total += sum;
            if (l + 1 < layers.size())
                total = activation == Activation::tanh ? std::tanh(total) : std::max(total, 0.0f);
            out[i] = total;
        }
        std::swap(in, out);
    }
    if (head == Head::choice) {
        action[0] = static_cast<double>(std::max_element(in, in + layers.back().n_out) - in);
        return;
    }
    for (size_t i = 0; i < n_outputs(); ++i) {
        if (head == Head::linear) {
            action[i] = in[i];
            continue;
        }
        const auto limit = static_cast<float>(z_limit);
        const float z = limit > 0 ? clip(in[i], -limit, limit) : in[i];
        action[i] = low[i] + 0.5 * (std::tanh(z) + 1.0) * (high[i] - low[i]);
    }
}

Controller::Controller(const Composition& composition)
    : composition_(composition), fixed_(composition.fixed) {
    if (composition.anchor) from_anchor_.resize(composition.anchor->n_outputs());
}

void Controller::learn(const Library& library, const ProgramView& programs, size_t p) {
    if (composition_.kind == Composition::Kind::multi_discrete)
        tree_.compile(library, composition_.actions, programs.row(p), programs.lengths[p]);
    else
        program_.compile(library, programs.row(p), programs.lengths[p], programs.slots(p),
                         programs.n_constants);
}

void Controller::act(const double* observation, double* action) {
    if (composition_.kind == Composition::Kind::multi_discrete) return tree_(observation, action);
    if (composition_.anchor) composition_.anchor->run(observation, from_anchor_.data(), memory_);
    for (size_t i = 0; i < composition_.n_actions(); ++i) {
        const int32_t source = composition_.sources[i];
        double value = source == Composition::kLearned  ? program_(observation)
                       : source == Composition::kAnchor ? from_anchor_[i]
                                                        : fixed_[source](observation);
        if (std::isnan(value)) value = 0;
        if (composition_.kind == Composition::Kind::box) {
            value = clip(value, composition_.low[i], composition_.high[i]);
            if (composition_.is_single) value = static_cast<float>(value);
        }
        action[i] = value;
    }
}

void check_policies(const Library& library, const Composition& composition,
                    const ProgramView& programs, size_t n_observations) {
    if (composition.anchor && composition.anchor->n_inputs() != n_observations)
        throw std::invalid_argument("the anchor takes " +
                                    std::to_string(composition.anchor->n_inputs()) +
                                    " observations, there are " + std::to_string(n_observations));
    if (composition.kind != Composition::Kind::multi_discrete)
        return check_programs(library, programs, n_observations);
    // To check the structure, actions stand for numbers.
    Library numbers = library;
    for (size_t i = 0; i < numbers.opcodes.size(); ++i)
        if (composition.actions.dimensions.at(i) != ActionTokens::kNone)
            numbers.opcodes[i] = library.arities[i] ? Op::op_neg : Op::literal;
    check_programs(numbers, programs, n_observations);
}

}  // namespace dso::control
