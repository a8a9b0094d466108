#include "cost/settings.h"

#include <errno.h>

#include "base/macros.h"
#include "base/time.h"
#include "model/record.h"
#include "test.h"

static void test_defaults_are_the_cost_models(void **state)
{
    (void)state;
    struct error err;
    assert_ok(settings_check(&settings_default, &err), &err);
    assert_i64(settings_default.window_ns, INT64_C(60000000000));
    assert_i64(settings_default.max_gap_ns, INT64_C(30000000000));
    assert_i64(settings_default.gpu_timeout_ns, INT64_C(300000000000));
    assert_i64(settings_default.horizon_ns, INT64_C(300000000000));
    assert_i64(settings_default.default_price_nusd, PRICE_NONE);
    assert_i64(settings_default.weight_in, 1);
    assert_i64(settings_default.weight_out, 4);
    assert_int_equal(settings_default.method, METHOD_WEIGHTED);
}

// fault: how the message begins; NULL: none.
static void expect(const char *fault, const struct settings *s, int line)
{
    struct error err = {0};
    int r = settings_check(s, &err);
    bool right = fault ? r == -EINVAL && strncmp(err.msg, fault, strlen(fault)) == 0 : r == 0;
    if (!right) {
        fail_at(__FILE__, line, "%d, '%s'\n", r, err.msg);
    }
}

// The defaults but for one change.
#define EXPECT(fault, change)                                                                      \
    do {                                                                                           \
        struct settings s = settings_default;                                                      \
        change;                                                                                    \
        expect(fault, &s, __LINE__);                                                               \
    } while (0)

static void test_check(void **state)
{
    (void)state;
    EXPECT(NULL, s.effective_from = 0);
    EXPECT(NULL, s.window_ns = NS_PER_HOUR);
    EXPECT(NULL, s.window_ns = 1);
    EXPECT("window", s.window_ns = 0);
    EXPECT("window", s.window_ns = -60 * NS_PER_S);
    EXPECT("window", s.window_ns = 7 * NS_PER_S);
    EXPECT("window", s.window_ns = 2 * NS_PER_HOUR);
    EXPECT("max-gap", s.max_gap_ns = 0);
    EXPECT(NULL, s.max_gap_ns = 300 * NS_PER_S);
    EXPECT("gpu-timeout", s.max_gap_ns = 300 * NS_PER_S + 1);
    EXPECT(NULL, s.gpu_timeout_ns = s.horizon_ns = NS_PER_DAY);
    EXPECT("gpu-timeout", s.gpu_timeout_ns = s.horizon_ns = NS_PER_DAY + 1);
    EXPECT("horizon", s.horizon_ns = 300 * NS_PER_S - 1);
    EXPECT(NULL, s.horizon_ns = 7 * NS_PER_DAY);
    EXPECT("horizon", s.horizon_ns = 7 * NS_PER_DAY + 1);
    EXPECT(NULL, s.default_price_nusd = 0);
    EXPECT(NULL, s.default_price_nusd = RECORD_PRICE_MAX);
    EXPECT("price", s.default_price_nusd = RECORD_PRICE_MAX + 1);
    EXPECT("price", s.default_price_nusd = -2);
    EXPECT("weights", s.weight_in = 0);
    EXPECT("weights", s.weight_out = -4);
    EXPECT(NULL, s.weight_in = 65535);
    EXPECT("weights", s.weight_out = 65536);
    EXPECT(NULL, s.effective_from = 120 * NS_PER_S);
    EXPECT("effective_from", s.effective_from = 119 * NS_PER_S);
    EXPECT("effective_from", s.effective_from = -60 * NS_PER_S);
}

static void test_same(void **state)
{
    (void)state;
    const struct settings a = settings_default;
    struct settings b = a;
    b.effective_from = NS_PER_HOUR;
    assert_true(settings_same(&a, &b));
    struct settings others[] = {a, a, a, a, a, a, a, a};
    others[0].window_ns++;
    others[1].max_gap_ns++;
    others[2].gpu_timeout_ns++;
    others[3].horizon_ns++;
    others[4].default_price_nusd = 0;
    others[5].weight_in++;
    others[6].weight_out++;
    others[7].method = METHOD_EQUAL;
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_false(settings_same(&a, &others[i]));
    }
}

static void test_epochs(void **state)
{
    (void)state;
    struct settings epochs[] = {settings_default, settings_default, settings_default};
    epochs[1].effective_from = 100;
    epochs[2].effective_from = 200;
    const struct settings_history all = {epochs, 3}, one = {epochs, 1};
    const struct {
        int64_t t;
        size_t want;
    } at[] = {{0, 0},   {99, 0},        {100, 1}, {199, 1},
              {200, 2}, {INT64_MAX, 2}, {-1, 0},  {INT64_MIN, 0}};
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        assert_ptr_equal(settings_at(&all, at[i].t), &epochs[at[i].want]);
        assert_ptr_equal(settings_at(&one, at[i].t), &epochs[0]);
    }
}

static void test_methods(void **state)
{
    (void)state;
    enum cost_method m;
    assert_string_equal(method_name(METHOD_WEIGHTED), "weighted");
    assert_string_equal(method_name(METHOD_EQUAL), "equal");
    assert_int_equal(method_parse(STR("equal"), &m), 0);
    assert_int_equal(m, METHOD_EQUAL);
    assert_int_equal(method_parse(STR("weighted"), &m), 0);
    assert_int_equal(m, METHOD_WEIGHTED);
    assert_int_equal(method_parse(STR("Equal"), &m), -EINVAL);
    assert_int_equal(method_parse(STR(""), &m), -EINVAL);
}

static const struct {
    const char *text;
    int r;
    int32_t in, out;
} weights[] = {
    {"1:4", 0, 1, 4},
    {"2:8", 0, 1, 4},
    {"0.25:1", 0, 1, 4},
    {"0.0001:6.5535", 0, 1, 65535},
    {"1:1", 0, 1, 1},
    {"65535:1", 0, 65535, 1},
    {"65536:1", -EINVAL, 0, 0},
    {"0:1", -EINVAL, 0, 0},
    {"1:0", -EINVAL, 0, 0},
    {"-1:4", -EINVAL, 0, 0},
    {"1:4:2", -EINVAL, 0, 0},
    {"1", -EINVAL, 0, 0},
    {"1:", -EINVAL, 0, 0},
    {":4", -EINVAL, 0, 0},
    {"", -EINVAL, 0, 0},
    {"a:b", -EINVAL, 0, 0},
    {"0.00001:1", -EINVAL, 0, 0},
};

static void test_weights(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(weights); i++) {
        int32_t in = 0, out = 0;
        int r = weights_parse(str_of(weights[i].text), &in, &out);
        if (r != weights[i].r || in != weights[i].in || out != weights[i].out) {
            fail_at(__FILE__, __LINE__, "'%s': %d, %d:%d\n", weights[i].text, r, in, out);
        }
    }
}

static void test_take_some(void **state)
{
    (void)state;
    const struct settings given = {
        NS_PER_HOUR, 120 * NS_PER_S, 61 * NS_PER_S, 62 * NS_PER_S, 63 * NS_PER_S, 5, 2,
        3,           METHOD_EQUAL};
    for (unsigned which = 0; which <= SETTINGS_ALL; which++) {
        struct settings s = settings_default;
        settings_take(&s, &given, which);
        assert_i64(s.effective_from, 0);
        const struct {
            enum setting which;
            int64_t got, given, old;
        } members[] = {
            {SETTING_WINDOW, s.window_ns, 120 * NS_PER_S, 60 * NS_PER_S},
            {SETTING_MAX_GAP, s.max_gap_ns, 61 * NS_PER_S, 30 * NS_PER_S},
            {SETTING_GPU_TIMEOUT, s.gpu_timeout_ns, 62 * NS_PER_S, 300 * NS_PER_S},
            {SETTING_HORIZON, s.horizon_ns, 63 * NS_PER_S, 300 * NS_PER_S},
            {SETTING_PRICE, s.default_price_nusd, 5, PRICE_NONE},
            {SETTING_WEIGHTS, s.weight_in, 2, 1},
            {SETTING_WEIGHTS, s.weight_out, 3, 4},
            {SETTING_METHOD, s.method, METHOD_EQUAL, METHOD_WEIGHTED},
        };
        for (size_t i = 0; i < ARRAY_LEN(members); i++) {
            bool taken = which & members[i].which;
            assert_i64(members[i].got, taken ? members[i].given : members[i].old);
        }
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_defaults_are_the_cost_models), TEST(test_check), TEST(test_same),
                    TEST(test_epochs), TEST(test_methods), TEST(test_weights),
                    TEST(test_take_some));
}
