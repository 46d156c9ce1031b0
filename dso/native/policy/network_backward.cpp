// The closed-form gradient of Network::forward: dense layer, cells from the last step to the first,
// input tables.
#include <algorithm>
#include <limits>

#include "policy/network.hpp"
#include "policy/recurrent_math.hpp"

namespace dso::policy {
namespace {

template <class T>
void unpack_add(const Matrix<T>& packed, size_t n_rows, size_t n_gates, size_t units, T* out) {
    const size_t width = whole_vectors<T>(units);
    for (size_t i = 0; i < n_rows; ++i)
        for (size_t g = 0; g < n_gates; ++g)
            for (size_t j = 0; j < units; ++j)
                out[(i * n_gates + g) * units + j] += packed.row(i)[g * width + j];
}

template <class T>
Matrix<T> transpose(const Matrix<T>& a) {
    Matrix<T> out(a.n_cols, a.n_rows);
    for (size_t i = 0; i < a.n_rows; ++i)
        for (size_t j = 0; j < a.n_cols; ++j) out.row(j)[i] = a.row(i)[j];
    return out;
}

template <class T>
DSO_CLONES void differentiate_lstm_step(size_t n_rows, size_t width, const T* gates,
                                        const T* cell_before, const T* cell, const T* d_hidden,
                                        T* d_cell, T* d_gates) {
    for (size_t r = 0; r < n_rows; ++r) {
        const T *i = gates + r * 4 * width, *j = i + width, *f = j + width, *o = f + width;
        const T* before = cell_before ? cell_before + r * width : nullptr;
        const T *c = cell + r * width, *dh = d_hidden + r * width;
        T *di = d_gates + r * 4 * width, *dj = di + width, *df = dj + width, *d_o = df + width;
        T* dc = d_cell + r * width;
        for (size_t u = 0; u < width; ++u) {
            const T squashed = hyperbolic_tangent(c[u]);
            const T through = dc[u] + dh[u] * o[u] * (T(1) - squashed * squashed);
            d_o[u] = dh[u] * squashed * o[u] * (T(1) - o[u]);
            di[u] = through * j[u] * i[u] * (T(1) - i[u]);
            dj[u] = through * i[u] * (T(1) - j[u] * j[u]);
            df[u] = (before ? before[u] : T(0)) * through * f[u] * (T(1) - f[u]);
            dc[u] = through * f[u];
        }
    }
}

// h' = u h + (1 - u) c with c = tanh(x + (r h) W): the parts of d gates that need no product, and
// the reset hidden state r h.
template <class T>
DSO_CLONES void differentiate_gru_step(size_t n_rows, size_t width, const T* gates,
                                       const T* hidden_before, const T* d_hidden, T* d_gates,
                                       T* reset_hidden) {
    for (size_t r = 0; r < n_rows; ++r) {
        const T *reset = gates + r * 3 * width, *update = reset + width,
                *candidate = update + width;
        const T *h = hidden_before ? hidden_before + r * width : nullptr,
                *dh = d_hidden + r * width;
        T *d_update = d_gates + (r * 3 + 1) * width, *d_candidate = d_update + width;
        for (size_t u = 0; u < width; ++u) {
            const T before = h ? h[u] : T(0);
            d_update[u] = dh[u] * (before - candidate[u]) * update[u] * (T(1) - update[u]);
            d_candidate[u] = dh[u] * (T(1) - update[u]) * (T(1) - candidate[u] * candidate[u]);
            reset_hidden[r * width + u] = reset[u] * before;
        }
    }
}

// Given d (r h): d reset, and what flows into the hidden state before.
template <class T>
DSO_CLONES void differentiate_reset(size_t n_rows, size_t width, const T* gates,
                                    const T* hidden_before, const T* d_hidden,
                                    const T* d_reset_hidden, T* d_gates, T* d_hidden_before) {
    for (size_t r = 0; r < n_rows; ++r) {
        const T *reset = gates + r * 3 * width, *update = reset + width;
        const size_t row = r * width;
        for (size_t u = 0; u < width; ++u) {
            d_gates[r * 3 * width + u] =
                d_reset_hidden[row + u] * hidden_before[row + u] * reset[u] * (T(1) - reset[u]);
            d_hidden_before[row + u] +=
                d_hidden[row + u] * update[u] + d_reset_hidden[row + u] * reset[u];
        }
    }
}

template <class T>
void add_rows(const Matrix<T>& rows, Matrix<T>& sum) {
    for (size_t m = 0; m < rows.n_rows; ++m)
        for (size_t j = 0; j < rows.n_cols; ++j) sum.row(0)[j] += rows.row(m)[j];
}

// One backward pass: what it reads, and its stages in order.
template <class T>
struct BackwardPass {
    const Network<T>& network;
    const Sequences<T>& seq;
    const Activations<T>& saved;

    Matrix<T> differentiate_output(const T* d_log_prob, const T* d_entropy, T* d_kernel_out,
                                   T* d_bias_out) const;
    void differentiate_lstm(size_t l, Matrix<T>& d_hidden, Matrix<T>& d_gates,
                            Matrix<T>& d_recurrent) const;
    void differentiate_gru(size_t l, Matrix<T>& d_hidden, Matrix<T>& d_gates,
                           Matrix<T>& d_recurrent) const;
    Matrix<T> differentiate_input(size_t l, const Matrix<T>& d_gates, Matrix<T>& d_input) const;
    void differentiate_table(const Matrix<T>& d_gates, Matrix<T>& d_input) const;
};

// From the gradient by log(p') to that by the logits behind p, where p' is the mixture
// (1 - floor) p + floor / L.
template <class T>
void differentiate_floor(const T* p, size_t n_tokens, T floor, T* d) {
    T total = 0;
    for (size_t a = 0; a < n_tokens; ++a) {
        const T kept = (1 - floor) * p[a];
        d[a] *= kept / (kept + floor / static_cast<T>(n_tokens));
        total += d[a];
    }
    for (size_t a = 0; a < n_tokens; ++a) d[a] -= p[a] * total;
}

// d logits: (onehot - p) for the log-probability, -p (log p + H) for the entropy. Returns d hidden
// of the last layer.
template <class T>
Matrix<T> BackwardPass<T>::differentiate_output(const T* d_log_prob, const T* d_entropy,
                                                T* d_kernel_out, T* d_bias_out) const {
    const Layer<T>& layer = network.layers().back();
    Matrix<T> d_logits(saved.n_steps, network.n_tokens()), weights(1, network.n_tokens());
    const size_t n_logits = d_logits.n_cols, width = layer.width;
    for (size_t t = 0; t < saved.start.size(); ++t)
        for (size_t r = 0; r < saved.n_active[t]; ++r) {
            const size_t at = saved.order[r] * seq.n_positions + t, m = saved.start[t] + r;
            const T *log_p = saved.log_probs.row(m), *p = weights.row(0);
            const T largest = exponentiate<T>(log_p, n_logits, weights.row(0));
            const T scale = exponential(largest);
            T* d = d_logits.row(m);
            for (size_t a = 0; a < network.n_tokens(); ++a)
                if (p[a] > 0)
                    d[a] = -p[a] * scale *
                           (d_log_prob[at] + d_entropy[at] * (log_p[a] + saved.entropy[m]));
            d[seq.tokens[at]] += d_log_prob[at];
            if (network.floor() > 0)
                differentiate_floor(saved.unfloored.row(m), network.n_tokens(), network.floor(), d);
        }
    Matrix<T> d_kernel(width, n_logits), d_bias(1, n_logits), d_hidden(saved.n_steps, width);
    multiply<T>(d_kernel.row(0), n_logits, saved.hidden.back().row(0), 1, width, d_logits.row(0),
                n_logits, width, n_logits, saved.n_steps);
    add_rows(d_logits, d_bias);
    unpack_add(d_kernel, layer.n_units, 1, network.n_tokens(), d_kernel_out);
    unpack_add(d_bias, 1, 1, network.n_tokens(), d_bias_out);
    const Matrix<T> output_t = transpose(network.output());
    multiply<T>(d_hidden.row(0), width, d_logits.row(0), n_logits, 1, output_t.row(0),
                output_t.n_cols, saved.n_steps, width, network.n_tokens());
    return d_hidden;
}

// From the last step to the first; d_hidden collects what flows back through time.
template <class T>
void BackwardPass<T>::differentiate_lstm(size_t l, Matrix<T>& d_hidden, Matrix<T>& d_gates,
                                         Matrix<T>& d_recurrent) const {
    const size_t width = network.layers()[l].width, columns = 4 * width;
    const Matrix<T>&gates = saved.gates[l], &cells = saved.cells[l], &hidden = saved.hidden[l];
    const Matrix<T> recurrent_t = transpose(network.layers()[l].recurrent);
    Matrix<T> d_cell(saved.n_active[0], width);
    for (size_t t = saved.start.size(); t-- > 0;) {
        const size_t now = saved.start[t], n = saved.n_active[t];
        const size_t before = t ? saved.start[t - 1] : 0;
        T* d = d_gates.row(now);
        differentiate_lstm_step<T>(n, width, gates.row(now), t ? cells.row(before) : nullptr,
                                   cells.row(now), d_hidden.row(now), d_cell.row(0), d);
        if (t == 0) break;
        multiply<T>(d_hidden.row(before), width, d, columns, 1, recurrent_t.row(0),
                    recurrent_t.n_cols, n, width, columns);
        multiply<T>(d_recurrent.row(0), columns, hidden.row(before), 1, width, d, columns, width,
                    columns, n);
    }
}

template <class T>
void BackwardPass<T>::differentiate_gru(size_t l, Matrix<T>& d_hidden, Matrix<T>& d_gates,
                                        Matrix<T>& d_recurrent) const {
    const size_t width = network.layers()[l].width, columns = 3 * width;
    const Matrix<T>&gates = saved.gates[l], &hidden = saved.hidden[l];
    const Matrix<T> recurrent_t = transpose(network.layers()[l].recurrent);
    Matrix<T> reset_hidden(saved.n_active[0], width), d_reset_hidden(saved.n_active[0], width);
    for (size_t t = saved.start.size(); t-- > 0;) {
        const size_t now = saved.start[t], n = saved.n_active[t];
        const size_t before = t ? saved.start[t - 1] : 0;
        T *d = d_gates.row(now), *d_candidate = d + 2 * width;
        differentiate_gru_step<T>(n, width, gates.row(now), t ? hidden.row(before) : nullptr,
                                  d_hidden.row(now), d, reset_hidden.row(0));
        if (t == 0) break;
        d_reset_hidden.clear();
        multiply<T>(d_reset_hidden.row(0), width, d_candidate, columns, 1,
                    recurrent_t.row(2 * width), recurrent_t.n_cols, n, width, width);
        differentiate_reset<T>(n, width, gates.row(now), hidden.row(before), d_hidden.row(now),
                               d_reset_hidden.row(0), d, d_hidden.row(before));
        multiply<T>(d_hidden.row(before), width, d, columns, 1, recurrent_t.row(0),
                    recurrent_t.n_cols, n, width, 2 * width);
        multiply<T>(d_recurrent.row(0), columns, hidden.row(before), 1, width, d, columns, width,
                    2 * width, n);
        multiply<T>(d_recurrent.row(0) + 2 * width, columns, reset_hidden.row(0), 1, width,
                    d_candidate, columns, width, width, n);
    }
}

// Layers above the first; returns d hidden of the layer below.
template <class T>
Matrix<T> BackwardPass<T>::differentiate_input(size_t l, const Matrix<T>& d_gates,
                                               Matrix<T>& d_input) const {
    const size_t below = network.layers()[l - 1].width, columns = d_gates.n_cols;
    multiply<T>(d_input.row(0), columns, saved.hidden[l - 1].row(0), 1, below, d_gates.row(0),
                columns, below, columns, saved.n_steps);
    const Matrix<T> input_t = transpose(network.layers()[l].input);
    Matrix<T> d_hidden(saved.n_steps, below);
    multiply<T>(d_hidden.row(0), below, d_gates.row(0), columns, 1, input_t.row(0), input_t.n_cols,
                saved.n_steps, below, columns);
    return d_hidden;
}

// The first layer: every step adds to the table rows that it read. Nothing lies below.
template <class T>
void BackwardPass<T>::differentiate_table(const Matrix<T>& d_gates, Matrix<T>& d_input) const {
    const size_t columns = d_gates.n_cols;
    for (size_t t = 0; t < saved.start.size(); ++t)
        for (size_t r = 0; r < saved.n_active[t]; ++r) {
            const size_t at = saved.order[r] * seq.n_positions + t;
            const T* d = d_gates.row(saved.start[t] + r);
            for (size_t f = 0; f < seq.n_features; ++f) {
                T* row = d_input.row(seq.features[at * seq.n_features + f]);
                for (size_t j = 0; j < columns; ++j) row[j] += d[j];
            }
            if (!seq.open_slots) continue;
            T* row = d_input.row(d_input.n_rows - 1);
            for (size_t j = 0; j < columns; ++j) row[j] += seq.open_slots[at] * d[j];
        }
}

}  // namespace

template <class T>
void Network<T>::backward(const Sequences<T>& seq, const Activations<T>& saved, const T* d_log_prob,
                          const T* d_entropy, const std::vector<T*>& gradients) const {
    if (saved.n_steps == 0) return;
    const size_t n_layers = layers_.size();
    const BackwardPass<T> pass{*this, seq, saved};
    Matrix<T> d_hidden = pass.differentiate_output(d_log_prob, d_entropy, gradients[3 * n_layers],
                                                   gradients[3 * n_layers + 1]);
    for (size_t l = n_layers; l-- > 0;) {
        const Layer<T>& layer = layers_[l];
        const size_t columns = n_gates() * layer.width;
        Matrix<T> d_gates(saved.n_steps, columns), d_recurrent(layer.width, columns),
            d_bias(1, columns), d_input(layer.input.n_rows, columns);
        if (cell_ == Cell::kLstm)
            pass.differentiate_lstm(l, d_hidden, d_gates, d_recurrent);
        else
            pass.differentiate_gru(l, d_hidden, d_gates, d_recurrent);
        add_rows(d_gates, d_bias);
        if (l > 0)
            d_hidden = pass.differentiate_input(l, d_gates, d_input);
        else
            pass.differentiate_table(d_gates, d_input);
        const size_t n_inputs = l > 0 ? layers_[l - 1].n_units : layer.input.n_rows;
        unpack_add(d_input, n_inputs, n_gates(), layer.n_units, gradients[3 * l]);
        unpack_add(d_recurrent, layer.n_units, n_gates(), layer.n_units, gradients[3 * l + 1]);
        unpack_add(d_bias, 1, n_gates(), layer.n_units, gradients[3 * l + 2]);
    }
}

template void Network<float>::backward(const Sequences<float>&, const Activations<float>&,
                                       const float*, const float*,
                                       const std::vector<float*>&) const;
template void Network<double>::backward(const Sequences<double>&, const Activations<double>&,
                                        const double*, const double*,
                                        const std::vector<double*>&) const;

}  // namespace dso::policy
