// How many statements go into one command, by how long a server takes for them.
#include "output/mongo/conn.h"
#include "test.h"

#define TIMEOUT_NS (30 * NS_PER_S)

// One full command at a server that takes so long for each statement. Whether it was answered.
static bool send_full(struct mg_batch *m, int64_t each_ns)
{
    m->n = m->most;
    int64_t took = (int64_t)m->n * each_ns;
    bool answered = took < TIMEOUT_NS;
    mg_batch_learn(m, MIN(took, TIMEOUT_NS), answered);
    return answered;
}

// Soon, and from then on, each is answered in good time, and is no smaller than it must be.
static void test_it_suits_the_server(void **state)
{
    (void)state;
    static const struct {
        int64_t each_ns;
        size_t least, most; // statements in the end
    } rows[] = {
        {5 * NS_PER_US, 5000, 5000}, {100 * NS_PER_US, 5000, 5000}, {390 * NS_PER_US, 5000, 5000},
        {1 * NS_PER_MS, 500, 2000},  {3 * NS_PER_MS, 166, 667},     {10 * NS_PER_MS, 50, 200},
        {50 * NS_PER_MS, 20, 40},    {500 * NS_PER_MS, 20, 20},     {1400 * NS_PER_MS, 20, 20},
        {1 * NS_PER_US, 5000, 5000},
    };
    struct mg_batch m;
    mg_batch_init(&m, "update", "token_usage");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) { // each after the one before it
        for (int k = 0; k < 12; k++) {
            (void)send_full(&m, rows[i].each_ns);
        }
        for (int k = 0; k < 5; k++) {
            bool answered = send_full(&m, rows[i].each_ns);
            if (!answered || m.most < rows[i].least || m.most > rows[i].most) {
                fail_at(__FILE__, __LINE__, "row %zu: %zu statements\n", i, m.most);
            }
        }
    }
    mg_batch_done(&m);
}

static void test_what_says_nothing(void **state)
{
    (void)state;
    struct mg_batch m;
    mg_batch_init(&m, "update", "token_usage");
    m.most = MG_BATCH_MAX;
    m.n = 3;
    mg_batch_learn(&m, NS_PER_MS, true); // a few that were quick
    assert_int_equal(m.most, MG_BATCH_MAX);
    m.n = MG_BATCH_MAX;
    mg_batch_learn(&m, NS_PER_S, true);
    assert_int_equal(m.most, MG_BATCH_MAX);
    mg_batch_learn(&m, TIMEOUT_NS, false);
    assert_int_equal(m.most, MG_BATCH_MAX / 2);
    m.n = 400;
    mg_batch_learn(&m, NS_PER_MS, true); // not full: by its bytes, or the last of several
    assert_int_equal(m.most, MG_BATCH_MAX / 2);
    m.n = 0;
    mg_batch_learn(&m, TIMEOUT_NS, false);
    assert_int_equal(m.most, MG_BATCH_MIN);
    mg_batch_done(&m);
}

static void test_full(void **state)
{
    (void)state;
    struct mg_batch m;
    mg_batch_init(&m, "update", "token_usage");
    m.most = 50;
    for (int i = 0; i < 50; i++) {
        assert_false(mg_batch_full(&m));
        mg_end(&m.b, mg_batch_add(&m));
    }
    assert_true(mg_batch_full(&m));
    mg_batch_clear(&m);
    assert_false(mg_batch_full(&m));
    assert_int_equal(m.most, 50); // what was learnt stays
    mg_batch_done(&m);
}

int main(void)
{
    return TEST_RUN(TEST(test_it_suits_the_server), TEST(test_what_says_nothing), TEST(test_full));
}
