#include "machine/loss.hpp"

#include <algorithm>

#include "machine/metrics.hpp"
#include "machine/vector_math.hpp"

namespace dso::machine {
namespace {

// The tokens of a loss: its three functions, then what they are functions of.
constexpr int16_t kPrediction = 3, kTarget = 4, kWeight = 5;

std::vector<double> target_and_weights(const Target& target) {
    const size_t n = target.n_rows();
    std::vector<double> columns(2 * n);
    std::copy(target.y(), target.y() + n, columns.begin());
    std::copy(target.weights(), target.weights() + n, columns.begin() + n);
    return columns;
}

Machine make_machine(const LossData& data, int16_t function) {
    Machine machine(data.loss.library(), data.columns, true);
    const int16_t tokens[] = {function, kPrediction, kTarget, kWeight};
    machine.compile(tokens, 1 + data.loss.library().arities[0], nullptr, 0);
    return machine;
}

}  // namespace

Loss::Loss(int32_t n_arguments, Definition value, Definition slope, Definition second,
           double softening)
    : takes_weight_(n_arguments == 3), softening_(softening) {
    const auto add = [&](int32_t arity, Op op, int32_t operand) {
        library_.arities.push_back(arity);
        library_.opcodes.push_back(op);
        library_.operands.push_back(operand);
        library_.values.push_back(0);
    };
    library_.definitions = {std::move(value), std::move(slope), std::move(second)};
    for (int32_t i = 0; i < 3; ++i) add(n_arguments, Op::defined, i);
    add(0, Op::poly, 0);
    add(0, Op::input, 0);
    add(0, Op::input, 1);
}

LossData::LossData(const Loss& loss, const Target& target)
    : loss(loss),
      columns(target_and_weights(target).data(), 2, target.n_rows()),
      storage_(padded(target.n_rows())),
      multipliers_(storage_.data()) {
    const size_t n = target.n_rows();
    std::fill(multipliers_, multipliers_ + padded(n), 0.0);
    if (loss.takes_weight())
        std::fill(multipliers_, multipliers_ + n, 1.0);
    else
        std::copy(target.weights(), target.weights() + n, multipliers_);
}

LossOfRows::LossOfRows(const LossData& data)
    : data_(data),
      value_(make_machine(data, 0)),
      slope_(make_machine(data, 1)),
      second_(make_machine(data, 2)) {}

const double* LossOfRows::run(Machine& machine, const double* prediction, size_t row, size_t n) {
    for (const Instruction& step : machine.code().steps)
        if (step.op == Op::poly) {
            std::copy(prediction, prediction + n, machine.register_at(step.target));
            break;
        }
    return machine.run_tile_alone(row, n);
}

double LossOfRows::sum(const double* prediction, size_t row, size_t n) {
    return dot(run(value_, prediction, row, n), data_.multipliers() + row, n);
}

DSO_CLONES
static void roots_and_errors(const double* prediction, const double* y, const double* multipliers,
                             const double* slope, const double* second, double softening,
                             double* roots, double* errors, size_t n) {
    using namespace elementary;
    for (size_t i = 0; i < n; i += kLanes) {
        const Lanes size = abs(load(slope + i));
        const Lanes distance = abs(load(prediction + i) - load(y + i)) + softening;
        const Lanes bend = abs(load(second + i)), weight = size / distance;
        // A second derivative at a kink is no number; then the weight alone counts.
        const Lanes curvature = select(bend > weight, select(bend < 1e140, bend, weight), weight);
        const Lanes root = sqrt(0.5 * load(multipliers + i) * curvature);
        const Lanes half = 0.5 * load(multipliers + i) * load(slope + i);
        store(roots + i, root);
        store(errors + i, select(root > 0, half / root, 0.0));
    }
}

void LossOfRows::linearise(const double* prediction, size_t row, size_t n, double* roots,
                           double* errors) {
    roots_and_errors(prediction, data_.columns.column(0, row), data_.multipliers() + row,
                     run(slope_, prediction, row, n), run(second_, prediction, row, n),
                     data_.loss.softening(), roots, errors, n);
}

}  // namespace dso::machine
