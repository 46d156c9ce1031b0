// The recurrent policy network: stacked LSTM or GRU cells and a dense layer to token logits.
//
// The input of the first layer is a sum of table rows, one per observed feature (a one-hot vector
// times the input kernel selects a row; embeddings are multiplied in before), plus the number of
// open slots times one more row. Gate order i, j, f, o and the forget bias of 1 added at run time;
// the GRU applies its reset gate before the product. Equations: Hochreiter and Schmidhuber 1997,
// Cho et al. 2014, in the form of the TensorFlow 1 cells.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "policy/matrix.hpp"

namespace dso::policy {

enum class Cell { kLstm, kGru };

// One parameter as it comes from outside: (n_rows, n_cols), C order.
template <class T>
struct ParameterView {
    const T* data;
    size_t n_rows, n_cols;
};

template <class T>
struct Layer {
    size_t n_units, width;  // width: units padded to whole vectors
    Matrix<T> input;        // (units below, gates * width); the table (F, gates * width) in layer 0
    Matrix<T> recurrent;    // (units, gates * width)
    Matrix<T> bias;         // (1, gates * width)
};

// What the network sees of each step of a batch, packed: see Network::forward.
template <class T>
struct Sequences {
    size_t n_rows, n_positions;  // (B, T)
    const int32_t* lengths;      // (B,)
    const int32_t* features;     // (B, T, n_features) rows of the input table
    size_t n_features;
    const T* open_slots;    // (B, T), or null where not observed
    const T* prior;         // (B, T, L), -inf where forbidden
    const int16_t* tokens;  // (B, T)
};

// Everything a backward pass needs. Rows are sorted by falling length; step t of the first
// n_active[t] rows lies at rows start[t] ... of each matrix.
template <class T>
struct Activations {
    std::vector<size_t> order, n_active, start;
    size_t n_steps = 0;                           // over all rows
    std::vector<Matrix<T>> gates, cells, hidden;  // per layer, (n_steps, ...)
    Matrix<T> log_probs;                          // (n_steps, L)
    Matrix<T> unfloored;                          // (n_steps, L) probabilities; with a floor only
    std::vector<T> entropy;                       // (n_steps,)
};

template <class T>
class Network {
public:
    // parameters: table, recurrent, bias, then (input, recurrent, bias) of each further layer,
    // then the dense kernel (units, L) and its bias (1, L). With a floor in (0, 1) the network's
    // own probabilities p become (1 - floor) p + floor / L, before any rule or prior.
    Network(Cell cell, std::vector<ParameterView<T>> parameters, T floor = 0);

    size_t n_tokens() const { return n_tokens_; }
    size_t n_gates() const { return cell_ == Cell::kLstm ? 4 : 3; }
    size_t n_features_table() const { return layers_[0].input.n_rows; }
    T floor() const { return floor_; }
    Cell cell() const { return cell_; }
    const std::vector<Layer<T>>& layers() const { return layers_; }
    const Matrix<T>& output() const { return output_; }

    // Hidden states of some rows while sequences are drawn.
    struct State {
        std::vector<Matrix<T>> hidden, cells, gates;  // per layer, (rows, ...)
        Matrix<T> logits;                             // (rows, L)
        Matrix<T> reset;                              // (rows, width), GRU only
        Matrix<T> unfloored;                          // (1, L)
    };
    State make_state(size_t n_rows) const;
    void reset_row(State& state, size_t row) const;
    // features (rows, n_features), open_slots (rows,) or null; leaves logits in the state.
    void step(State& state, size_t n_rows, const int32_t* features, size_t n_features,
              const T* open_slots) const;

    // Writes log-probabilities of the tokens and entropies, (B, T), zero on padding.
    void forward(const Sequences<T>& sequences, T* log_prob, T* entropy,
                 Activations<T>& saved) const;
    // Adds the gradient of every parameter, in the constructor's order and unpadded, to
    // `gradients`.
    void backward(const Sequences<T>& sequences, const Activations<T>& saved, const T* d_log_prob,
                  const T* d_entropy, const std::vector<T*>& gradients) const;

private:
    void gather_input(const int32_t* features, size_t n_features, const T* open_slots,
                      T* out) const;
    void run_cell(size_t layer, size_t n_rows, const T* hidden_before, T* gates,
                  const T* cell_before, T* cell, T* hidden, T* reset) const;

    // Replaces logits (n_cols of a padded row) by logarithms of floored probabilities; writes those
    // before the floor to `unfloored`, as wide.
    void raise_to_floor(T* logits, size_t n_cols, T* unfloored) const;

    Cell cell_;
    T floor_;
    size_t n_tokens_;
    std::vector<Layer<T>> layers_;
    Matrix<T> output_, output_bias_;
};

// Writes exp(logit - largest) over `width` padded entries, zero everywhere if all are -inf, and
// returns the largest logit.
template <class T>
T exponentiate(const T* logits, size_t width, T* weights);

extern template class Network<float>;
extern template class Network<double>;

}  // namespace dso::policy
