#include "network.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

namespace dso {
namespace {

// e^x as straight-line code that the compiler turns into vector instructions: 2^n times a
// polynomial on [-ln 2 / 2, ln 2 / 2], within 2 ULP; 0 below the least normal number, no overflow.
DSO_INLINE float exponential(float x) {
    const float clamped = x > 88.0f ? 88.0f : x < -87.0f ? -87.0f : x;
    const float shift = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
    const float n = (clamped * 1.44269504f + shift) - shift;
    const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
    float power;
    std::memcpy(&power, &bits, sizeof power);
    return x < -87.0f ? 0.0f : p * power;
}
// Double precision serves checks, not speed.
DSO_INLINE double exponential(double x) { return std::exp(x); }
template <class T>
DSO_INLINE T sigmoid(T x) {
    return T(1) / (T(1) + exponential(-x));
}
template <class T>
DSO_INLINE T hyperbolic_tangent(T x) {
    return T(1) - T(2) / (T(1) + exponential(T(2) * x));
}

// Cuts (rows, gates * units) into gates and pads each to whole vectors.
template <class T>
Matrix<T> pack(const ParameterView<T>& view, size_t n_gates, size_t n_rows_padded) {
    const size_t units = view.n_cols / n_gates, width = padded<T>(units);
    Matrix<T> packed(n_rows_padded, n_gates * width);
    for (size_t i = 0; i < view.n_rows; ++i)
        for (size_t g = 0; g < n_gates; ++g)
            std::copy_n(view.data + i * view.n_cols + g * units, units,
                        packed.row(i) + g * width);
    return packed;
}

template <class T>
void unpack_add(const Matrix<T>& packed, size_t n_rows, size_t n_gates, size_t units, T* out) {
    const size_t width = padded<T>(units);
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
DSO_CLONES void activate_lstm(size_t n_rows, size_t width, T* gates, const T* cell_before, T* cell,
                              T* hidden) {
    for (size_t r = 0; r < n_rows; ++r) {
        T *i = gates + r * 4 * width, *j = i + width, *f = j + width, *o = f + width;
        const T* before = cell_before ? cell_before + r * width : nullptr;
        T *c = cell + r * width, *h = hidden + r * width;
        for (size_t u = 0; u < width; ++u) {
            i[u] = sigmoid(i[u]);
            j[u] = hyperbolic_tangent(j[u]);
            f[u] = sigmoid(f[u] + T(1));  // forget bias
            o[u] = sigmoid(o[u]);
        }
        if (before)
            for (size_t u = 0; u < width; ++u) c[u] = f[u] * before[u] + i[u] * j[u];
        else
            for (size_t u = 0; u < width; ++u) c[u] = i[u] * j[u];
        for (size_t u = 0; u < width; ++u) h[u] = o[u] * hyperbolic_tangent(c[u]);
    }
}

template <class T>
DSO_CLONES void differentiate_lstm(size_t n_rows, size_t width, const T* gates,
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

template <class T>
DSO_CLONES void activate_reset_update(size_t n_rows, size_t width, T* gates, const T* hidden_before,
                                      T* reset_hidden) {
    for (size_t r = 0; r < n_rows; ++r) {
        T *reset = gates + r * 3 * width, *update = reset + width;
        for (size_t u = 0; u < width; ++u) {
            reset[u] = sigmoid(reset[u]);
            update[u] = sigmoid(update[u]);
        }
        for (size_t u = 0; u < width; ++u)
            reset_hidden[r * width + u] =
                hidden_before ? reset[u] * hidden_before[r * width + u] : T(0);
    }
}

template <class T>
DSO_CLONES void activate_candidate(size_t n_rows, size_t width, T* gates, const T* hidden_before,
                                   T* hidden) {
    for (size_t r = 0; r < n_rows; ++r) {
        T *update = gates + (r * 3 + 1) * width, *candidate = update + width;
        const T* before = hidden_before ? hidden_before + r * width : nullptr;
        for (size_t u = 0; u < width; ++u) candidate[u] = hyperbolic_tangent(candidate[u]);
        for (size_t u = 0; u < width; ++u)
            hidden[r * width + u] =
                update[u] * (before ? before[u] : T(0)) + (T(1) - update[u]) * candidate[u];
    }
}

}  // namespace

template <class T>
DSO_CLONES T exponentiate(const T* logits, size_t width, T* weights) {
    T largest = logits[0];
    for (size_t a = 1; a < width; ++a) largest = logits[a] > largest ? logits[a] : largest;
    if (largest == -std::numeric_limits<T>::infinity()) {
        std::fill_n(weights, width, T(0));
        return largest;
    }
    for (size_t a = 0; a < width; ++a) weights[a] = exponential(logits[a] - largest);
    return largest;
}

// Turns logits into log-probabilities in place and returns the entropy; a row that is forbidden
// altogether stays -inf everywhere, with entropy 0.
template <class T>
static T log_softmax(T* logits, size_t width, T* weights) {
    const T largest = exponentiate<T>(logits, width, weights);
    T sum = 0, entropy = 0;
    for (size_t a = 0; a < width; ++a) sum += weights[a];
    if (sum == 0) return 0;
    const T shift = largest + std::log(sum);
    for (size_t a = 0; a < width; ++a) {
        logits[a] -= shift;
        if (weights[a] > 0) entropy -= weights[a] * logits[a];
    }
    return entropy / sum;
}

template <class T>
Network<T>::Network(Cell cell, std::vector<ParameterView<T>> parameters) : cell_(cell) {
    if (parameters.size() < 5 || (parameters.size() - 2) % 3 != 0)
        throw std::invalid_argument("network: three parameters per layer and two of the dense layer");
    const size_t n_layers = (parameters.size() - 2) / 3;
    size_t below = 0;
    for (size_t l = 0; l < n_layers; ++l) {
        const auto &input = parameters[3 * l], &recurrent = parameters[3 * l + 1],
                   &bias = parameters[3 * l + 2];
        const size_t units = recurrent.n_rows, columns = n_gates() * units;
        if (input.n_cols != columns || recurrent.n_cols != columns || bias.n_cols != columns ||
            (l > 0 && input.n_rows != below))
            throw std::invalid_argument("network: shapes of a layer's parameters do not fit");
        layers_.push_back({units, padded<T>(units),
                           pack(input, n_gates(), l == 0 ? input.n_rows : padded<T>(below)),
                           pack(recurrent, n_gates(), padded<T>(units)), pack(bias, n_gates(), 1)});
        below = units;
    }
    const auto &kernel = parameters[parameters.size() - 2], &bias = parameters.back();
    if (kernel.n_rows != below || bias.n_cols != kernel.n_cols)
        throw std::invalid_argument("network: shapes of the dense layer do not fit");
    n_tokens_ = kernel.n_cols;
    output_ = pack(kernel, 1, padded<T>(below));
    output_bias_ = pack(bias, 1, 1);
}

template <class T>
typename Network<T>::State Network<T>::make_state(size_t n_rows) const {
    State state;
    for (const Layer<T>& layer : layers_) {
        state.hidden.emplace_back(n_rows, layer.width);
        state.cells.emplace_back(n_rows, layer.width);
        state.gates.emplace_back(n_rows, n_gates() * layer.width);
    }
    size_t widest = 0;
    for (const Layer<T>& layer : layers_) widest = std::max(widest, layer.width);
    state.reset = Matrix<T>(n_rows, widest);
    state.logits = Matrix<T>(n_rows, n_tokens_);
    return state;
}

template <class T>
void Network<T>::reset_row(State& state, size_t row) const {
    for (size_t l = 0; l < layers_.size(); ++l) {
        std::fill_n(state.hidden[l].row(row), layers_[l].width, T(0));
        std::fill_n(state.cells[l].row(row), layers_[l].width, T(0));
    }
}

template <class T>
void Network<T>::gather_input(const int32_t* features, size_t n_features, const T* open_slots,
                              T* out) const {
    const Layer<T>& layer = layers_[0];
    const size_t n = layer.bias.n_cols;
    std::copy_n(layer.bias.row(0), n, out);
    for (size_t f = 0; f < n_features; ++f) {
        const T* row = layer.input.row(features[f]);
        for (size_t j = 0; j < n; ++j) out[j] += row[j];
    }
    if (open_slots) {
        const T* row = layer.input.row(layer.input.n_rows - 1);
        for (size_t j = 0; j < n; ++j) out[j] += *open_slots * row[j];
    }
}

// `gates` holds bias and input products on entry, activations on return.
template <class T>
void Network<T>::run_cell(size_t l, size_t n_rows, const T* hidden_before, T* gates,
                          const T* cell_before, T* cell, T* hidden, T* reset) const {
    const Layer<T>& layer = layers_[l];
    const size_t width = layer.width, columns = n_gates() * width;
    const T* kernel = layer.recurrent.row(0);
    if (cell_ == Cell::kLstm) {
        if (hidden_before)
            multiply<T>(gates, columns, hidden_before, width, 1, kernel, columns, n_rows, columns,
                        layer.n_units);
        activate_lstm<T>(n_rows, width, gates, cell_before, cell, hidden);
        return;
    }
    if (hidden_before)
        multiply<T>(gates, columns, hidden_before, width, 1, kernel, columns, n_rows, 2 * width,
                    layer.n_units);
    activate_reset_update<T>(n_rows, width, gates, hidden_before, reset);
    if (hidden_before)
        multiply<T>(gates + 2 * width, columns, reset, width, 1, kernel + 2 * width, columns, n_rows,
                    width, layer.n_units);
    activate_candidate<T>(n_rows, width, gates, hidden_before, hidden);
}

template <class T>
void Network<T>::step(State& state, size_t n_rows, const int32_t* features, size_t n_features,
                      const T* open_slots) const {
    for (size_t l = 0; l < layers_.size(); ++l) {
        const Layer<T>& layer = layers_[l];
        Matrix<T>& gates = state.gates[l];
        for (size_t r = 0; r < n_rows; ++r)
            if (l == 0)
                gather_input(features + r * n_features, n_features,
                             open_slots ? open_slots + r : nullptr, gates.row(r));
            else
                std::copy_n(layer.bias.row(0), gates.n_cols, gates.row(r));
        if (l > 0)
            multiply<T>(gates.row(0), gates.n_cols, state.hidden[l - 1].row(0),
                        layers_[l - 1].width, 1, layer.input.row(0), gates.n_cols, n_rows,
                        gates.n_cols, layers_[l - 1].n_units);
        run_cell(l, n_rows, state.hidden[l].row(0), gates.row(0), state.cells[l].row(0),
                 state.cells[l].row(0), state.hidden[l].row(0), state.reset.row(0));
    }
    for (size_t r = 0; r < n_rows; ++r)
        std::copy_n(output_bias_.row(0), state.logits.n_cols, state.logits.row(r));
    multiply<T>(state.logits.row(0), state.logits.n_cols, state.hidden.back().row(0),
                layers_.back().width, 1, output_.row(0), output_.n_cols, n_rows, output_.n_cols,
                layers_.back().n_units);
}

template <class T>
void Network<T>::forward(const Sequences<T>& seq, T* log_prob, T* entropy,
                         Activations<T>& saved) const {
    const size_t n_rows = seq.n_rows, n_positions = seq.n_positions;
    saved.order.resize(n_rows);
    std::iota(saved.order.begin(), saved.order.end(), size_t{0});
    std::stable_sort(saved.order.begin(), saved.order.end(),
                     [&](size_t a, size_t b) { return seq.lengths[a] > seq.lengths[b]; });
    for (size_t t = 0; t < n_positions; ++t) {
        size_t active = 0;
        while (active < n_rows && seq.lengths[saved.order[active]] > static_cast<int32_t>(t))
            ++active;
        if (active == 0) break;
        saved.start.push_back(saved.n_steps);
        saved.n_active.push_back(active);
        saved.n_steps += active;
    }
    size_t widest = 0;
    for (const Layer<T>& layer : layers_) {
        saved.gates.emplace_back(saved.n_steps, n_gates() * layer.width);
        saved.cells.emplace_back(cell_ == Cell::kLstm ? saved.n_steps : 0, layer.width);
        saved.hidden.emplace_back(saved.n_steps, layer.width);
        widest = std::max(widest, layer.width);
    }
    Matrix<T> reset(n_rows, widest);
    for (size_t l = 0; l < layers_.size(); ++l) {
        const Layer<T>& layer = layers_[l];
        Matrix<T>&gates = saved.gates[l], &cells = saved.cells[l], &hidden = saved.hidden[l];
        for (size_t t = 0; t < saved.start.size(); ++t)
            for (size_t r = 0; r < saved.n_active[t]; ++r) {
                const size_t at = saved.order[r] * n_positions + t, m = saved.start[t] + r;
                if (l == 0)
                    gather_input(seq.features + at * seq.n_features, seq.n_features,
                                 seq.open_slots ? seq.open_slots + at : nullptr, gates.row(m));
                else
                    std::copy_n(layer.bias.row(0), gates.n_cols, gates.row(m));
            }
        if (l > 0)
            multiply<T>(gates.row(0), gates.n_cols, saved.hidden[l - 1].row(0), layers_[l - 1].width,
                        1, layer.input.row(0), gates.n_cols, saved.n_steps, gates.n_cols,
                        layers_[l - 1].n_units);
        for (size_t t = 0; t < saved.start.size(); ++t) {
            const size_t now = saved.start[t], before = t ? saved.start[t - 1] : 0;
            run_cell(l, saved.n_active[t], t ? hidden.row(before) : nullptr, gates.row(now),
                     t && cell_ == Cell::kLstm ? cells.row(before) : nullptr,
                     cell_ == Cell::kLstm ? cells.row(now) : nullptr, hidden.row(now),
                     reset.row(0));
        }
    }
    saved.log_probs = Matrix<T>(saved.n_steps, n_tokens_);
    saved.entropy.resize(saved.n_steps);
    const size_t width = saved.log_probs.n_cols;
    Matrix<T> weights(1, width);
    for (size_t m = 0; m < saved.n_steps; ++m)
        std::copy_n(output_bias_.row(0), width, saved.log_probs.row(m));
    multiply<T>(saved.log_probs.row(0), width, saved.hidden.back().row(0), layers_.back().width, 1,
                output_.row(0), width, saved.n_steps, width, layers_.back().n_units);
    for (size_t t = 0; t < saved.start.size(); ++t)
        for (size_t r = 0; r < saved.n_active[t]; ++r) {
            const size_t at = saved.order[r] * n_positions + t, m = saved.start[t] + r;
            T* logits = saved.log_probs.row(m);
            for (size_t a = 0; a < n_tokens_; ++a) logits[a] += seq.prior[at * n_tokens_ + a];
            std::fill(logits + n_tokens_, logits + width, -std::numeric_limits<T>::infinity());
            saved.entropy[m] = log_softmax(logits, width, weights.row(0));
            log_prob[at] = logits[seq.tokens[at]];
            entropy[at] = saved.entropy[m];
        }
}

template <class T>
void Network<T>::backward(const Sequences<T>& seq, const Activations<T>& saved, const T* d_log_prob,
                          const T* d_entropy, const std::vector<T*>& gradients) const {
    if (saved.n_steps == 0) return;
    const size_t n_positions = seq.n_positions, n_layers = layers_.size();
    // d logits: (onehot - p) for the log-probability, -p (log p + H) for the entropy
    Matrix<T> d_logits(saved.n_steps, n_tokens_);
    for (size_t t = 0; t < saved.start.size(); ++t)
        for (size_t r = 0; r < saved.n_active[t]; ++r) {
            const size_t at = saved.order[r] * n_positions + t, m = saved.start[t] + r;
            const T* log_p = saved.log_probs.row(m);
            T* d = d_logits.row(m);
            for (size_t a = 0; a < n_tokens_; ++a) {
                if (!(log_p[a] > -std::numeric_limits<T>::infinity())) continue;
                const T p = exponential(log_p[a]);
                d[a] = -p * (d_log_prob[at] + d_entropy[at] * (log_p[a] + saved.entropy[m]));
            }
            d[seq.tokens[at]] += d_log_prob[at];
        }
    const size_t top_width = layers_.back().width, n_logits = d_logits.n_cols;
    Matrix<T> d_output(top_width, n_logits), d_output_bias(1, n_logits);
    multiply<T>(d_output.row(0), n_logits, saved.hidden.back().row(0), 1, top_width, d_logits.row(0),
                n_logits, top_width, n_logits, saved.n_steps);
    for (size_t m = 0; m < saved.n_steps; ++m)
        for (size_t a = 0; a < n_logits; ++a) d_output_bias.row(0)[a] += d_logits.row(m)[a];
    unpack_add(d_output, layers_.back().n_units, 1, n_tokens_, gradients[3 * n_layers]);
    unpack_add(d_output_bias, 1, 1, n_tokens_, gradients[3 * n_layers + 1]);

    const Matrix<T> output_t = transpose(output_);
    Matrix<T> d_hidden(saved.n_steps, top_width);
    multiply<T>(d_hidden.row(0), top_width, d_logits.row(0), n_logits, 1, output_t.row(0),
                output_t.n_cols, saved.n_steps, top_width, n_tokens_);

    for (size_t l = n_layers; l-- > 0;) {
        const Layer<T>& layer = layers_[l];
        const size_t width = layer.width, columns = n_gates() * width;
        const Matrix<T>&gates = saved.gates[l], &cells = saved.cells[l], &hidden = saved.hidden[l];
        const Matrix<T> recurrent_t = transpose(layer.recurrent);
        Matrix<T> d_gates(saved.n_steps, columns), d_cell(saved.n_active[0], width);
        Matrix<T> d_recurrent(width, columns), reset_hidden(saved.n_active[0], width),
            d_reset(saved.n_active[0], width);
        for (size_t t = saved.start.size(); t-- > 0;) {
            const size_t now = saved.start[t], n = saved.n_active[t];
            const size_t before = t ? saved.start[t - 1] : 0;
            const T* hidden_before = t ? hidden.row(before) : nullptr;
            T* dz = d_gates.row(now);
            if (cell_ == Cell::kLstm) {
                differentiate_lstm<T>(n, width, gates.row(now), t ? cells.row(before) : nullptr,
                                      cells.row(now), d_hidden.row(now), d_cell.row(0), dz);
                if (t == 0) continue;
                multiply<T>(d_hidden.row(before), width, dz, columns, 1, recurrent_t.row(0),
                            recurrent_t.n_cols, n, width, columns);
                multiply<T>(d_recurrent.row(0), columns, hidden_before, 1, width, dz, columns,
                            width, columns, n);
                continue;
            }
            // h' = u h + (1 - u) c,  c = tanh(x + (r h) W): reset, update, candidate in z
            d_reset.clear();
            for (size_t r = 0; r < n; ++r) {
                const T *g = gates.row(now + r), *dh = d_hidden.row(now + r);
                T* d = d_gates.row(now + r);
                for (size_t u = 0; u < width; ++u) {
                    const T update = g[width + u], candidate = g[2 * width + u];
                    const T h = t ? hidden.row(before + r)[u] : T(0);
                    d[width + u] = dh[u] * (h - candidate) * update * (T(1) - update);
                    d[2 * width + u] = dh[u] * (T(1) - update) * (T(1) - candidate * candidate);
                    reset_hidden.row(r)[u] = g[u] * h;
                }
            }
            if (t == 0) continue;
            multiply<T>(d_reset.row(0), width, dz + 2 * width, columns, 1,
                        recurrent_t.row(2 * width), recurrent_t.n_cols, n, width, width);
            for (size_t r = 0; r < n; ++r) {
                const T *g = gates.row(now + r), *h = hidden.row(before + r);
                T *d = d_gates.row(now + r), *back = d_hidden.row(before + r);
                for (size_t u = 0; u < width; ++u) {
                    d[u] = d_reset.row(r)[u] * h[u] * g[u] * (T(1) - g[u]);
                    back[u] += d_hidden.row(now + r)[u] * g[width + u] + d_reset.row(r)[u] * g[u];
                }
            }
            multiply<T>(d_hidden.row(before), width, dz, columns, 1, recurrent_t.row(0),
                        recurrent_t.n_cols, n, width, 2 * width);
            multiply<T>(d_recurrent.row(0), columns, hidden_before, 1, width, dz, columns, width,
                        2 * width, n);
            multiply<T>(d_recurrent.row(0) + 2 * width, columns, reset_hidden.row(0), 1, width,
                        dz + 2 * width, columns, width, width, n);
        }
        unpack_add(d_recurrent, layer.n_units, n_gates(), layer.n_units, gradients[3 * l + 1]);
        Matrix<T> d_bias(1, columns);
        for (size_t m = 0; m < saved.n_steps; ++m)
            for (size_t j = 0; j < columns; ++j) d_bias.row(0)[j] += d_gates.row(m)[j];
        unpack_add(d_bias, 1, n_gates(), layer.n_units, gradients[3 * l + 2]);

        Matrix<T> d_input(layer.input.n_rows, columns);
        if (l > 0) {
            const size_t below = layers_[l - 1].width;
            multiply<T>(d_input.row(0), columns, saved.hidden[l - 1].row(0), 1, below,
                        d_gates.row(0), columns, below, columns, saved.n_steps);
            const Matrix<T> input_t = transpose(layer.input);
            d_hidden = Matrix<T>(saved.n_steps, below);
            multiply<T>(d_hidden.row(0), below, d_gates.row(0), columns, 1, input_t.row(0),
                        input_t.n_cols, saved.n_steps, below, columns);
        } else {
            for (size_t t = 0; t < saved.start.size(); ++t)
                for (size_t r = 0; r < saved.n_active[t]; ++r) {
                    const size_t at = saved.order[r] * n_positions + t;
                    const T* dz = d_gates.row(saved.start[t] + r);
                    for (size_t f = 0; f < seq.n_features; ++f) {
                        T* row = d_input.row(seq.features[at * seq.n_features + f]);
                        for (size_t j = 0; j < columns; ++j) row[j] += dz[j];
                    }
                    if (!seq.open_slots) continue;
                    T* row = d_input.row(d_input.n_rows - 1);
                    for (size_t j = 0; j < columns; ++j) row[j] += seq.open_slots[at] * dz[j];
                }
        }
        const size_t n_inputs = l > 0 ? layers_[l - 1].n_units : layer.input.n_rows;
        unpack_add(d_input, n_inputs, n_gates(), layer.n_units, gradients[3 * l]);
    }
}

template float exponentiate<float>(const float*, size_t, float*);
template double exponentiate<double>(const double*, size_t, double*);
template class Network<float>;
template class Network<double>;

}  // namespace dso
