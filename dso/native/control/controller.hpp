// Policies that act on one observation at a time: programs, decision trees and a trained network.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "machine/operators.hpp"
#include "machine/program.hpp"
#include "machine/vm.hpp"

namespace dso::control {

// A program of numbers for single observations, with the scalar functions of the C library.
//
// The Machine of vm.hpp runs a program over many rows at a time; an episode has one observation
// after the other, and which branch of a decision node is taken need not be computed twice.
class ScalarProgram {
public:
    void compile(const machine::Library& library, const int16_t* tokens, int32_t length,
                 const double* constants, size_t n_constants);
    double operator()(const double* observation);

private:
    void expand(const machine::Definition& definition, int32_t arity);

    struct Step {
        machine::Op op;
        int32_t operand;  // column of the observation, or the step to jump to
        double value;
    };
    std::vector<Step> code_;
    std::vector<double> stack_;
};

// What the tokens of a library mean where a program is a tree over whole action vectors.
struct ActionTokens {
    std::vector<int32_t> dimensions;  // (L,) the component that a token sets; kStop, or kNone
    std::vector<double> values;       // (L,) what it sets it to
    std::vector<double> defaults;     // (A,) components that no token sets
    static constexpr int32_t kNone = -1, kStop = -2;
};

// A decision tree whose leaves set the components of an action vector. Of two tokens on a branch
// that set the same component, the one nearer to the root counts.
class ActionTree {
public:
    void compile(const machine::Library& library, const ActionTokens& actions,
                 const int16_t* tokens, int32_t length);
    void operator()(const double* observation, double* action);

private:
    struct Step {
        int32_t dimension;  // ActionTokens' numbers; kNone for a decision
        int32_t operand;    // column of the observation
        int32_t otherwise;  // the step to jump to
        double value;
    };
    std::vector<Step> code_;
    std::vector<double> defaults_;
    std::vector<char> is_set_;
};

// A multi-layer perceptron from observations to actions.
struct Perceptron {
    // What becomes of the last layer z: actions are z; low + (tanh(z) + 1) / 2 (high - low), where
    // z is bounded by z_limit before; or there is one action, the place of the greatest z.
    enum class Head { linear, squashed, choice };
    enum class Activation { tanh, relu };
    struct Layer {
        size_t n_in, n_out;
        std::vector<float> weights;  // (n_out, n_in)
        std::vector<float> bias;     // (n_out,)
    };
    std::vector<Layer> layers;
    Activation activation = Activation::tanh;
    Head head = Head::linear;
    std::vector<double> low, high;
    double z_limit = 0;  // 0: none
    // Observations become clip((x - mean) / deviation, -limit, limit); no numbers, no change.
    std::vector<double> mean, deviation;
    double limit = 0;

    size_t n_inputs() const { return layers.front().n_in; }
    size_t n_outputs() const { return head == Head::choice ? 1 : layers.back().n_out; }
    void run(const double* observation, double* action, std::vector<float>& memory) const;
};

// How the components of an action come about, for all policies of a batch.
struct Composition {
    enum class Kind { box, discrete, multi_discrete };
    static constexpr int32_t kLearned = -1, kAnchor = -2;

    Kind kind = Kind::box;
    std::vector<int32_t> sources;  // (A,) kLearned, kAnchor, or the number of a fixed program
    std::vector<ScalarProgram> fixed;
    std::shared_ptr<const Perceptron> anchor;
    std::vector<double> low, high;  // (A,) of a Box
    bool is_single = true;          // whether actions are rounded to float32, as the space asks
    ActionTokens actions;           // of multi_discrete

    size_t n_actions() const { return sources.size(); }
};

// One policy: the composition with the learned program put in.
class Controller {
public:
    explicit Controller(const Composition& composition);
    void learn(const machine::Library& library, const machine::ProgramView& programs, size_t p);
    // What the environment is given: NaN becomes 0, the rest is clipped to the bounds.
    void act(const double* observation, double* action);

private:
    const Composition& composition_;
    std::vector<ScalarProgram> fixed_;
    ScalarProgram program_;
    ActionTree tree_;
    std::vector<double> from_anchor_;
    std::vector<float> memory_;
};

// Refuse programs that a controller cannot run, naming the first.
void check_policies(const machine::Library& library, const Composition& composition,
                    const machine::ProgramView& programs, size_t n_observations);

}  // namespace dso::control
