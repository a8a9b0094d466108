#include "cost/apportion.h"

#define FRACTION_ONE 0x1p32
#define COMPUTED_ERROR 0x1p-46 // above any error of the double-double sums, below 2^-32

static void split_quota(struct share *s)
{
    struct dd q = dd_add(s->quota, dd_of_double(COMPUTED_ERROR));
    double whole = floor(q.hi);
    double fraction = (q.hi - whole) + q.lo;
    if (fraction < 0) {
        whole -= 1;
        fraction += 1;
    }
    double units = fraction * FRACTION_ONE;
    s->part = (int64_t)whole;
    s->fraction = units >= FRACTION_ONE ? UINT32_MAX : (uint32_t)units;
}

// Larger is served first. No two are equal.
static uint64_t rank_of(const struct share *s, size_t i)
{
    return (uint64_t)s->fraction << 32 | (UINT32_MAX - (uint32_t)i);
}

static void swap_at(uint64_t *v, size_t i, size_t j)
{
    uint64_t t = v[i];
    v[i] = v[j];
    v[j] = t;
}

// Moves what is larger than some pivot before it, and says where the pivot came to stand.
static size_t partition(uint64_t *v, size_t n)
{
    swap_at(v, n / 2, n - 1);
    uint64_t pivot = v[n - 1];
    size_t above = 0;
    for (size_t i = 0; i + 1 < n; i++) {
        if (v[i] > pivot) {
            swap_at(v, i, above++);
        }
    }
    swap_at(v, above, n - 1);
    return above;
}

// The value that k others are larger than; reorders v.
static uint64_t kth_largest(uint64_t *v, size_t n, size_t k)
{
    for (;;) {
        size_t at = partition(v, n);
        if (at == k) {
            return v[at];
        }
        if (k < at) {
            n = at;
        } else {
            v += at + 1;
            n -= at + 1;
            k -= at + 1;
        }
    }
}

static void give_to_largest(struct share *shares, size_t n, size_t units, uint64_t *scratch)
{
    for (size_t i = 0; i < n; i++) {
        scratch[i] = rank_of(&shares[i], i);
    }
    uint64_t least = kth_largest(scratch, n, units - 1);
    for (size_t i = 0; i < n; i++) {
        shares[i].part += rank_of(&shares[i], i) >= least;
    }
}

static void take_from_smallest(struct share *shares, size_t n, size_t units, uint64_t *scratch)
{
    for (size_t i = 0; i < n; i++) {
        scratch[i] = rank_of(&shares[i], i);
    }
    uint64_t most = kth_largest(scratch, n, n - units);
    for (size_t i = 0; i < n; i++) {
        shares[i].part -= rank_of(&shares[i], i) <= most;
    }
}

static size_t one_round(uint64_t units, size_t n)
{
    return units < n ? (size_t)units : n;
}

void apportion(struct share *shares, size_t n, int64_t total, uint64_t *scratch)
{
    int64_t rest = total;
    for (size_t i = 0; i < n; i++) {
        split_quota(&shares[i]);
        rest -= shares[i].part;
    }
    while (rest != 0 && n > 0) { // once, unless the quotas do not add up
        size_t units = one_round((uint64_t)(rest < 0 ? -rest : rest), n);
        if (rest > 0) {
            give_to_largest(shares, n, units, scratch);
        } else {
            take_from_smallest(shares, n, units, scratch);
        }
        rest += rest > 0 ? -(int64_t)units : (int64_t)units;
    }
}
