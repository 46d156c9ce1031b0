// Construction, steps and the forward pass; network_backward.cpp differentiates it.
#include "policy/network.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "policy/recurrent_math.hpp"

namespace dso::policy {
namespace {

// Cuts (rows, gates * units) into gates and pads each to whole vectors.
template <class T>
Matrix<T> pack(const ParameterView<T>& view, size_t n_gates, size_t n_rows_padded) {
    const size_t units = view.n_cols / n_gates, width = whole_vectors<T>(units);
    Matrix<T> packed(n_rows_padded, n_gates * width);
    for (size_t i = 0; i < view.n_rows; ++i)
        for (size_t g = 0; g < n_gates; ++g)
            std::copy_n(view.data + i * view.n_cols + g * units, units, packed.row(i) + g * width);
    return packed;
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

// out = first + the chosen rows of a table, over `width` padded entries.
template <class T>
DSO_CLONES void sum_rows(const T* table, size_t width, const int32_t* rows, size_t n_rows,
                         const T* first, T* out) {
    using Vector = typename VectorOf<T>::type;
    for (size_t j = 0; j < width; j += kVectorWidth<T>) {
        Vector sum = *reinterpret_cast<const Vector*>(first + j);
        for (size_t r = 0; r < n_rows; ++r)
            sum += *reinterpret_cast<const Vector*>(table + rows[r] * width + j);
        *reinterpret_cast<Vector*>(out + j) = sum;
    }
}

// Sorts rows by falling length and lays out the steps of those still going.
template <class T>
void schedule(const Sequences<T>& seq, Activations<T>& saved) {
    saved.order.resize(seq.n_rows);
    std::iota(saved.order.begin(), saved.order.end(), size_t{0});
    std::stable_sort(saved.order.begin(), saved.order.end(),
                     [&](size_t a, size_t b) { return seq.lengths[a] > seq.lengths[b]; });
    size_t active = seq.n_rows;
    for (size_t t = 0; t < seq.n_positions; ++t) {
        while (active > 0 && seq.lengths[saved.order[active - 1]] <= static_cast<int32_t>(t))
            --active;
        if (active == 0) break;
        saved.start.push_back(saved.n_steps);
        saved.n_active.push_back(active);
        saved.n_steps += active;
    }
}

}  // namespace

template <class T>
DSO_CLONES T exponentiate(const T* logits, size_t width, T* weights) {
    T lanes[kVectorWidth<T>];  // a tree in place of one long chain of comparisons
    std::copy_n(logits, kVectorWidth<T>, lanes);
    for (size_t a = kVectorWidth<T>; a < width; a += kVectorWidth<T>)
        for (size_t lane = 0; lane < kVectorWidth<T>; ++lane)
            lanes[lane] = logits[a + lane] > lanes[lane] ? logits[a + lane] : lanes[lane];
    for (size_t half = kVectorWidth<T> / 2; half > 0; half /= 2)
        for (size_t lane = 0; lane < half; ++lane)
            lanes[lane] = lanes[lane + half] > lanes[lane] ? lanes[lane + half] : lanes[lane];
    const T largest = lanes[0];
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
Network<T>::Network(Cell cell, std::vector<ParameterView<T>> parameters, T floor)
    : cell_(cell), floor_(floor) {
    if (!(floor >= 0 && floor < 1)) throw std::invalid_argument("network: floor in [0, 1)");
    if (parameters.size() < 5 || (parameters.size() - 2) % 3 != 0)
        throw std::invalid_argument(
            "network: three parameters per layer and two of the dense layer");
    const size_t n_layers = (parameters.size() - 2) / 3;
    size_t below = 0;
    for (size_t l = 0; l < n_layers; ++l) {
        const auto &input = parameters[3 * l], &recurrent = parameters[3 * l + 1],
                   &bias = parameters[3 * l + 2];
        const size_t units = recurrent.n_rows, columns = n_gates() * units;
        if (input.n_cols != columns || recurrent.n_cols != columns || bias.n_cols != columns ||
            units == 0 || bias.n_rows != 1 || (l == 0 && input.n_rows == 0) ||
            (l > 0 && input.n_rows != below))
            throw std::invalid_argument("network: shapes of a layer's parameters do not fit");
        layers_.push_back({units, whole_vectors<T>(units),
                           pack(input, n_gates(), l == 0 ? input.n_rows : whole_vectors<T>(below)),
                           pack(recurrent, n_gates(), whole_vectors<T>(units)),
                           pack(bias, n_gates(), 1)});
        below = units;
    }
    const auto &kernel = parameters[parameters.size() - 2], &bias = parameters.back();
    if (kernel.n_rows != below || bias.n_rows != 1 || bias.n_cols != kernel.n_cols)
        throw std::invalid_argument("network: shapes of the dense layer do not fit");
    n_tokens_ = kernel.n_cols;
    output_ = pack(kernel, 1, whole_vectors<T>(below));
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
    state.unfloored = Matrix<T>(1, n_tokens_);
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
    sum_rows<T>(layer.input.row(0), layer.input.n_cols, features, n_features, layer.bias.row(0),
                out);
    if (open_slots) {
        const T* row = layer.input.row(layer.input.n_rows - 1);
        for (size_t j = 0; j < layer.input.n_cols; ++j) out[j] += *open_slots * row[j];
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
        multiply<T>(gates + 2 * width, columns, reset, width, 1, kernel + 2 * width, columns,
                    n_rows, width, layer.n_units);
    activate_candidate<T>(n_rows, width, gates, hidden_before, hidden);
}

template <class T>
void Network<T>::raise_to_floor(T* logits, size_t n_cols, T* unfloored) const {
    std::fill(logits + n_tokens_, logits + n_cols, -std::numeric_limits<T>::infinity());
    exponentiate<T>(logits, n_cols, unfloored);
    T sum = 0;
    for (size_t a = 0; a < n_tokens_; ++a) sum += unfloored[a];
    for (size_t a = 0; a < n_tokens_; ++a) {
        unfloored[a] /= sum;
        logits[a] = std::log((1 - floor_) * unfloored[a] + floor_ / static_cast<T>(n_tokens_));
    }
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
    if (floor_ > 0)
        for (size_t r = 0; r < n_rows; ++r)
            raise_to_floor(state.logits.row(r), state.logits.n_cols, state.unfloored.row(0));
}

template <class T>
void Network<T>::forward(const Sequences<T>& seq, T* log_prob, T* entropy,
                         Activations<T>& saved) const {
    schedule(seq, saved);
    const size_t n_positions = seq.n_positions;
    size_t widest = 0;
    for (const Layer<T>& layer : layers_) {
        saved.gates.emplace_back(saved.n_steps, n_gates() * layer.width);
        saved.cells.emplace_back(cell_ == Cell::kLstm ? saved.n_steps : 0, layer.width);
        saved.hidden.emplace_back(saved.n_steps, layer.width);
        widest = std::max(widest, layer.width);
    }
    Matrix<T> reset(seq.n_rows, widest);
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
            multiply<T>(gates.row(0), gates.n_cols, saved.hidden[l - 1].row(0),
                        layers_[l - 1].width, 1, layer.input.row(0), gates.n_cols, saved.n_steps,
                        gates.n_cols, layers_[l - 1].n_units);
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
    saved.unfloored = Matrix<T>(floor_ > 0 ? saved.n_steps : 0, n_tokens_);
    Matrix<T> weights(1, width);
    for (size_t m = 0; m < saved.n_steps; ++m)
        std::copy_n(output_bias_.row(0), width, saved.log_probs.row(m));
    multiply<T>(saved.log_probs.row(0), width, saved.hidden.back().row(0), layers_.back().width, 1,
                output_.row(0), width, saved.n_steps, width, layers_.back().n_units);
    for (size_t t = 0; t < saved.start.size(); ++t)
        for (size_t r = 0; r < saved.n_active[t]; ++r) {
            const size_t at = saved.order[r] * n_positions + t, m = saved.start[t] + r;
            T* logits = saved.log_probs.row(m);
            if (floor_ > 0) raise_to_floor(logits, width, saved.unfloored.row(m));
            for (size_t a = 0; a < n_tokens_; ++a) logits[a] += seq.prior[at * n_tokens_ + a];
            std::fill(logits + n_tokens_, logits + width, -std::numeric_limits<T>::infinity());
            saved.entropy[m] = log_softmax(logits, width, weights.row(0));
            log_prob[at] = logits[seq.tokens[at]];
            entropy[at] = saved.entropy[m];
        }
}

template float exponentiate<float>(const float*, size_t, float*);
template double exponentiate<double>(const double*, size_t, double*);
template class Network<float>;
template class Network<double>;

}  // namespace dso::policy
