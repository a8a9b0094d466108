#include "base/metric.h"

#include <math.h>
#include <string.h>

#include "test.h"

static const struct metric_def gauge = {"gtap_x", "An x.", METRIC_GAUGE};
static const struct metric_def spread = {"gtap_y_seconds", "A y.", METRIC_HISTOGRAM};

static void buckets_are_powers_of_four(void **state)
{
    (void)state;
    struct histogram h = {.least = 0.001};
    const double values[] = {0, 0.001, 0.0011, 0.004, 0.0041, 1e9};
    const uint64_t in[] = {2, 2, 1};
    double sum = 0;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        histogram_add(&h, values[i]);
        sum += values[i];
    }
    struct metric_list l = {0};
    const struct metric *m = metric_add_histogram(&l, &spread, &h);
    for (size_t i = 0; i < ARRAY_LEN(in); i++) {
        assert_i64((int64_t)m->buckets[i], (int64_t)in[i]);
    }
    assert_i64((int64_t)m->buckets[HISTOGRAM_BUCKETS - 1], 1);
    assert_true(m->number == sum);
    assert_true(isinf(histogram_bound(&h, HISTOGRAM_BUCKETS - 1)));
    assert_true(histogram_bound(&h, 2) == 0.016);
    metric_list_done(&l);
}

static void labels_are_kept_in_order_and_cut_to_fit(void **state)
{
    (void)state;
    char longer[METRIC_LABEL_MAX + 10];
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    struct metric_list l = {0};
    struct metric *m = metric_add(&l, &gauge, 3);
    metric_label(m, "topic", longer);
    metric_label_int(m, "partition", -7);
    assert_string_equal(m->label[0], "topic");
    assert_i64((int64_t)strlen(m->value[0]), METRIC_LABEL_MAX - 1);
    assert_string_equal(m->value[1], "-7");
    assert_null(m->label[2]);
    metric_list_clear(&l);
    assert_null(metric_add(&l, &gauge, 1)->label[0]);
    metric_list_done(&l);
}

int main(void)
{
    return TEST_RUN(TEST(buckets_are_powers_of_four),
                    TEST(labels_are_kept_in_order_and_cut_to_fit));
}
