// Small dense matrices for the recurrent networks: 64-byte aligned rows padded to whole vectors.
//
// The product kernel sums over k in order, one accumulator per element, so that a row's result does
// not depend on how many rows are multiplied with it.
#pragma once
#include <cstddef>
#include <cstring>
#include <new>
#include <vector>

#include "compiler.hpp"

namespace dso::policy {

template <class T>
constexpr size_t kVectorWidth = 64 / sizeof(T);
template <class T>
constexpr size_t whole_vectors(size_t n) {
    return (n + kVectorWidth<T> - 1) / kVectorWidth<T> * kVectorWidth<T>;
}

template <class T>
struct VectorOf;
template <>
struct VectorOf<float> {
    typedef float type __attribute__((vector_size(64)));
};
template <>
struct VectorOf<double> {
    typedef double type __attribute__((vector_size(64)));
};

template <class T>
struct AlignedAllocator {
    using value_type = T;
    AlignedAllocator() = default;
    template <class U>
    AlignedAllocator(const AlignedAllocator<U>&) {}
    T* allocate(size_t n) {
        return static_cast<T*>(::operator new(n * sizeof(T), std::align_val_t{64}));
    }
    void deallocate(T* p, size_t) { ::operator delete(p, std::align_val_t{64}); }
    bool operator==(const AlignedAllocator&) const { return true; }
    bool operator!=(const AlignedAllocator&) const { return false; }
};

template <class T>
struct Matrix {
    size_t n_rows = 0, n_cols = 0;  // n_cols includes the padding
    std::vector<T, AlignedAllocator<T>> data;

    Matrix() = default;
    Matrix(size_t rows, size_t cols)
        : n_rows(rows), n_cols(whole_vectors<T>(cols)), data(rows * n_cols) {}
    T* row(size_t i) { return data.data() + i * n_cols; }
    const T* row(size_t i) const { return data.data() + i * n_cols; }
    void clear() { std::memset(data.data(), 0, data.size() * sizeof(T)); }
};

// C[R x V vectors] += A[R x k] B[k x V vectors]; element (r, p) of A lies at a[r*a_row + p*a_col].
template <class T, int R, int V>
DSO_INLINE void multiply_block(T* c, size_t c_row, const T* a, size_t a_row, size_t a_col,
                               const T* b, size_t b_row, size_t k) {
    using Vector = typename VectorOf<T>::type;
    Vector sum[R][V];
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v)
            sum[r][v] = *reinterpret_cast<const Vector*>(c + r * c_row + v * kVectorWidth<T>);
    for (size_t p = 0; p < k; ++p)
        for (int v = 0; v < V; ++v) {
            const Vector right =
                *reinterpret_cast<const Vector*>(b + p * b_row + v * kVectorWidth<T>);
            for (int r = 0; r < R; ++r) sum[r][v] += a[r * a_row + p * a_col] * right;
        }
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v)
            *reinterpret_cast<Vector*>(c + r * c_row + v * kVectorWidth<T>) = sum[r][v];
}

// C (m x n) += A (m x k) B (k x n) with n a multiple of the vector width.
template <class T>
DSO_CLONES void multiply(T* c, size_t c_row, const T* a, size_t a_row, size_t a_col, const T* b,
                         size_t b_row, size_t m, size_t n, size_t k) {
    constexpr size_t lanes = kVectorWidth<T>;
    size_t j = 0;
    for (; j + 2 * lanes <= n; j += 2 * lanes) {
        size_t i = 0;
        for (; i + 4 <= m; i += 4)
            multiply_block<T, 4, 2>(c + i * c_row + j, c_row, a + i * a_row, a_row, a_col, b + j,
                                    b_row, k);
        for (; i < m; ++i)
            multiply_block<T, 1, 2>(c + i * c_row + j, c_row, a + i * a_row, a_row, a_col, b + j,
                                    b_row, k);
    }
    for (; j < n; j += lanes) {
        size_t i = 0;
        for (; i + 4 <= m; i += 4)
            multiply_block<T, 4, 1>(c + i * c_row + j, c_row, a + i * a_row, a_row, a_col, b + j,
                                    b_row, k);
        for (; i < m; ++i)
            multiply_block<T, 1, 1>(c + i * c_row + j, c_row, a + i * a_row, a_row, a_col, b + j,
                                    b_row, k);
    }
}

}  // namespace dso::policy
